-- title: A big build cache
-- severity: medium
-- risk: low
-- why: The builder keeps every step of every build it ever made. Most will never be used again, and the worst that
--   happens without them is one slow build.
SELECT
    'host' AS subject_kind, $host AS subject, NULL AS image_id, NULL AS path,
    size_bytes, reclaimable_bytes // 2 AS low_bytes, reclaimable_bytes AS likely_bytes, reclaimable_bytes AS high_bytes,
    severity_of(reclaimable_bytes) AS severity,
    counted(items, 'record') || ' in the build cache take ' || human(size_bytes) || ', ' || human(reclaimable_bytes)
        || ' of it not in use, by the engine''s own account.' AS evidence,
    '`docker builder prune --filter until=168h` removes what a week did not use; set a limit in the daemon''s builder '
        || 'settings.' AS advice
FROM disk_usage
WHERE audit_id = $audit_id AND host = $host AND kind = 'build cache' AND reclaimable_bytes >= $build_cache_bytes
