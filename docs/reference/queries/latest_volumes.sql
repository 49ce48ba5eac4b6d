-- Which volumes does nothing mount?
SELECT host, name, size_bytes, mountpoint
FROM latest_volumes
WHERE containers = 0
ORDER BY size_bytes DESC NULLS LAST;
