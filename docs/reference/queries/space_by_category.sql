-- What fills the host, by kind?
SELECT host, category, size_bytes, files, images
FROM space_by_category
ORDER BY size_bytes DESC;
