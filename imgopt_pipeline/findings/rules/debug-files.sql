-- title: Separate debug files
-- technique: R14
-- severity: low
-- risk: medium
-- why: Symbols for debuggers lie beside the programs they belong to. A program runs without them.
SELECT
    'image' AS subject_kind, name AS subject, image_id, '/' || example AS path,
    size_bytes, low_bytes, likely_bytes, high_bytes, severity_of(likely_bytes) AS severity,
    'Files in /usr/lib/debug and *.debug; symbols inside of libraries are not counted. ' || evidence AS evidence,
    'Leave out -dbg and -dbgsym packages and remove *.debug in the RUN that makes them. Strip libraries only where a '
        || 'test run covers them: '
        || 'some wheels break.' AS advice
FROM technique_bytes
WHERE technique = 'R14' AND high_bytes >= $least_bytes
