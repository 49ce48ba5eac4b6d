-- The images of an audit with their sizes and the GPU verdict over all their containers.
SELECT
    i.image_id, i.name, i.image_references, i.digests, i.dangling, i.reported_bytes, i.base_image_id,
    coalesce(m.chain_id, '') AS chain_id, m.created_at, coalesce(map_entries(m.labels), []) AS labels,
    n.size_bytes,
    p.message AS problem,
    g.verdict, g.confidence, g.explanation, g.granted, g.used, g.need,
    coalesce(g.build, c.build) AS build,
    coalesce(g.gpu_bytes, c.gpu_bytes) AS gpu_bytes
FROM image_inventory AS i
LEFT JOIN images AS m USING (image_id)
LEFT JOIN layer_analysis AS n USING (image_id)
LEFT JOIN image_gpu AS c USING (image_id)
LEFT JOIN (
    SELECT image_id, any_value(message) AS message
    FROM audit_problems JOIN image_inventory USING (audit_id)
    WHERE audit_id = $audit_id AND subject IN (image_id, name)
    GROUP BY image_id
) AS p USING (image_id)
LEFT JOIN (
    SELECT * FROM gpu_checks
    WHERE audit_id = $audit_id AND container_id IS NULL
    QUALIFY row_number() OVER (PARTITION BY image_id ORDER BY subject) = 1
) AS g USING (image_id)
WHERE i.audit_id = $audit_id
ORDER BY i.name, i.image_id
