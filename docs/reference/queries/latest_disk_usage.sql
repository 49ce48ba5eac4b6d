-- What takes the disk, and what of it is unused?
SELECT host, kind, items, active_items, size_bytes, reclaimable_bytes, source
FROM latest_disk_usage
ORDER BY reclaimable_bytes DESC;
