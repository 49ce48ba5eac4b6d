SELECT host, path, kind, volume, containers, compose_project, running, size_bytes, files, contents, contents_bytes,
    unmodified_bytes, unread_bytes, unused_bytes, idle_days, filesystem, remote, in_use_by, complete
FROM latest_data_directories
WHERE host = coalesce($host, host)
ORDER BY host, size_bytes DESC NULLS LAST, path
