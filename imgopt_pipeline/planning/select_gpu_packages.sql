-- Packages of the images of an audit that have something to do with GPUs, the biggest first.
SELECT p.image_id, p.name, p.version, p.gpu_role
FROM image_inventory AS i
JOIN package_inventory AS p USING (image_id)
WHERE i.audit_id = $audit_id AND p.gpu_role <> ''
ORDER BY p.image_id, p.size_bytes DESC, p.name, p.version
