-- The packages with their bytes, after ownership.sql. The last row is what no package owns.
WITH owned AS (
    SELECT w.owner_id, f.file_id, f.position, f.path, f.size_bytes, f.crc64
    FROM ownership AS w JOIN live_files AS f USING (file_id)
),
by_layer AS (
    SELECT owner_id, position, sum(size_bytes) AS size_bytes, count(*) AS files FROM owned GROUP BY ALL
),
totals AS (
    SELECT
        owner_id, sum(size_bytes)::BIGINT AS size_bytes, sum(files)::BIGINT AS files,
        arg_max(position, (size_bytes, position)) AS position
    FROM by_layer GROUP BY owner_id
),
prints AS (
    -- Paths from the package's own folder on: the same wheel may lie in another prefix elsewhere.
    SELECT owner_id, md5(string_agg(line, chr(10) ORDER BY line)) AS fingerprint
    FROM (
        SELECT w.owner_id, f.size_bytes, f.crc64,
            concat_ws(' ', CASE WHEN starts_with(f.path, o.location || '/') THEN substr(f.path, length(o.location) + 2) ELSE f.path END,
                f.size_bytes, f.crc64) AS line
        FROM ownership AS w JOIN live_files AS f USING (file_id) JOIN owners AS o USING (owner_id)
        WHERE NOT ends_with(f.path, '.pyc')
    )
    GROUP BY owner_id
    HAVING bool_and(crc64 IS NOT NULL OR size_bytes = 0)
)
SELECT
    o.ecosystem, o.name, o.version, o.local_version, o.location,
    coalesce(t.position, d.position) AS position,
    coalesce(t.size_bytes, 0) AS size_bytes, coalesce(t.files, 0) AS files,
    o.installed_bytes, o.requested, o.development, o.only_recommended, o.section, o.requires, o.gpu_role, p.fingerprint
FROM owners AS o
LEFT JOIN totals AS t USING (owner_id)
LEFT JOIN prints AS p USING (owner_id)
LEFT JOIN (SELECT path, any_value(position) AS position FROM live_files GROUP BY path) AS d ON d.path = o.document
UNION ALL
SELECT
    'none', '', '', NULL, '', NULL, coalesce(sum(size_bytes), 0)::BIGINT, count(*),
    NULL, NULL, false, false, '', [], '', NULL
FROM live_files ANTI JOIN ownership USING (file_id)
ORDER BY size_bytes DESC, ecosystem, name, location
