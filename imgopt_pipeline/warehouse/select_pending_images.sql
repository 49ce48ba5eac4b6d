-- Images of an audit that this version has not analysed yet, with their layers.
SELECT
    i.image_id, i.image_references, i.name, i.source, i.reported_bytes,
    list({'position': l.position, 'diff_id': l.diff_id, 'chain_id': l.chain_id, 'created_by': l.created_by}
        ORDER BY l.position) FILTER (l.position IS NOT NULL) AS layers
FROM image_inventory AS i
LEFT JOIN image_layers AS l USING (image_id)
WHERE i.audit_id = $audit_id
  AND i.image_id NOT IN (SELECT image_id FROM layer_analysis WHERE analyser_version = $analyser_version)
GROUP BY ALL
ORDER BY i.name, i.image_id
