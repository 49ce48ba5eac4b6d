-- Rows of a made-up warehouse, the same at every call; see benchmarks/rules.py.

CREATE TEMP TABLE numbers AS SELECT i, 'image-' || i AS image_id, i % 40 AS app FROM range($images) AS t(i);
CREATE TEMP TABLE audit_numbers AS SELECT a, 'audit-' || a AS audit_id FROM range($audits) AS t(a);
CREATE TEMP TABLE stacked AS
SELECT i, image_id, p, CASE WHEN p < 3 THEN 'base-' || (i % 10) || '-' || p ELSE 'own-' || i || '-' || p END AS diff_id
FROM numbers CROSS JOIN range($layers) AS t(p);

INSERT INTO host_facts BY NAME
SELECT audit_id, $host AS host, TIMESTAMP '2026-01-05 06:00' - to_days(7 * (51 - a)) AS started_at, 'docker'
    AS engine_kind,
    '28' AS engine_version, 'overlay2' AS image_store FROM audit_numbers;
INSERT INTO images BY NAME
SELECT image_id, 'chain-' || i || '-' || ($layers - 1) AS chain_id, 'amd64' AS architecture, 'linux' AS os, ''
    AS variant,
    TIMESTAMP '2026-01-01' - to_days($images - i) AS created_at, $layers AS layer_count, MAP {} AS labels,
    CASE i % 5 WHEN 0 THEN '' ELSE 'app' END AS default_user, i % 4 = 0 AS has_healthcheck,
    CASE i % 50 WHEN 0 THEN ['PATH', 'API_TOKEN'] ELSE ['PATH'] END AS env_names
FROM numbers;
INSERT INTO image_inventory BY NAME
SELECT audit_id, $host AS host, image_id, 'team/app-' || app || ':' || i AS name,
    CASE i % 20 WHEN 11 THEN [] ELSE ['team/app-' || app || ':' || i] END AS image_references, [] AS digests,
        i % 20 = 11 AS dangling,
    1000000000 AS reported_bytes, 'image-' || (i % 10) AS base_image_id, 'team/app-' || (i % 10) || ':' || (i % 10)
        AS base_reference,
    'layer prefix' AS base_evidence, '' AS source
FROM numbers CROSS JOIN audit_numbers;
INSERT INTO image_layers BY NAME
SELECT image_id, p AS position, diff_id, CASE WHEN p < 3 THEN diff_id ELSE 'chain-' || i || '-' || p END AS chain_id,
    CASE WHEN p < 6 THEN 'RUN /bin/sh -c pip install step ' || p ELSE 'COPY . /srv' END AS created_by
FROM stacked;
INSERT INTO layers BY NAME
SELECT DISTINCT ON (diff_id) diff_id, 80000000 + hash(diff_id) % 20000000 AS file_bytes, 1000 AS entry_count, 'archive'
    AS reader,
    0.1 AS read_seconds, '1' AS analyser_version
FROM stacked;
INSERT INTO image_layer_bytes BY NAME
SELECT image_id, p AS position, 60000000 AS live_bytes, 20000000 AS dead_bytes FROM stacked;
INSERT INTO layer_analysis BY NAME
SELECT image_id, 960000000 AS size_bytes, 720000000 AS live_bytes, 240000000 AS dead_bytes, 30000 AS live_files, 100
    AS dead_files,
    0.75 AS efficiency, 0.9 AS dive_efficiency, 960000000 AS dive_size_bytes, 880000000 AS dive_user_size_bytes,
    0 AS dive_wasted_bytes, 0 AS dive_user_wasted_percent, '1' AS analyser_version
FROM numbers;
INSERT INTO package_inventory BY NAME
SELECT image_id, ['python', 'debian', 'node'][1 + k % 3] AS ecosystem, 'package-' || k AS name, '1.' || (app % 3)
    AS version,
    CASE k % 50 WHEN 0 THEN 'opt/venv' ELSE 'usr/lib' END AS location, k % $layers AS position, 50000 + 20000 * k
        AS size_bytes,
    20 AS files, false AS development, false AS only_recommended, '' AS section, [] AS requires, '' AS gpu_role,
    CASE k % 4 WHEN 0 THEN NULL ELSE 'print-' || k || '-' || (app % 3) END AS fingerprint
FROM numbers CROSS JOIN range($packages) AS t(k);
INSERT INTO removable_bytes BY NAME
SELECT image_id, p AS position, false AS dead, ['R' || t || ':' || ['low', 'likely', 'high'][1 + (i + t) % 3]]
    AS claims,
    1000000 * t AS size_bytes, 10 AS files, 'srv/example' AS example
FROM stacked CROSS JOIN range(1, 19) AS r(t) WHERE p % 3 = t % 3;
INSERT INTO container_inventory BY NAME
SELECT audit_id, $host AS host, 'container-' || i AS container_id, 'container-' || i AS name, image_id,
    'team/app-' || app || CASE i % 5 WHEN 0 THEN ':latest' ELSE ':1' END AS image_reference,
    CASE i % 6 WHEN 0 THEN 'exited' ELSE 'running' END AS state, i % 6 <> 0 AS running, 'always' AS restart_policy,
    0 AS restart_count, [] AS compose_config_files, 'json-file' AS log_driver, 1000000 * (i % 200) AS log_bytes,
    1000 AS writable_bytes
FROM numbers CROSS JOIN audit_numbers WHERE i % 2 = 0;
INSERT INTO gpu_checks BY NAME
SELECT audit_id, $host AS host, image_id, CASE c WHEN 1 THEN 'container-' || i END AS container_id, image_id AS subject,
    'cuda' AS build, [] AS versions, 1000000000 AS gpu_bytes, false AS granted, 'optional' AS need,
    CASE i % 9 WHEN 0 THEN 'broken' ELSE 'denied' END AS verdict, 'high' AS confidence, 'Words.' AS explanation, []
        AS evidence
FROM numbers CROSS JOIN audit_numbers CROSS JOIN range(2) AS t(c);
INSERT INTO volume_inventory BY NAME
SELECT audit_id, $host AS host, 'volume-' || v AS name, 'local' AS driver, '/v/' || v AS mountpoint, 1000000 * v
    AS size_bytes,
    v % 2 AS containers, false AS anonymous
FROM audit_numbers CROSS JOIN range(200) AS t(v);
INSERT INTO data_directories BY NAME
SELECT audit_id, $host AS host, '/srv/data-' || d AS path, 'bind' AS kind, ['container-2'] AS containers, true
    AS running,
    1000000000 AS size_bytes, 100 AS files, ['audio', 'models', 'node_modules', 'other'][1 + d % 4] AS contents,
    MAP {['audio', 'models', 'node_modules', 'other'][1 + d % 4]: 1000000000} AS contents_bytes, 0 AS unmodified_bytes,
    0 AS unread_bytes, 500000000 AS unused_bytes, 180 AS idle_days, 'ext4' AS filesystem, false AS remote, []
        AS in_use_by,
    true AS complete
FROM audit_numbers CROSS JOIN range(300) AS t(d);
