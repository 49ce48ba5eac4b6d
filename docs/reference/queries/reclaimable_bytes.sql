-- How full of unused things is each host?
SELECT host, size_bytes, reclaimable_bytes, round(100 * reclaimable_bytes / nullif(size_bytes, 0), 1) AS percent
FROM reclaimable_bytes
ORDER BY reclaimable_bytes DESC;
