-- The evidence in the images of an audit, in the order in which it was found.
SELECT e.image_id, e.aspect, e.statement, e.source, e.weight, e.value
FROM gpu_evidence AS e
WHERE e.image_id IN (SELECT image_id FROM image_inventory WHERE audit_id = $audit_id)
ORDER BY e.rowid
