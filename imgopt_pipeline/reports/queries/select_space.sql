SELECT host, image, image_id, position, category, prefix, size_bytes, files
FROM latest_space
WHERE host = coalesce($host, host) AND image_id = coalesce($image_id, image_id)
ORDER BY size_bytes DESC, image, category, prefix
