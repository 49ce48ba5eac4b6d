-- What belongs to one optimized build.
FROM build_attempts WHERE build_id = $build_id ORDER BY attempt
