-- title: An older version of an image that is here in a newer one
-- severity: low
-- risk: low
-- why: Each deployment leaves the version before it behind. One may be wanted for going back; the others only take
--   space.
SELECT
    'image' AS subject_kind, i.name AS subject, i.image_id, NULL AS path,
    i.size_bytes, i.unique_bytes AS low_bytes, i.unique_bytes AS likely_bytes, i.unique_bytes AS high_bytes,
        severity_of(i.unique_bytes) AS severity,
    'Built ' || strftime(i.created_at, '%Y-%m-%d') || '; ' || n.name || ' of the same repository was built '
        || strftime(n.created_at, '%Y-%m-%d')
        || '. No container uses the old one; ' || human(i.unique_bytes) || ' of its ' || human(i.size_bytes)
        || ' lie in layers that no other image holds.' AS evidence,
    'Keep the one you would go back to; remove the others: `docker image rm ' || i.name || '`.' AS advice
FROM host_old_versions AS o
JOIN host_images AS i USING (image_id)
JOIN host_images AS n ON n.image_id = o.newest_id
WHERE i.containers = 0 AND i.built_on_it = 0
