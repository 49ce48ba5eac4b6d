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

CREATE OR REPLACE VIEW latest_packages AS
SELECT i.host, i.name AS image, p.*
FROM latest_audits AS a
JOIN image_inventory AS i USING (audit_id)
JOIN package_inventory AS p USING (image_id);
COMMENT ON VIEW latest_packages IS 'The packages of the images of each host''s newest audit, with the bytes that no package owns as ecosystem none.';

CREATE OR REPLACE VIEW latest_space AS
SELECT i.host, i.name AS image, s.*
FROM latest_audits AS a
JOIN image_inventory AS i USING (audit_id)
JOIN space_usage AS s USING (image_id);
COMMENT ON VIEW latest_space IS 'What fills the images of each host''s newest audit, by layer, category and folder.';

CREATE OR REPLACE VIEW space_by_category AS
SELECT host, category, sum(size_bytes)::BIGINT AS size_bytes, sum(files)::BIGINT AS files,
    count(DISTINCT image_id) AS images
FROM (
    -- A layer that several images hold is on the disk once.
    SELECT s.host, s.image_id, s.category, s.prefix, s.size_bytes, s.files
    FROM latest_space AS s
    JOIN latest_layers AS l ON l.host = s.host AND l.image_id = s.image_id AND l.position = s.position
    QUALIFY rank() OVER (PARTITION BY s.host, l.chain_id ORDER BY s.image_id) = 1
)
GROUP BY host, category;
COMMENT ON VIEW space_by_category IS 'What fills each host''s images, every stored layer once.';

CREATE OR REPLACE VIEW latest_gpu_checks AS
SELECT g.* FROM latest_audits JOIN gpu_checks AS g USING (audit_id, host);
COMMENT ON VIEW latest_gpu_checks IS 'The GPU verdicts of each host''s newest audit.';

CREATE OR REPLACE VIEW gpu_waste AS
SELECT host, subject AS image, build, versions, gpu_bytes, verdict, confidence, explanation
FROM latest_gpu_checks
WHERE container_id IS NULL AND build IN ('cuda', 'rocm') AND verdict IN ('denied', 'broken');
COMMENT ON VIEW gpu_waste IS 'Images built for a GPU that no container of them has, with the bytes that are there for it.';

CREATE OR REPLACE VIEW latest_data_directories AS
SELECT d.* FROM latest_audits JOIN data_directories AS d USING (audit_id, host);
COMMENT ON VIEW latest_data_directories IS 'The data directories of each host''s newest audit.';

CREATE OR REPLACE VIEW latest_volumes AS
SELECT v.* FROM latest_audits JOIN volume_inventory AS v USING (audit_id, host);
COMMENT ON VIEW latest_volumes IS 'The volumes of each host''s newest audit.';

CREATE OR REPLACE VIEW latest_findings AS
SELECT f.*, r.title, r.risk, r.why
FROM latest_audits JOIN findings AS f USING (audit_id, host) LEFT JOIN finding_rules AS r USING (rule_id);
COMMENT ON VIEW latest_findings IS 'The findings of each host''s newest audit, with the title and reason of their rules.';

CREATE OR REPLACE VIEW latest_plan AS
SELECT p.* FROM latest_audits JOIN optimization_plan AS p USING (audit_id, host);
COMMENT ON VIEW latest_plan IS 'The plan of each host''s newest audit.';

CREATE OR REPLACE VIEW plan_totals AS
SELECT host, phase, count(*) AS items, sum(low_bytes)::BIGINT AS low_bytes, sum(likely_bytes)::BIGINT AS likely_bytes,
    sum(high_bytes)::BIGINT AS high_bytes
FROM latest_plan WHERE phase IS NOT NULL GROUP BY host, phase;
COMMENT ON VIEW plan_totals IS 'What each phase of each host''s plan gives.';

CREATE OR REPLACE VIEW duplicate_packages AS
WITH held AS (
    -- What lies in a layer that images share is stored once already.
    SELECT DISTINCT p.host, l.chain_id, p.ecosystem, p.name, p.version, p.fingerprint, p.size_bytes, p.location
    FROM latest_packages AS p
    JOIN latest_layers AS l ON l.host = p.host AND l.image_id = p.image_id AND l.position = p.position
    WHERE p.ecosystem <> 'none' AND p.size_bytes > 0
),
images AS (
    SELECT host, ecosystem, name, version, size_bytes, count(DISTINCT image_id) AS images,
        list(DISTINCT image ORDER BY image) AS image_names
    FROM latest_packages WHERE ecosystem <> 'none' AND size_bytes > 0 GROUP BY ALL
)
SELECT h.host, h.ecosystem, h.name, h.version, h.size_bytes, count(*) AS copies,
    h.size_bytes * (count(*) - 1) AS duplicated_bytes,
    count(h.fingerprint) = count(*) AND count(DISTINCT h.fingerprint) = 1 AS same_files,
    any_value(i.image_names) AS images
FROM held AS h JOIN images AS i USING (host, ecosystem, name, version, size_bytes)
GROUP BY h.host, h.ecosystem, h.name, h.version, h.size_bytes
HAVING count(*) > 1;
COMMENT ON VIEW duplicate_packages IS 'Packages that a host stores more than once, by name, version and size; same_files where their checksums agree.';

CREATE OR REPLACE VIEW common_base_savings AS
SELECT host, images, count(*) AS packages, sum(duplicated_bytes)::BIGINT AS saved_bytes
FROM duplicate_packages GROUP BY host, images;
COMMENT ON VIEW common_base_savings IS 'What a common base with their equal packages would save, by group of images.';

CREATE OR REPLACE VIEW similar_layers AS
SELECT a.host, a.name AS image, a.position, b.name AS other_image, b.position AS other_position,
    a.file_bytes, b.file_bytes AS other_file_bytes, a.created_by
FROM latest_layers AS a
JOIN latest_layers AS b ON a.host = b.host AND a.created_by = b.created_by AND a.diff_id < b.diff_id
WHERE a.file_bytes > 10000000 AND abs(a.file_bytes - b.file_bytes) <= 0.05 * greatest(a.file_bytes, b.file_bytes);
COMMENT ON VIEW similar_layers IS 'Layers of the same build step that are almost equal and stored apart: built at different times.';

CREATE OR REPLACE VIEW same_content_images AS
SELECT host, chain_id, count(*) AS images, list(name ORDER BY name) AS names, any_value(size_bytes) AS size_bytes
FROM latest_images WHERE chain_id <> '' GROUP BY host, chain_id HAVING count(*) > 1;
COMMENT ON VIEW same_content_images IS 'Images that differ in tags or configuration only: their layers are the same.';

CREATE OR REPLACE VIEW old_versions AS
SELECT host, repository, name, image_id, created_at, size_bytes, unique_bytes, containers, running_containers
FROM (
    SELECT i.*, regexp_replace(r.reference, '(:[^:/]*)?(@.*)?$', '') AS repository
    FROM latest_images AS i CROSS JOIN unnest(i.image_references) AS r(reference)
)
QUALIFY count(DISTINCT image_id) OVER (PARTITION BY host, repository) > 1
    AND row_number() OVER (PARTITION BY host, repository ORDER BY created_at DESC NULLS LAST, image_id) > 1;
COMMENT ON VIEW old_versions IS 'Images of a repository of which the host also has a newer one.';

CREATE OR REPLACE VIEW latest_builds AS
SELECT * FROM builds QUALIFY row_number() OVER (PARTITION BY host, reference ORDER BY started_at DESC, build_id) = 1;
COMMENT ON VIEW latest_builds IS 'The newest optimized build of each image.';

CREATE OR REPLACE VIEW build_accuracy AS
SELECT host, reference, started_at, techniques, old_bytes, new_bytes, old_bytes - new_bytes AS measured_bytes,
    low_bytes, likely_bytes, high_bytes,
    old_bytes - new_bytes BETWEEN low_bytes AND high_bytes AS within_range
FROM builds WHERE outcome = 'kept' AND kind = 'rewrite';
COMMENT ON VIEW build_accuracy IS 'Expected and measured gain of each candidate that was kept.';

CREATE OR REPLACE VIEW estimate_accuracy AS
WITH newest AS (
    -- A rebuild of the same image by the same rules tells nothing new.
    SELECT r.* FROM build_rules AS r JOIN builds AS b USING (build_id)
    QUALIFY row_number() OVER (PARTITION BY b.host, b.source_image_id, r.technique, r.decision ORDER BY b.started_at DESC) = 1
)
SELECT technique, count(*) FILTER (decision = 'kept') AS kept, count(*) FILTER (decision = 'dropped') AS dropped,
    coalesce(sum(likely_bytes) FILTER (decision = 'kept'), 0)::BIGINT AS likely_bytes,
    coalesce(sum(measured_bytes) FILTER (decision = 'kept'), 0)::BIGINT AS measured_bytes,
    count(*) FILTER (decision = 'kept' AND measured_bytes BETWEEN low_bytes AND high_bytes) AS within_range,
    sum(measured_bytes) FILTER (decision = 'kept') / nullif(sum(likely_bytes) FILTER (decision = 'kept'), 0)
        AS measured_per_likely
FROM newest WHERE decision IN ('kept', 'dropped') GROUP BY technique;
COMMENT ON VIEW estimate_accuracy IS 'How each rule did in optimized builds: kept or dropped, what it was expected and measured to free.';

CREATE OR REPLACE VIEW latest_deployments AS
SELECT * FROM deployments
QUALIFY row_number() OVER (
    PARTITION BY host, coalesce(reference, subject) ORDER BY started_at DESC, deployment_id
) = 1;
COMMENT ON VIEW latest_deployments IS 'The newest deployment of each image.';

CREATE OR REPLACE VIEW measured_gains AS
SELECT d.host, d.subject, d.reference, d.finished_at, d.deployment_id, d.build_id,
    d.old_bytes, d.new_bytes, d.old_bytes - d.new_bytes AS measured_bytes,
    b.low_bytes, b.likely_bytes, b.high_bytes,
    d.old_bytes - d.new_bytes BETWEEN b.low_bytes AND b.high_bytes AS within_range,
    d.gap_seconds,
    d.freed_bytes,
    -- Only what no other image shares goes with the old one.
    CASE WHEN d.freed_bytes IS NULL THEN i.unique_bytes END AS pending_bytes,
    d.kept_until
FROM deployments AS d
-- Nothing is expected of an image that is only flattened.
LEFT JOIN builds AS b ON b.build_id = d.build_id AND b.kind = 'rewrite'
LEFT JOIN latest_images AS i ON i.host = d.host AND i.image_id = d.old_image_id
WHERE d.outcome = 'verified';
COMMENT ON VIEW measured_gains IS 'What each verified deployment gained: expected of its build, measured in bytes of the image, and freed on the disk once the old image was removed; pending_bytes is what waits for that, null where no audit has seen it.';

CREATE OR REPLACE VIEW migrated_data AS
SELECT host, subject, source, destination, filesystem, units, finished_at, files, file_bytes, gap_seconds,
    pending_bytes, freed_bytes, kept_until, set_aside
FROM migrations
WHERE outcome = 'verified';
COMMENT ON VIEW migrated_data IS 'Data that was moved and is in use at its new place: what is freed, and what waits for its source to be deleted.';
