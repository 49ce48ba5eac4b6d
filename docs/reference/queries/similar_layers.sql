-- Which layers were built twice with almost the same result?
SELECT host, image, other_image, file_bytes, other_file_bytes, created_by
FROM similar_layers
ORDER BY least(file_bytes, other_file_bytes) DESC;
