-- title: No health check
-- severity: low
-- risk: low
-- why: Without a health check a container whose program hangs counts as running, and nothing that deploys it can tell
--   whether the new one works.
SELECT
    'image' AS subject_kind, name AS subject, image_id, NULL AS path,
    0 AS size_bytes, 0 AS low_bytes, 0 AS likely_bytes, 0 AS high_bytes,
    'The image defines none; ' || counted(running_containers, 'container') || ' of it run' || CASE running_containers
        WHEN 1 THEN 's' ELSE '' END
        || '. One in a compose file is not seen here.' AS evidence,
    'Add a HEALTHCHECK to the Dockerfile, or `healthcheck:` to the service in the compose file, that asks the program '
        || 'itself.' AS advice
FROM host_images
WHERE running_containers > 0 AND NOT has_healthcheck
