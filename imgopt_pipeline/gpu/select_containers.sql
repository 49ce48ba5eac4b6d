-- The containers of an audit with what they were given and told about GPUs.
SELECT c.container_id, c.name, c.image_id, g.runtime, g.requests, g.environment, g.arguments, g.processes
FROM container_inventory AS c
JOIN container_gpus AS g USING (audit_id, container_id)
WHERE c.audit_id = $audit_id
ORDER BY c.name, c.container_id
