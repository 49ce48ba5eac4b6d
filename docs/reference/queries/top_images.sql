-- The biggest images of all hosts, in units that people read.
SELECT host, name, formatReadableDecimalSize(size_bytes) AS size,
    formatReadableDecimalSize(dead_bytes) AS dead, running_containers
FROM top_images
ORDER BY size_bytes DESC NULLS LAST;
