-- The containers of an audit.
SELECT
    name, image_id, image_reference, state, running, compose_project, compose_service, compose_working_dir,
    compose_config_files, log_driver, log_bytes
FROM container_inventory
WHERE audit_id = $audit_id
ORDER BY name, container_id
