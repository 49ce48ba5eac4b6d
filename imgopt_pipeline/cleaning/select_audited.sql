-- Directories of the last audit of a host that hold what can be made again.
SELECT path
FROM data_directories
WHERE
    audit_id = (
        SELECT audit_id FROM audits WHERE host = $host AND status <> 'unreachable'
        ORDER BY finished_at DESC, audit_id LIMIT 1
    )
    AND kind <> 'volume' AND NOT remote
    AND (map_contains(contents_bytes, 'node_modules') OR map_contains(contents_bytes, 'build output'))
ORDER BY path
