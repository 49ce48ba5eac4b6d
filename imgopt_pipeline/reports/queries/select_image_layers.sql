SELECT position, diff_id, created_by, file_bytes, live_bytes, dead_bytes, entry_count, tar_bytes, reader, holders
FROM latest_layers
WHERE host = $host AND image_id = $image_id
ORDER BY position
