-- What was passed over in the images of an audit that were looked into before.
SELECT i.name, r.remark
FROM image_inventory AS i
JOIN image_gpu AS g ON g.image_id = i.image_id AND g.content_version = $content_version
JOIN content_remarks AS r ON r.image_id = i.image_id
WHERE i.audit_id = $audit_id
ORDER BY i.name, r.remark
