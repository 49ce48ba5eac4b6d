SELECT host, kind, items, active_items, size_bytes, reclaimable_bytes
FROM latest_disk_usage
WHERE host = coalesce($host, host)
ORDER BY host, list_position(['images', 'containers', 'volumes', 'build cache'], kind)
