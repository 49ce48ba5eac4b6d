-- The layers of the images of an audit; null bytes where a layer could not be read.
SELECT l.image_id, l.position, l.chain_id, l.created_by, coalesce(y.file_bytes, b.live_bytes + b.dead_bytes) AS size_bytes
FROM image_inventory AS i
JOIN image_layers AS l USING (image_id)
LEFT JOIN layers AS y USING (diff_id)
LEFT JOIN image_layer_bytes AS b USING (image_id, position)
WHERE i.audit_id = $audit_id
ORDER BY l.image_id, l.position
