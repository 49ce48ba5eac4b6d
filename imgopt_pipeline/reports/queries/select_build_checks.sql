-- What belongs to one optimized build.
FROM build_checks WHERE build_id = $build_id ORDER BY rowid
