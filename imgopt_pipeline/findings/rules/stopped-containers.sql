-- title: A stopped container
-- severity: low
-- risk: low
-- why: A stopped container keeps what it wrote, its log, and its image: none of them can be removed while it is there.
SELECT
    'container' AS subject_kind, name AS subject, image_id, NULL AS path,
    bytes AS size_bytes, bytes AS low_bytes, bytes AS likely_bytes, bytes AS high_bytes, severity_of(bytes) AS severity,
    'It is ' || state || coalesce(', last started ' || strftime(started_at, '%Y-%m-%d'), ', never started')
        || '; what it wrote takes '
        || human(writable_bytes) || ', its log ' || human(log_bytes) || '.' AS evidence,
    CASE
        WHEN compose_project IS NOT NULL THEN 'If the service is not wanted any more: `docker compose -p '
            || compose_project || ' rm ' || compose_service || '`.'
        ELSE 'If nobody needs it: `docker container rm ' || name || '`; `docker diff ' || name
            || '` shows what it wrote.'
    END AS advice
FROM (SELECT *, coalesce(writable_bytes, 0) + coalesce(log_bytes, 0) AS bytes FROM host_containers)
WHERE NOT running AND state IN ('exited', 'created', 'dead')
