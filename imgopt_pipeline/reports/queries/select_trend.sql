SELECT host, change_bytes
FROM size_trend
WHERE host = coalesce($host, host)
QUALIFY row_number() OVER (PARTITION BY host ORDER BY finished_at DESC) = 1
