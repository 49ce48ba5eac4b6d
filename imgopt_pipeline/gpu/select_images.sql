-- The images of an audit with what their content has to do with GPUs; those not looked into yet are left out.
SELECT i.image_id, i.name, g.build, g.versions, g.gpu_bytes, g.need, g.environment
FROM image_inventory AS i
JOIN image_gpu AS g USING (image_id)
WHERE i.audit_id = $audit_id
ORDER BY i.name, i.image_id
