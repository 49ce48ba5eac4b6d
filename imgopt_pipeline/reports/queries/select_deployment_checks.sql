-- What was looked at in one deployment, in the order in which that was done.
FROM deployment_checks WHERE deployment_id = $deployment_id ORDER BY rowid
