-- What techniques would remove from the images of an audit.
SELECT r.image_id, r.position, r.claims, r.size_bytes, r.files, r.example
FROM image_inventory AS i
JOIN removable_bytes AS r USING (image_id)
WHERE i.audit_id = $audit_id AND r.size_bytes > 0
ORDER BY r.image_id, r.position, r.size_bytes DESC, r.example, r.claims
