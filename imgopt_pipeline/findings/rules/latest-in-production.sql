-- title: Runs an image tagged latest
-- severity: low
-- risk: low
-- why: `latest` is whatever was pulled or built last. Nobody can tell from the name what runs, and the next start may
--   run something else.
SELECT
    'container' AS subject_kind, c.name AS subject, c.image_id, NULL AS path,
    0 AS size_bytes, 0 AS low_bytes, 0 AS likely_bytes, 0 AS high_bytes,
    'It runs ' || c.image_reference || CASE WHEN ends_with(c.image_reference, ':latest') THEN '.'
        ELSE ', which names no tag and so means latest.' END
        AS evidence,
    'Name a version (`' || repository(c.image_reference) || ':1.2.3`) or a digest in the compose file, and change it '
        || 'when you mean to.' AS advice
FROM host_containers AS c
WHERE c.running
  AND NOT contains(c.image_reference, '@') AND NOT regexp_matches(c.image_reference,
      '^(sha256:)?([0-9a-f]{12}|[0-9a-f]{64})$')
  AND c.image_reference <> ''
  AND (ends_with(c.image_reference, ':latest') OR repository(c.image_reference) = c.image_reference)
