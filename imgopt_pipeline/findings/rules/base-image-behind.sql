-- title: Built on an old build of its base
-- severity: low
-- risk: low
-- why: A base image that was renewed brings its fixes only to images that are built again. And as long as some stand on
--   the old one and some on the new one, both are stored.
WITH based AS (
    SELECT i.image_id, i.name, i.created_at, i.base_image_id, i.base_reference, i.base_evidence, i.size_bytes,
        b.name AS base_name, b.created_at AS base_created_at, b.dangling AS base_dangling, b.digests AS base_digests,
        l.chain_id AS bottom
    FROM host_images AS i
    LEFT JOIN host_images AS b ON b.image_id = i.base_image_id
    LEFT JOIN host_layers AS l ON l.image_id = i.image_id AND l.position = 0
    WHERE i.base_reference IS NOT NULL AND NOT i.dangling
),
references_here AS (
    SELECT image_id, chain_id, created_at, unnest(image_references) AS reference FROM host_images
),
kinds AS (
    SELECT image_id, created_at, reference, repository(reference) AS repository,
        regexp_replace(substr(reference, length(repository(reference)) + 1), '[0-9]+([.][0-9]+)*', 'N', 'g') AS flavour
    FROM references_here
),
reasons AS (
    SELECT b.image_id, 1 AS rank,
        b.base_reference || ' has been renewed here since (' || strftime(n.created_at, '%Y-%m-%d')
            || '), the image does not stand on it' AS reason
    FROM based AS b
    JOIN references_here AS n ON n.reference = b.base_reference AND n.created_at > b.created_at
    WHERE b.base_evidence = 'annotation'
      AND NOT EXISTS (SELECT 1 FROM host_layers AS l WHERE l.image_id = b.image_id AND l.chain_id = n.chain_id)
    UNION ALL
    SELECT image_id, 2, 'its base has lost its tag to a newer build of ' || repository(base_digests[1])
    FROM based WHERE base_dangling AND len(base_digests) > 0
    UNION ALL
    SELECT b.image_id, 3, 'another image here stands on a newer build of ' || b.base_reference || ': ' || min(o.name)
    FROM based AS b
    JOIN based AS o ON o.base_reference = b.base_reference AND o.bottom <> b.bottom AND o.created_at > b.created_at
    WHERE b.base_evidence = 'annotation' AND o.base_evidence = 'annotation'
    GROUP BY b.image_id, b.base_reference
    UNION ALL
    SELECT b.image_id, 4, 'its base ' || b.base_name || ' (' || strftime(b.base_created_at, '%Y-%m-%d')
        || ') is older than '
        || max_by(n.reference, n.created_at) || ' (' || strftime(max(n.created_at), '%Y-%m-%d')
            || '), which is here too'
    FROM based AS b
    JOIN kinds AS k ON k.image_id = b.base_image_id
    JOIN kinds AS n ON n.repository = k.repository AND n.flavour = k.flavour AND n.reference <> k.reference
        AND n.created_at > b.base_created_at
    GROUP BY b.image_id, b.base_name, b.base_created_at
)
SELECT
    'image' AS subject_kind, b.name AS subject, b.image_id, NULL AS path,
    b.size_bytes, 0 AS low_bytes, 0 AS likely_bytes, 0 AS high_bytes,
    'Seen from layers, tags and dates: ' || arg_min(r.reason, (r.rank, r.reason)) || '.' AS evidence,
    'Rebuild it with `docker build --pull`, with the same base for all images of this host.' AS advice
FROM based AS b JOIN reasons AS r USING (image_id)
GROUP BY b.image_id, b.name, b.size_bytes
