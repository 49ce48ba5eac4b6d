-- title: The same packages in layers of several images
-- severity: medium
-- risk: medium
-- why: Layers are shared only where they are equal to the byte. The same packages installed by each image for itself
--   are stored once per image; in a common base image they would be stored once.
WITH copies AS (
    SELECT
        coalesce(fingerprint, concat_ws('/', ecosystem, name, version, size_bytes)) AS identity,
        image, name, version, size_bytes, chain_id, fingerprint IS NOT NULL AS exact
    FROM host_packages
    WHERE size_bytes >= 100000 AND chain_id IS NOT NULL
),
repeated AS (
    SELECT identity FROM copies GROUP BY identity HAVING count(DISTINCT chain_id) > 1
),
packages AS (
    SELECT
        min(name || ' ' || version) AS package, max(size_bytes) AS package_bytes, bool_and(exact) AS exact,
        count(DISTINCT chain_id) AS copies, list(DISTINCT image ORDER BY image) AS images
    FROM copies SEMI JOIN repeated USING (identity)
    GROUP BY identity
    HAVING count(DISTINCT image) > 1
),
bases AS (
    SELECT
        images, count(*) AS packages, sum(package_bytes)::BIGINT AS once_bytes,
        list(package ORDER BY package_bytes DESC, package) AS names,
        sum(package_bytes * (copies - 1))::BIGINT AS saved_bytes,
        coalesce(sum(package_bytes * (copies - 1)) FILTER (exact), 0)::BIGINT AS exact_bytes
    FROM packages GROUP BY images
)
SELECT
    'host' AS subject_kind, some_of(images) AS subject, NULL AS image_id, NULL AS path,
    once_bytes + saved_bytes AS size_bytes, exact_bytes AS low_bytes, saved_bytes AS likely_bytes, saved_bytes
        AS high_bytes,
    severity_of(saved_bytes) AS severity,
    counted(packages, 'package') || ' of ' || human(once_bytes) || ' (' || some_of(names) || ') in '
        || counted(len(images), 'image') || ', in layers of their own; ' || human(exact_bytes)
        || ' of the copies have equal files, the others equal names, versions and sizes.' AS evidence,
    'Make a base image with these packages, pinned, and build the ' || counted(len(images), 'image') || ' FROM it.'
        AS advice
FROM bases
WHERE saved_bytes >= $data_bytes
QUALIFY row_number() OVER (ORDER BY saved_bytes DESC, images) <= 50
