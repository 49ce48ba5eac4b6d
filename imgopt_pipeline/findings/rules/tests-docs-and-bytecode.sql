-- title: Tests, manuals and bytecode of packages
-- technique: R9
-- severity: low
-- risk: low
-- why: Packages bring their own tests and manuals, and Python writes bytecode beside its sources. A server reads none
--   of the first two; without the third it starts a little slower once.
SELECT
    'image' AS subject_kind, name AS subject, image_id, '/' || example AS path,
    size_bytes, low_bytes, likely_bytes, high_bytes, severity_of(likely_bytes) AS severity,
    'Tests and docs in package folders count as likely; bytecode, translations and man pages in the highest estimate '
        || 'only. ' || evidence AS evidence,
    'In the RUN that installs: set PYTHONDONTWRITEBYTECODE=1, and remove `tests` and `docs` folders below '
        || 'site-packages and node_modules; '
        || 'import every top-level module afterwards.' AS advice
FROM technique_bytes
WHERE technique = 'R9' AND high_bytes >= $least_bytes
