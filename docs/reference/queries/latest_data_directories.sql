-- Which directories lie on the local disk and were not used for half a year?
SELECT host, path, contents, size_bytes, unused_bytes, filesystem, containers
FROM latest_data_directories
WHERE NOT remote
ORDER BY unused_bytes DESC NULLS LAST;
