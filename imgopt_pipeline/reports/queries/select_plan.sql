SELECT *
FROM latest_plan
WHERE host = coalesce($host, host)
ORDER BY host, rank
