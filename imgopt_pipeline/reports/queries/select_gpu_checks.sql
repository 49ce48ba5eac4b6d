SELECT host, image_id, container_id, subject, build, versions, gpu_bytes, granted, used, need, verdict, confidence,
    explanation, evidence
FROM latest_gpu_checks
WHERE host = coalesce($host, host) AND image_id = coalesce($image_id, image_id)
ORDER BY host, build IN ('cpu', 'none'), gpu_bytes DESC, image_id, container_id IS NOT NULL, subject
