-- The row of `audits` for an audit whose tables are all published.
SELECT
    $audit_id AS audit_id,
    $host AS host,
    coalesce(any_value(f.started_at), $now) AS started_at,
    $now AS finished_at,
    CASE WHEN count(f.audit_id) = 0 THEN 'unreachable' WHEN any_value(p.failures) > 0 THEN 'partial' ELSE 'complete' END
        AS status,
    coalesce(any_value(f.engine_kind), '') AS engine_kind,
    coalesce(any_value(f.engine_version), '') AS engine_version,
    coalesce(any_value(f.image_store), '') AS image_store,
    (SELECT count(*) FROM image_inventory WHERE audit_id = $audit_id) AS images,
    (SELECT count(*) FROM container_inventory WHERE audit_id = $audit_id) AS containers,
    (SELECT count(DISTINCT diff_id) FROM image_inventory JOIN image_layers USING (image_id) WHERE audit_id = $audit_id)
        AS layers,
    (SELECT count(*) FROM layer_reads WHERE audit_id = $audit_id) AS layers_read,
    any_value(p.problems) AS problems,
    $imgopt_version AS imgopt_version,
    $analyser_version AS analyser_version
FROM (
    SELECT count(*) AS problems, count(*) FILTER (kind <> $remark) AS failures
    FROM audit_problems WHERE audit_id = $audit_id
) AS p
LEFT JOIN host_facts AS f ON f.audit_id = $audit_id
