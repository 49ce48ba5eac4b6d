-- What the checks said of a build's candidate.
SELECT check_name, build_checks.outcome
FROM build_checks JOIN build_attempts USING (build_id, attempt)
WHERE build_id = $build_id AND image_id = $image_id
