-- Which images does no container use, and what would removing each alone give back?
SELECT host, name, image_id, unique_bytes, size_bytes, created_at
FROM latest_images
WHERE containers = 0
ORDER BY unique_bytes DESC NULLS LAST;
