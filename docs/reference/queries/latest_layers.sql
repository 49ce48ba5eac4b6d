-- Which build steps store the most, over all images, each stored layer once?
SELECT host, any_value(created_by) AS created_by, max(file_bytes) AS file_bytes, max(dead_bytes) AS dead_bytes,
    count(DISTINCT image_id) AS images
FROM latest_layers
GROUP BY host, chain_id
ORDER BY file_bytes DESC NULLS LAST
LIMIT 20;
