-- title: The environment asks for a GPU that is not granted
-- severity: info
-- risk: none
-- why: CUDA base images preset NVIDIA_VISIBLE_DEVICES. That looks like a GPU in every inspection, but gives none unless
--   the NVIDIA runtime or a device request is there.
SELECT
    'container' AS subject_kind, c.subject, c.image_id, NULL AS path,
    0 AS size_bytes, 0 AS low_bytes, 0 AS likely_bytes, 0 AS high_bytes,
    'NVIDIA_VISIBLE_DEVICES is ' || g.environment['NVIDIA_VISIBLE_DEVICES']
        || ' in the image, and no GPU is granted to the container.' AS evidence,
    'If it needs a GPU, grant one; if not, use a base image without CUDA.' AS advice
FROM host_gpu_checks AS c
JOIN image_gpu AS g USING (image_id)
WHERE c.container_id IS NOT NULL AND c.granted = false
  AND lower(g.environment['NVIDIA_VISIBLE_DEVICES']) NOT IN ('', 'void', 'none')
