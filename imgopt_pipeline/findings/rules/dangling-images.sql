-- title: An image that no tag names
-- severity: low
-- risk: low
-- why: Every rebuild or pull under the same tag leaves the image before it without a name. They pile up unseen.
SELECT
    'image' AS subject_kind, name AS subject, image_id, NULL AS path,
    size_bytes, unique_bytes AS low_bytes, unique_bytes AS likely_bytes, unique_bytes AS high_bytes,
        severity_of(unique_bytes) AS severity,
    'No tag names it and no container uses it; ' || human(unique_bytes) || ' of its ' || human(size_bytes)
        || ' lie in layers that no other image holds.' AS evidence,
    '`docker image rm ' || name || '`, or all of them with `docker image prune`.' AS advice
FROM host_images, audit_time
WHERE engine_kind <> 'archives' AND dangling AND containers = 0 AND built_on_it = 0
