-- title: Has a GPU and does not use it
-- severity: medium
-- risk: low
-- why: A GPU that is given to a container which never opens it is missing elsewhere, and its image carries gigabytes of
--   libraries for it. Whether it will be used tomorrow only a person knows.
SELECT
    'container' AS subject_kind, subject, image_id, NULL AS path,
    gpu_bytes AS size_bytes, 0 AS low_bytes, 0 AS likely_bytes, 0 AS high_bytes,
    'A GPU is granted, and none of its processes was on one when the audit looked. ' || explanation || ' ('
        || confidence || ').' AS evidence,
    'Ask whoever runs it. If it needs none, take the grant out of the compose file; then the CPU build is enough.'
        AS advice
FROM host_gpu_checks
WHERE container_id IS NOT NULL AND granted AND used = false
