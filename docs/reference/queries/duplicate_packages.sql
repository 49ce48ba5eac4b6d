-- Which packages are stored more than once?
SELECT host, ecosystem, name, version, size_bytes, copies, duplicated_bytes, same_files, images
FROM duplicate_packages
ORDER BY duplicated_bytes DESC
LIMIT 20;
