-- title: An image that no container uses
-- severity: low
-- risk: low
-- why: Images stay after the containers they were for are gone. One that can be pulled or built again need not be kept.
SELECT
    'image' AS subject_kind, name AS subject, image_id, NULL AS path,
    size_bytes, unique_bytes AS low_bytes, unique_bytes AS likely_bytes, unique_bytes AS high_bytes,
        severity_of(unique_bytes) AS severity,
    'No container, running or stopped, uses it and no other image is built on it; ' || human(unique_bytes) || ' of its '
        || human(size_bytes)
        || ' lie in layers that no other image holds.' AS evidence,
    'If it can be had again: `docker image rm ' || array_to_string(image_references, ' ') || '`.' AS advice
FROM host_images, audit_time
WHERE engine_kind <> 'archives' AND NOT dangling AND containers = 0 AND built_on_it = 0
  AND image_id NOT IN (SELECT image_id FROM host_old_versions)
