-- title: Files stored again to change their owner or mode
-- technique: R12
-- severity: medium
-- risk: low
-- why: `chown -R` or `chmod -R` in a step of its own writes every file again into a new layer. The first copy stays in
--   the layer below, so everything takes twice the space.
SELECT
    'image' AS subject_kind, name AS subject, image_id, '/' || example AS path,
    size_bytes, low_bytes, likely_bytes, high_bytes, severity_of(likely_bytes) AS severity,
    'Equal content stored again by a later layer. ' || evidence AS evidence,
    'Create the user first and write `COPY --chown=user:group` (with BuildKit also --chmod) for COPY followed by RUN '
        || 'chown; in a RUN change '
        || 'owners in the step that makes the files.' AS advice
FROM technique_bytes
WHERE technique = 'R12' AND high_bytes >= $least_bytes
