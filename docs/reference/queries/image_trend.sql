-- Which tags have become larger since the audit before?
SELECT host, reference, finished_at, size_bytes, change_bytes
FROM image_trend
WHERE change_bytes > 0
ORDER BY change_bytes DESC;
