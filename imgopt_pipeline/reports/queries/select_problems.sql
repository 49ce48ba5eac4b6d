SELECT host, asset, subject, kind, message, hint
FROM latest_problems
WHERE host = coalesce($host, host)
ORDER BY host, asset, subject
