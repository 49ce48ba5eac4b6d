-- title: Caches that a cache mount would keep out
-- technique: R11
-- severity: low
-- risk: low
-- why: With a cache mount of BuildKit downloads are kept between builds on the builder and never get into a layer:
--   smaller images and faster builds at once. The bytes are those of package lists and caches, counted there too.
SELECT
    'image' AS subject_kind, name AS subject, image_id, '/' || example AS path,
    size_bytes, low_bytes, likely_bytes, high_bytes, 'info' AS severity, evidence,
    'Where BuildKit builds it: `RUN --mount=type=cache,target=/root/.cache/pip …` (npm: /root/.npm; apt: '
        || '/var/cache/apt and '
        || '/var/lib/apt/lists, both with sharing=locked). The legacy builder refuses it.' AS advice
FROM technique_bytes
WHERE technique = 'R11' AND high_bytes >= $least_bytes
