-- What the engine says of its disk usage.
SELECT kind, items, size_bytes, reclaimable_bytes
FROM disk_usage
WHERE audit_id = $audit_id
ORDER BY kind
