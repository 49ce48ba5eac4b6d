-- Images of an audit whose layers are analysed and whose contents this version has not looked into yet.
SELECT i.image_id
FROM image_inventory AS i
JOIN layer_analysis AS n ON n.image_id = i.image_id AND n.analyser_version = $analyser_version
WHERE i.audit_id = $audit_id
  AND i.image_id NOT IN (SELECT image_id FROM image_gpu WHERE content_version = $content_version)
ORDER BY i.name, i.image_id
