SELECT *
FROM audits
WHERE host = coalesce($host, host)
QUALIFY row_number() OVER (PARTITION BY host ORDER BY finished_at DESC, audit_id) = 1
ORDER BY host
