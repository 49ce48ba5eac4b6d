-- Deployments, the newest first; one of them by its ID.
FROM deployments
WHERE ($deployment_id IS NULL OR deployment_id = $deployment_id) AND ($host IS NULL OR host = $host)
ORDER BY started_at DESC, deployment_id
