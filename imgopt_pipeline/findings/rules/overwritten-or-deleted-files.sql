-- title: Files that a later layer overwrites or deletes
-- technique: R17
-- severity: medium
-- risk: low
-- why: A file removed or replaced in a later step is hidden, not gone: its bytes stay in the layer below, are stored
--   and pulled for ever.
SELECT
    'image' AS subject_kind, name AS subject, image_id, '/' || example AS path,
    size_bytes, low_bytes, likely_bytes, high_bytes, severity_of(likely_bytes) AS severity,
    'Stored in one layer and hidden by a later one. ' || evidence AS evidence,
    'Do it in one RUN: make, use and remove files in the same step, or make them in another stage; `imgopt image` '
        || 'shows which layer hides which.'
        AS advice
FROM technique_bytes
WHERE technique = 'R17' AND high_bytes >= $least_bytes
