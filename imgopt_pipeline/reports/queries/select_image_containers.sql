SELECT name, state, compose_project, compose_service, restart_policy, memory_limit_bytes, log_bytes, writable_bytes
FROM latest_containers
WHERE host = $host AND image_id = $image_id
ORDER BY name
