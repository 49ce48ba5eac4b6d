-- title: An image built long ago
-- severity: low
-- risk: low
-- why: An old image has the security holes that have been found since. Rebuilt on a current base it often gets smaller,
--   too.
SELECT
    'image' AS subject_kind, i.name AS subject, i.image_id, NULL AS path,
    0 AS size_bytes, 0 AS low_bytes, 0 AS likely_bytes, 0 AS high_bytes,
    CASE WHEN running_containers > 0 THEN 'medium' ELSE 'low' END AS severity,
    'It was built on ' || strftime(i.created_at, '%Y-%m-%d') || ', ' || counted(date_diff('day', i.created_at,
        t.audited_at), 'day')
        || ' before the audit; the limit is ' || $stale_days || '. ' || counted(running_containers, 'container')
            || ' of it run'
        || CASE running_containers WHEN 1 THEN 's' ELSE '' END || '.' AS evidence,
    'Pull its current version, or rebuild it with `docker build --pull`.' AS advice
FROM host_images AS i, audit_time AS t
-- Reproducible builds give all their files and images the same old date.
WHERE NOT dangling AND containers > 0 AND i.created_at > TIMESTAMP '2000-01-01'
  AND i.created_at < t.audited_at - to_days($stale_days)
