SELECT host, category, size_bytes, files, images
FROM space_by_category
WHERE host = coalesce($host, host)
ORDER BY host, size_bytes DESC
