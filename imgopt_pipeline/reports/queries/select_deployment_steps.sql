-- The journal of one deployment.
FROM deployment_steps WHERE deployment_id = $deployment_id ORDER BY number
