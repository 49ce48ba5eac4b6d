-- title: A container log that grows without end
-- severity: medium
-- risk: low
-- why: By default the engine writes all a container prints into one file and never cuts it. It grows until the disk is
--   full.
SELECT
    'container' AS subject_kind, name AS subject, image_id, NULL AS path,
    log_bytes AS size_bytes, greatest(log_bytes - 30000000, 0) AS low_bytes, greatest(log_bytes - 30000000, 0)
        AS likely_bytes, log_bytes AS high_bytes,
    severity_of(log_bytes) AS severity,
    'Its log files (' || log_driver || ') take ' || human(log_bytes)
        || '; with rotation at three files of 10 MB they would take 30 MB.' AS evidence,
    'Set `logging: {driver: json-file, options: {max-size: 10m, max-file: "3"}}` on the service (or log-opts in '
        || 'daemon.json for all new '
        || 'containers) and recreate the container.' AS advice
FROM host_containers
WHERE log_bytes >= $log_bytes
