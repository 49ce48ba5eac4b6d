-- What an analyst asks first. Each view has a comment; docs/reference/tables.md is made from them.

CREATE OR REPLACE VIEW latest_audits AS
SELECT * FROM audits
WHERE status <> 'unreachable'
QUALIFY row_number() OVER (PARTITION BY host ORDER BY finished_at DESC, audit_id) = 1;
COMMENT ON VIEW latest_audits IS 'The newest audit of each host that could be read.';

CREATE OR REPLACE VIEW latest_layers AS
SELECT
    a.host, i.image_id, i.name, l.position, l.diff_id, l.chain_id, l.created_by,
    y.tar_bytes, y.file_bytes, y.entry_count, y.reader, b.live_bytes, b.dead_bytes,
    count(*) OVER (PARTITION BY a.host, l.chain_id) AS holders
FROM latest_audits AS a
JOIN image_inventory AS i USING (audit_id)
JOIN image_layers AS l USING (image_id)
LEFT JOIN layers AS y USING (diff_id)
LEFT JOIN image_layer_bytes AS b USING (image_id, position);
COMMENT ON VIEW latest_layers IS 'Every layer of every image of each host''s newest audit; holders is the number of images that store it.';

CREATE OR REPLACE VIEW latest_images AS
WITH users AS (
    SELECT audit_id, image_id, count(*) AS containers, count(*) FILTER (running) AS running_containers
    FROM container_inventory GROUP BY ALL
),
stored AS (
    SELECT
        host, image_id,
        sum(file_bytes) FILTER (holders > 1) AS shared_bytes,
        sum(file_bytes) FILTER (holders = 1) AS unique_bytes,
        bool_and(file_bytes IS NOT NULL) AS known
    FROM latest_layers GROUP BY ALL
)
SELECT
    a.host, a.audit_id, i.image_id, i.name, i.image_references, i.digests, i.dangling, i.source,
    coalesce(u.containers, 0) AS containers,
    coalesce(u.running_containers, 0) AS running_containers,
    n.size_bytes,
    i.reported_bytes,
    CASE WHEN coalesce(s.known, true) THEN coalesce(s.unique_bytes, 0)::BIGINT END AS unique_bytes,
    CASE WHEN coalesce(s.known, true) THEN coalesce(s.shared_bytes, 0)::BIGINT END AS shared_bytes,
    n.live_bytes, n.dead_bytes, n.live_files, n.dead_files, n.efficiency,
    n.dive_efficiency, n.dive_wasted_bytes,
    m.layer_count, m.architecture, m.os, m.created_at, m.chain_id, m.labels,
    m.default_user, m.has_healthcheck, m.env_names,
    i.base_image_id, i.base_reference, i.base_evidence
FROM latest_audits AS a
JOIN image_inventory AS i USING (audit_id)
JOIN images AS m USING (image_id)
LEFT JOIN layer_analysis AS n USING (image_id)
LEFT JOIN users AS u ON u.audit_id = a.audit_id AND u.image_id = i.image_id
LEFT JOIN stored AS s ON s.host = a.host AND s.image_id = i.image_id;
COMMENT ON VIEW latest_images IS 'The images of each host''s newest audit with sizes, sharing, waste and use; bytes are null where layers could not be read.';

CREATE OR REPLACE VIEW latest_containers AS
SELECT c.* FROM latest_audits JOIN container_inventory AS c USING (audit_id);
COMMENT ON VIEW latest_containers IS 'The containers of each host''s newest audit.';

CREATE OR REPLACE VIEW latest_problems AS
SELECT p.*
FROM audit_problems AS p
JOIN (
    SELECT host, arg_max(audit_id, finished_at) AS audit_id FROM audits GROUP BY host
) USING (audit_id);
COMMENT ON VIEW latest_problems IS 'What each host''s newest audit could not read, also where it read nothing.';

CREATE OR REPLACE VIEW latest_wasted_files AS
SELECT i.host, i.name, w.*
FROM wasted_files AS w
JOIN latest_images AS i USING (image_id);
COMMENT ON VIEW latest_wasted_files IS 'Dead files of the images of each host''s newest audit.';

CREATE OR REPLACE VIEW latest_disk_usage AS
WITH chains AS (
    SELECT l.host, l.chain_id, max(l.file_bytes) AS file_bytes, bool_or(i.containers > 0) AS used
    FROM latest_layers AS l
    JOIN latest_images AS i ON i.host = l.host AND i.image_id = l.image_id
    GROUP BY ALL
),
image_bytes AS (
    SELECT
        host, bool_and(file_bytes IS NOT NULL) AS known,
        sum(file_bytes)::BIGINT AS size_bytes,
        coalesce(sum(file_bytes) FILTER (NOT used), 0)::BIGINT AS reclaimable_bytes
    FROM chains GROUP BY host
),
image_counts AS (
    SELECT host, count(*) AS items, count(*) FILTER (containers > 0) AS active_items FROM latest_images GROUP BY host
)
SELECT d.host, d.kind, d.items, d.active_items, d.size_bytes, d.reclaimable_bytes, 'engine' AS source
FROM latest_audits AS a
JOIN disk_usage AS d USING (audit_id)
WHERE d.kind <> 'images' OR NOT EXISTS (SELECT 1 FROM image_bytes AS b WHERE b.host = d.host AND b.known)
UNION ALL
SELECT host, 'images', items, active_items, size_bytes, reclaimable_bytes, 'layers'
FROM image_bytes JOIN image_counts USING (host)
WHERE known;
COMMENT ON VIEW latest_disk_usage IS 'What takes the disk at each host''s newest audit; for images computed from chain IDs, each stored layer once.';

CREATE OR REPLACE VIEW top_images AS
SELECT host, name, size_bytes, unique_bytes, dead_bytes, efficiency, containers, running_containers, dangling
FROM latest_images
QUALIFY row_number() OVER (PARTITION BY host ORDER BY coalesce(size_bytes, reported_bytes) DESC NULLS LAST, name) <= 10
ORDER BY host, coalesce(size_bytes, reported_bytes) DESC NULLS LAST, name;
COMMENT ON VIEW top_images IS 'The ten biggest images of each host.';

CREATE OR REPLACE VIEW reclaimable_bytes AS
SELECT host, sum(size_bytes)::BIGINT AS size_bytes, sum(reclaimable_bytes)::BIGINT AS reclaimable_bytes
FROM latest_disk_usage GROUP BY host;
COMMENT ON VIEW reclaimable_bytes IS 'What each host''s images, containers, volumes and build cache take, and what nothing uses.';

CREATE OR REPLACE VIEW shared_layers AS
SELECT host, chain_id, any_value(diff_id) AS diff_id, max(holders) AS holders, max(file_bytes) AS file_bytes,
    max(file_bytes) * (max(holders) - 1) AS saved_bytes, any_value(created_by) AS created_by,
    list(name ORDER BY name) AS images
FROM latest_layers
WHERE holders > 1
GROUP BY host, chain_id;
COMMENT ON VIEW shared_layers IS 'Layers that several images of a host share, and what sharing saves.';

CREATE OR REPLACE VIEW size_trend AS
WITH chains AS (
    SELECT DISTINCT i.audit_id, l.chain_id, y.file_bytes
    FROM image_inventory AS i
    JOIN image_layers AS l USING (image_id)
    LEFT JOIN layers AS y USING (diff_id)
),
totals AS (
    SELECT audit_id, sum(file_bytes)::BIGINT AS image_bytes FROM chains GROUP BY audit_id
)
SELECT a.host, a.audit_id, a.finished_at, a.images, a.containers,
    coalesce(t.image_bytes, 0) AS image_bytes,
    coalesce(t.image_bytes, 0)
        - lag(coalesce(t.image_bytes, 0)) OVER (PARTITION BY a.host ORDER BY a.finished_at) AS change_bytes
FROM audits AS a
LEFT JOIN totals AS t USING (audit_id)
WHERE a.status <> 'unreachable';
COMMENT ON VIEW size_trend IS 'What each host''s images took at each audit, every stored layer once, and the change since the audit before.';

CREATE OR REPLACE VIEW image_trend AS
SELECT a.host, r.reference, a.finished_at, i.image_id, n.size_bytes, n.dead_bytes,
    n.size_bytes - lag(n.size_bytes) OVER (PARTITION BY a.host, r.reference ORDER BY a.finished_at) AS change_bytes
FROM audits AS a
JOIN image_inventory AS i USING (audit_id)
CROSS JOIN unnest(i.image_references) AS r(reference)
LEFT JOIN layer_analysis AS n USING (image_id);
COMMENT ON VIEW image_trend IS 'The size of what each tag named at each audit, and the change since the audit before.';
