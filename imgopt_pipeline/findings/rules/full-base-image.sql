-- title: A full base image where a slim one would do
-- technique: R8
-- severity: medium
-- risk: medium
-- why: The full variants of official images carry compilers, headers, ImageMagick, Mercurial and Subversion for
--   whatever might be built on them. The slim variants have the same language without these.
SELECT
    'image' AS subject_kind, t.name AS subject, t.image_id, '/' || t.example AS path,
    t.size_bytes, t.low_bytes, t.likely_bytes, t.high_bytes, severity_of(t.likely_bytes) AS severity,
    'Its base holds the packages of buildpack-deps; compilers, headers and version control count in the likely '
        || 'estimate, the rest that '
        || 'a slim image lacks in the highest. ' || t.evidence AS evidence,
    'Write `FROM ' || coalesce(regexp_replace(i.base_reference, '@.*$', '') || '-slim', 'the slim variant of its base')
        || '`, install by name what is then missing, and build C extensions in a separate stage. Not Alpine for '
            || 'machine learning: '
        || 'its wheels need glibc.' AS advice
FROM technique_bytes AS t JOIN host_images AS i USING (image_id)
WHERE t.technique = 'R8' AND t.high_bytes >= $least_bytes
