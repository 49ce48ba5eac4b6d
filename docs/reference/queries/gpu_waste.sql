-- How much is there for GPUs that no container has?
SELECT host, image, build, gpu_bytes, verdict, explanation
FROM gpu_waste
ORDER BY gpu_bytes DESC;
