-- The folders of applications with a node_modules of their own; npm's and yarn's own do not count.
SELECT DISTINCT '/' || rtrim(split_part(path, 'node_modules/', 1), '/') AS folder FROM live_files
WHERE contains('/' || path, '/node_modules/') AND NOT regexp_matches(path, '^(usr|opt)/(local/)?(lib|share|yarn)')
ORDER BY ALL;
