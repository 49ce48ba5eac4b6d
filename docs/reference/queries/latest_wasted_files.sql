-- Which folders hold the dead files, and why are they dead?
SELECT host, name, reason, coalesce(nullif(parse_dirpath(path), ''), '(small files)') AS folder,
    sum(files) AS files, sum(size_bytes) AS size_bytes
FROM latest_wasted_files
GROUP BY ALL
ORDER BY size_bytes DESC
LIMIT 20;
