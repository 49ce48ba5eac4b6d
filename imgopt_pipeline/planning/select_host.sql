-- What the host of an audit is; one row, whatever of it is known.
SELECT
    coalesce(f.host, '') AS host,
    coalesce(f.engine_kind, '') AS engine_kind,
    coalesce(f.image_store, '') AS image_store,
    coalesce(g.known, false) AS gpus_known,
    coalesce(len(g.devices) > 0 OR g.driver_version IS NOT NULL, false) AS has_gpu
FROM (SELECT $audit_id AS audit_id) AS a
LEFT JOIN host_facts AS f USING (audit_id)
LEFT JOIN host_gpus AS g USING (audit_id)
