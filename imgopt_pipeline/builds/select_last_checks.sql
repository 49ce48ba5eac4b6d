-- The checks of the newest candidate of an image that was kept.
SELECT b.candidate_image_id, b.folder, c.check_name, c.outcome, c.old_value, c.new_value, c.detail
FROM builds AS b JOIN build_checks AS c USING (build_id)
JOIN build_attempts AS a ON a.build_id = b.build_id AND a.attempt = c.attempt
WHERE b.build_id = (
    SELECT arg_max(build_id, started_at) FROM builds
    WHERE host = $host AND source_image_id = $image_id AND outcome = 'kept'
) AND a.image_id = b.candidate_image_id
ORDER BY c.rowid
