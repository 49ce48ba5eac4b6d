-- Rules whose newest fate in builds of an image was to be dropped.
SELECT r.technique, arg_max(r.reason, b.started_at) AS reason
FROM build_rules AS r JOIN builds AS b USING (build_id)
WHERE b.host = $host AND b.source_image_id = $image_id AND r.decision IN ('kept', 'dropped')
GROUP BY r.technique
HAVING arg_max(r.decision, b.started_at) = 'dropped'
ORDER BY r.technique
