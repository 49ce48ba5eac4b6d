-- What belongs to one optimized build.
FROM build_rules WHERE build_id = $build_id ORDER BY technique[2:]::INTEGER
