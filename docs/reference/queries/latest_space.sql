-- Where in each image do its bytes lie? (rows for a treemap)
SELECT host, image, category, prefix, sum(size_bytes) AS size_bytes, sum(files) AS files
FROM latest_space
GROUP BY ALL
ORDER BY size_bytes DESC;
