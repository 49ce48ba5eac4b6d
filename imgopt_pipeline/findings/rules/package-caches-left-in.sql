-- title: Caches of pip, npm and others left in
-- technique: R6
-- severity: low
-- risk: none
-- why: pip, uv, conda, npm and yarn keep what they downloaded. In an image nobody will install it again.
SELECT
    'image' AS subject_kind, name AS subject, image_id, '/' || example AS path,
    size_bytes, low_bytes, likely_bytes, high_bytes, severity_of(likely_bytes) AS severity, evidence,
    'Write `pip install --no-cache-dir` (uv: `--no-cache`; conda: `conda clean -afy`; npm: `npm cache clean --force`; '
        || 'yarn: `yarn cache clean`) '
        || 'in the same RUN, or use `RUN --mount=type=cache`.' AS advice
FROM technique_bytes
WHERE technique = 'R6' AND high_bytes >= $least_bytes
