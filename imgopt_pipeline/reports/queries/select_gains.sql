-- What actions have gained on each host: of deployments and moves that are verified.
SELECT host, what, count(*) AS items, sum(gained_bytes) AS gained_bytes, coalesce(sum(freed_bytes), 0) AS freed_bytes,
    coalesce(sum(pending_bytes), 0) AS pending_bytes
FROM (
    SELECT host, 'deployment' AS what, measured_bytes AS gained_bytes, freed_bytes, pending_bytes
    FROM measured_gains
    UNION ALL
    SELECT host, 'move', file_bytes, freed_bytes, pending_bytes
    FROM migrated_data
)
WHERE host = coalesce($host, host)
GROUP BY host, what
ORDER BY host, what
