-- Which containers write much to their own layer or their log, or run without a memory limit?
SELECT host, name, image_reference, compose_project, compose_service, writable_bytes, log_bytes, memory_limit_bytes
FROM latest_containers
WHERE coalesce(writable_bytes, 0) + coalesce(log_bytes, 0) > 100_000_000 OR (running AND memory_limit_bytes IS NULL)
ORDER BY coalesce(writable_bytes, 0) + coalesce(log_bytes, 0) DESC;
