SELECT host, container_id, name, image_id, image_reference, state, running, compose_project, compose_service
FROM latest_containers
WHERE host = coalesce($host, host)
ORDER BY host, name
