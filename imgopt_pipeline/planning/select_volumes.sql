-- The volumes of an audit.
SELECT name, driver, mountpoint, size_bytes, containers, anonymous
FROM volume_inventory
WHERE audit_id = $audit_id
ORDER BY name
