-- What rules share: temporary tables with the facts of one audit, put together once, and a few macros.
--
-- host_images, host_layers, host_containers, host_packages, host_gpu_checks, technique_bytes hold only what
-- the audited host has. Tables of the warehouse are there too, but hold all audits: filter them by $audit_id.

-- 8770000000 → 8.77 GB, as everywhere in imgopt.
CREATE OR REPLACE TEMP MACRO human(size) AS CASE
    WHEN size IS NULL THEN '–'
    WHEN size < 999.5 THEN format('{:.3g} B', size::DOUBLE)
    WHEN size < 999.5e3 THEN format('{:.3g} kB', size / 1e3)
    WHEN size < 999.5e6 THEN format('{:.3g} MB', size / 1e6)
    WHEN size < 999.5e9 THEN format('{:.3g} GB', size / 1e9)
    ELSE format('{:.3g} TB', size / 1e12)
END;

CREATE OR REPLACE TEMP MACRO counted(number, noun) AS
    format('{:,} ', number::BIGINT) || noun || CASE number WHEN 1 THEN '' ELSE 's' END;

CREATE OR REPLACE TEMP MACRO some_of(names) AS
    array_to_string(names[1:5], ', ') || CASE WHEN len(names) > 5 THEN format(' and {:,} more', len(names) - 5)
        ELSE '' END;

CREATE OR REPLACE TEMP MACRO shortened(line) AS
    CASE WHEN length(line) > 120 THEN line[1:119] || '…' ELSE line END;

CREATE OR REPLACE TEMP MACRO severity_of(size) AS
    CASE WHEN size >= 1e9 THEN 'high' WHEN size >= 100e6 THEN 'medium' WHEN size > 0 THEN 'low' ELSE 'info' END;

-- registry:5000/team/app:1.2 → registry:5000/team/app
CREATE OR REPLACE TEMP MACRO repository(reference) AS regexp_replace(split_part(reference, '@', 1), ':[^:/]*$', '');

-- Names whose value is a secret, as redaction.py sees them, but not those of a file that holds it.
CREATE OR REPLACE TEMP MACRO looks_secret(name) AS
    regexp_matches(
        regexp_replace(lower(name), 'tokeniz|max_?(new_)?tokens?|author([^i]|i[^z]|$)', ' ', 'g'),
        'token|secret|password|passwd|passphrase|pwd|credential|auth|signature|api[_-]?key|access[_-]?key|private[_-]?key'
        '|license[_-]?key|db_pass'
    )
    AND lower(name) NOT IN ('pwd', 'oldpwd')
    AND NOT regexp_matches(lower(name), '(_|^)(file|files|path|dir|sock|enabled|method|type|header)$');

CREATE TEMP TABLE audit_time AS
SELECT coalesce(
    (SELECT started_at FROM host_facts WHERE audit_id = $audit_id AND host = $host),
    (SELECT started_at FROM audits WHERE audit_id = $audit_id AND host = $host),
    now()::TIMESTAMP
) AS audited_at,
coalesce((SELECT engine_kind FROM host_facts WHERE audit_id = $audit_id AND host = $host), '') AS engine_kind;

CREATE TEMP TABLE host_containers AS
FROM container_inventory WHERE audit_id = $audit_id AND host = $host;

CREATE TEMP TABLE host_layers AS
WITH held AS (
    SELECT
        i.image_id, i.name, m.chain_id AS content, l.position, l.diff_id, l.chain_id, l.created_by, y.file_bytes
    FROM image_inventory AS i
    JOIN images AS m USING (image_id)
    JOIN image_layers AS l USING (image_id)
    LEFT JOIN layers AS y USING (diff_id)
    WHERE i.audit_id = $audit_id AND i.host = $host
),
holders AS (
    SELECT chain_id, count(DISTINCT content) AS contents, count(DISTINCT image_id) AS images FROM held GROUP BY chain_id
)
SELECT h.*, o.contents AS holding_contents, o.images AS holding_images
FROM held AS h JOIN holders AS o USING (chain_id);

CREATE TEMP TABLE host_gpu_checks AS
FROM gpu_checks WHERE audit_id = $audit_id AND host = $host;

CREATE TEMP TABLE host_images AS
WITH users AS (
    SELECT image_id, count(*) AS containers, count(*) FILTER (running) AS running_containers
    FROM host_containers GROUP BY image_id
),
stored AS (
    SELECT image_id, coalesce(sum(file_bytes) FILTER (holding_images = 1), 0)::BIGINT AS unique_bytes
    FROM host_layers GROUP BY image_id
),
bases AS (
    SELECT base_image_id AS image_id, count(*) AS built_on_it
    FROM image_inventory
    WHERE audit_id = $audit_id AND host = $host AND base_image_id IS NOT NULL
    GROUP BY base_image_id
)
SELECT
    i.image_id, i.name, i.image_references, i.digests, i.dangling, i.base_image_id, i.base_reference, i.base_evidence,
    m.chain_id, m.created_at, m.layer_count, m.labels, m.default_user, m.has_healthcheck, m.env_names,
    coalesce(n.size_bytes, i.reported_bytes, 0) AS size_bytes,
    n.live_bytes, n.dead_bytes, n.efficiency,
    coalesce(s.unique_bytes, 0) AS unique_bytes,
    coalesce(u.containers, 0) AS containers,
    coalesce(u.running_containers, 0) AS running_containers,
    coalesce(b.built_on_it, 0) AS built_on_it,
    g.verdict, g.confidence, g.explanation, g.build, g.gpu_bytes
FROM image_inventory AS i
JOIN images AS m USING (image_id)
LEFT JOIN layer_analysis AS n USING (image_id)
LEFT JOIN stored AS s USING (image_id)
LEFT JOIN users AS u USING (image_id)
LEFT JOIN bases AS b USING (image_id)
LEFT JOIN host_gpu_checks AS g ON g.image_id = i.image_id AND g.container_id IS NULL
WHERE i.audit_id = $audit_id AND i.host = $host
QUALIFY row_number() OVER (PARTITION BY i.image_id ORDER BY g.verdict) = 1;

-- `holding_contents` is how many different images hold the layer that most of the package lies in.
CREATE TEMP TABLE host_packages AS
SELECT p.*, i.name AS image, l.chain_id, l.holding_contents
FROM package_inventory AS p
JOIN host_images AS i USING (image_id)
LEFT JOIN host_layers AS l ON l.image_id = p.image_id AND l.position = p.position
WHERE p.ecosystem <> 'none';

-- What each technique, taken by itself, would remove from each image. Bytes in layers that another content of
-- the host holds too would stay, so they count in size_bytes only.
CREATE TEMP TABLE technique_bytes AS
WITH claimed AS (
    SELECT image_id, position, dead, size_bytes, files, example, split_part(claim, ':', 1) AS technique,
        split_part(claim, ':', 2) AS level
    FROM (
        SELECT r.*, unnest(r.claims) AS claim
        FROM removable_bytes AS r SEMI JOIN host_images USING (image_id)
    )
),
sums AS (
    SELECT
        c.image_id, c.technique,
        sum(c.size_bytes)::BIGINT AS size_bytes,
        coalesce(sum(c.size_bytes) FILTER (freed AND level = 'low'), 0)::BIGINT AS low_bytes,
        coalesce(sum(c.size_bytes) FILTER (freed AND level IN ('low', 'likely')), 0)::BIGINT AS likely_bytes,
        coalesce(sum(c.size_bytes) FILTER (freed), 0)::BIGINT AS high_bytes,
        sum(c.files)::BIGINT AS files,
        arg_max(c.example, (c.size_bytes, c.example)) AS example
    FROM (SELECT c.*, coalesce(l.holding_contents, 1) = 1 AS freed
          FROM claimed AS c LEFT JOIN host_layers AS l USING (image_id, position)) AS c
    GROUP BY c.image_id, c.technique
)
SELECT
    i.name, s.*,
    counted(s.files, 'file') || ' of ' || human(s.size_bytes) || ' counted, such as /' || s.example || ': '
        || CASE WHEN human(s.low_bytes) = human(s.high_bytes) THEN human(s.high_bytes)
            ELSE 'at least ' || human(s.low_bytes) || ', likely ' || human(s.likely_bytes) || ', at most '
                || human(s.high_bytes)
            END
        || ' would go'
        || CASE WHEN s.size_bytes > s.high_bytes
            THEN '; ' || human(s.size_bytes - s.high_bytes) || ' lie in layers that other images hold too and would '
                || 'stay'
            ELSE '' END
        || '.' AS evidence
FROM sums AS s JOIN host_images AS i USING (image_id)
WHERE s.high_bytes > 0;

-- Images for each of whose names the host has a newer image of the same repository.
CREATE OR REPLACE TEMP VIEW host_old_versions AS
WITH versions AS (
    SELECT image_id, created_at, unnest(list_distinct(list_transform(image_references, lambda word: repository(word))))
        AS repository
    FROM host_images
),
newest AS (
    SELECT repository, arg_max(image_id, (created_at, image_id)) AS image_id, max(created_at) AS created_at,
        count(DISTINCT image_id) AS images
    FROM versions WHERE created_at IS NOT NULL GROUP BY repository
)
SELECT v.image_id, min(v.repository) AS repository, arg_min(n.image_id, v.repository) AS newest_id
FROM versions AS v LEFT JOIN newest AS n USING (repository)
GROUP BY v.image_id
HAVING bool_and(n.image_id <> v.image_id AND v.created_at < n.created_at);
