-- The packages of an examined image with what their files take and the layer that most of them came with.
SELECT o.ecosystem, o.name, o.version, coalesce(o.location, '') AS location, o.local_version,
    coalesce(sum(f.size_bytes), 0)::BIGINT AS size_bytes, any_value(o.requires) AS requires,
    o.development, o.only_recommended, coalesce(o.gpu_role, '') AS gpu_role, coalesce(o.section, '') AS section,
    mode(f.position) AS position
FROM owners AS o
LEFT JOIN ownership AS w USING (owner_id)
LEFT JOIN live_files AS f USING (file_id)
GROUP BY o.owner_id, o.ecosystem, o.name, o.version, o.location, o.local_version, o.development, o.only_recommended,
    o.gpu_role, o.section
ORDER BY o.ecosystem, o.name, o.location;
