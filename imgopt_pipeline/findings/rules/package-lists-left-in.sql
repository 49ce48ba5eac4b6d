-- title: Package lists and archives of the distribution left in
-- technique: R5
-- severity: low
-- risk: none
-- why: The lists that `apt-get update` fetches and the archives it keeps are of no use after the installation. Removed
--   in a later step they stay in the layer below.
SELECT
    'image' AS subject_kind, name AS subject, image_id, '/' || example AS path,
    size_bytes, low_bytes, likely_bytes, high_bytes, severity_of(likely_bytes) AS severity, evidence,
    'End the same RUN with `&& rm -rf /var/lib/apt/lists/*` (apk: `--no-cache`; dnf: `dnf clean all`), or use `RUN '
        || '--mount=type=cache`.' AS advice
FROM technique_bytes
WHERE technique = 'R5' AND high_bytes >= $least_bytes
