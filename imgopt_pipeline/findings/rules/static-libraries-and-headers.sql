-- title: Static libraries and headers
-- technique: R15
-- severity: low
-- risk: medium
-- why: Static libraries and headers serve to compile and link other programs. An image that compiles nothing when it
--   runs can do without.
SELECT
    'image' AS subject_kind, name AS subject, image_id, '/' || example AS path,
    size_bytes, low_bytes, likely_bytes, high_bytes, severity_of(likely_bytes) AS severity,
    'Files *.a count as likely, headers in the highest estimate only. ' || evidence AS evidence,
    'Remove them in the RUN that installs them, or leave them in the build stage; keep them where triton or '
        || 'torch.compile compiles at run time.'
        AS advice
FROM technique_bytes
WHERE technique = 'R15' AND high_bytes >= $least_bytes
