-- What came of the newest optimized build of each image?
SELECT host, reference, outcome, old_bytes, new_bytes, techniques, dropped, candidate_reference, summary
FROM latest_builds
ORDER BY old_bytes - coalesce(new_bytes, old_bytes) DESC;
