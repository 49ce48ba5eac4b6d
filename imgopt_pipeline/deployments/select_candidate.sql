-- The newest optimized image of an image that was kept on a host.
SELECT build_id, kind, candidate_image_id, candidate_reference, old_bytes, new_bytes, techniques
FROM builds
WHERE host = $host AND source_image_id = $image_id AND outcome = 'kept'
ORDER BY started_at DESC
LIMIT 1
