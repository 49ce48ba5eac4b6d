-- Optimized builds, the newest first; one of them by its ID.
FROM builds
WHERE ($build_id IS NULL OR build_id = $build_id) AND ($host IS NULL OR host = $host)
    AND ($reference IS NULL OR reference = $reference)
ORDER BY started_at DESC, build_id
