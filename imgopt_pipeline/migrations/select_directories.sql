-- The directories of a host's newest audit that a name may mean: a path or its last part, a volume, or who mounts it.
WITH newest AS (
    SELECT audit_id
    FROM audits
    WHERE host = $host AND status <> 'unreachable'
    ORDER BY started_at DESC
    LIMIT 1
),

services AS (
    SELECT list(name) AS containers
    FROM container_inventory JOIN newest USING (audit_id)
    WHERE $name IN (name, compose_service, compose_project || '/' || compose_service)
)

SELECT path, kind, volume, containers
FROM data_directories JOIN newest USING (audit_id)
WHERE $name IN (path, volume, regexp_extract(path, '[^/]+$'))
    OR list_has_any(containers, (SELECT coalesce(containers, []) FROM services))
ORDER BY path
