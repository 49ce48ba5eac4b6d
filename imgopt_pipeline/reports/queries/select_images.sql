SELECT
    host, name, image_references, image_id, dangling, containers, running_containers,
    coalesce(size_bytes, reported_bytes) AS size_bytes, reported_bytes,
    unique_bytes, shared_bytes, layer_count, live_bytes, dead_bytes, efficiency,
    dive_efficiency, created_at, architecture, base_reference, base_evidence, source
FROM latest_images
WHERE host = coalesce($host, host)
ORDER BY coalesce(size_bytes, reported_bytes) DESC NULLS LAST, name
