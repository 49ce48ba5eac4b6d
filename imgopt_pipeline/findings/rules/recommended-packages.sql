-- title: Debian packages that were only recommended
-- technique: R4
-- severity: medium
-- risk: medium
-- why: apt installs what packages recommend along with what they need, unless it is told not to: often more bytes than
--   what was asked for.
SELECT
    'image' AS subject_kind, name AS subject, image_id, '/' || example AS path,
    size_bytes, low_bytes, likely_bytes, high_bytes, severity_of(likely_bytes) AS severity,
    'Packages that no installed package depends on, only recommends; libraries count in the highest estimate only. '
        || evidence AS evidence,
    'Write `apt-get install --no-install-recommends`, and name what turns out to be missing (ca-certificates, codecs).'
        AS advice
FROM technique_bytes
WHERE technique = 'R4' AND high_bytes >= $least_bytes
