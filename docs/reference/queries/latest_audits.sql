-- When was each host last read, and how did it go?
SELECT host, finished_at, status, images, layers, layers_read, problems
FROM latest_audits
ORDER BY finished_at;
