SELECT position, path, files, size_bytes, killed_by, reason
FROM wasted_files
WHERE image_id = $image_id
ORDER BY path IS NULL, size_bytes DESC, path, position
