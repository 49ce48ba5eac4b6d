-- title: Copied into the image without need
-- technique: R10
-- severity: medium
-- risk: low
-- why: `COPY . .` takes everything along that lies in the folder: the history of the repository, modules installed on
--   the developer's machine, data. The history also tells whoever gets the image everything that was ever committed.
SELECT
    'image' AS subject_kind, name AS subject, image_id, '/' || example AS path,
    size_bytes, low_bytes, likely_bytes, high_bytes, severity_of(likely_bytes) AS severity,
    'Folders of source control count for certain; node_modules, media and models that a COPY or ADD brought in the '
        || 'highest estimate only. '
        || evidence AS evidence,
    'Write a .dockerignore with .git, node_modules, build output and data, and mount data instead of copying it.'
        AS advice
FROM technique_bytes
WHERE technique = 'R10' AND high_bytes >= $least_bytes
