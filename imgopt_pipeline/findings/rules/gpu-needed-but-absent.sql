-- title: Needs a GPU and has none
-- severity: high
-- risk: medium
-- why: The application asks for a GPU in a way that has no other way out. Without one it fails as soon as it gets
--   there.
SELECT
    CASE WHEN container_id IS NULL THEN 'image' ELSE 'container' END AS subject_kind, subject, image_id, NULL AS path,
    gpu_bytes AS size_bytes, 0 AS low_bytes, 0 AS likely_bytes, 0 AS high_bytes,
    explanation || ' (' || confidence || '). Seen: '
        || coalesce(nullif(array_to_string(list_transform(evidence[1:4], lambda e: e.statement || ' (' || e.source
            || ')'), '; '), ''), 'no single piece of evidence')
        || '.' AS evidence,
    'Give the container a GPU (`deploy.resources.reservations.devices` in the compose file, `--gpus all` with docker '
        || 'run), or change the '
        || 'application to use the CPU; stop it until then.' AS advice
FROM host_gpu_checks AS c
WHERE verdict = 'broken' AND (
    container_id IS NOT NULL
    OR NOT EXISTS (
        SELECT 1 FROM host_gpu_checks AS o WHERE o.image_id = c.image_id AND o.container_id IS NOT NULL
            AND o.verdict = 'broken'
    )
)
