-- The data directories of an audit, without those that were moved: they are where they are meant to be.
SELECT
    path, kind, volume, containers, compose_project, running, size_bytes, contents,
    map_entries(contents_bytes) AS contents_bytes, unused_bytes, idle_days, filesystem, remote, in_use_by, complete
FROM data_directories
WHERE audit_id = $audit_id
    AND (host, path) NOT IN (SELECT (host, destination) FROM migrations WHERE outcome = 'verified')
ORDER BY path
