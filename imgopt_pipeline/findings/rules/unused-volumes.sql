-- title: A volume that no container mounts
-- severity: low
-- risk: high
-- why: Volumes outlive their containers. Nobody sees those that are left, and they may be what is left of a database.
SELECT
    'volume' AS subject_kind, name AS subject, NULL AS image_id, mountpoint AS path,
    coalesce(size_bytes, 0) AS size_bytes, 0 AS low_bytes, coalesce(size_bytes, 0) AS likely_bytes, coalesce(size_bytes,
        0) AS high_bytes,
    severity_of(coalesce(size_bytes, 0)) AS severity,
    'No container, running or stopped, mounts it; it holds ' || coalesce(human(size_bytes), 'an unknown amount')
        || CASE WHEN anonymous THEN ' and has no name of its own.' ELSE '.' END AS evidence,
    'Look into it first (`docker run --rm -v ' || name || ':/v:ro IMAGE ls -la /v`), back it up if in doubt, then '
        || '`docker volume rm ' || name || '`.'
        AS advice
FROM volume_inventory
WHERE audit_id = $audit_id AND host = $host AND containers = 0
