-- title: CUDA libraries both in the system and in Python packages
-- technique: R18
-- severity: high
-- risk: medium
-- why: A CUDA base image brings the libraries that the framework's wheels bring again. The framework loads its own; the
--   others are never opened.
SELECT
    'image' AS subject_kind, name AS subject, image_id, '/' || example AS path,
    size_bytes, low_bytes, likely_bytes, high_bytes, severity_of(likely_bytes) AS severity,
    'Libraries of the same name in both places; the smaller side is counted. ' || evidence AS evidence,
    'Use a plain base image and let the wheels bring CUDA, or a CUDA base and a framework built against it; then test '
        || 'imports and a GPU.' AS advice
FROM technique_bytes
WHERE technique = 'R18' AND high_bytes >= $least_bytes
