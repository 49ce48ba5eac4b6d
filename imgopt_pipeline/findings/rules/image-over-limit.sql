-- title: An image over the limit
-- severity: medium
-- risk: none
-- why: A big image takes the disk of every host that has it, and minutes of every deployment.
SELECT
    'image' AS subject_kind, name AS subject, image_id, NULL AS path,
    size_bytes, 0 AS low_bytes, 0 AS likely_bytes, 0 AS high_bytes,
    CASE WHEN size_bytes >= 2.5 * $image_bytes THEN 'high' ELSE 'medium' END AS severity,
    'It takes ' || human(size_bytes) || ' in ' || counted(layer_count, 'layer') || '; the limit is '
        || human($image_bytes::BIGINT) || '.' AS evidence,
    'See what fills it and what would make it smaller: `imgopt explain ' || name || '`.' AS advice
FROM host_images
WHERE size_bytes > $image_bytes
