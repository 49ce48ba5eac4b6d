-- The directories of a host's newest audit that a name means: a volume, or the last part of a path.
WITH newest AS (
    SELECT audit_id
    FROM audits
    WHERE host = $host AND status <> 'unreachable'
    ORDER BY started_at DESC
    LIMIT 1
)

SELECT path
FROM data_directories JOIN newest USING (audit_id)
WHERE volume = $name OR regexp_extract(path, '[^/]+$') = $name
UNION
SELECT mountpoint AS path
FROM volume_inventory JOIN newest USING (audit_id)
WHERE name = $name AND mountpoint <> ''
