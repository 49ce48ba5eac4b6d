-- Which packages take the most, over all images?
SELECT host, image, ecosystem, name, coalesce(local_version, version) AS version, size_bytes, files
FROM latest_packages
WHERE ecosystem <> 'none'
ORDER BY size_bytes DESC
LIMIT 20;
