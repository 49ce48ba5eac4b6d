-- title: Modules and build output on the host
-- severity: low
-- risk: medium
-- why: node_modules and build output can be made again from the lock file at any time. On a server they are needed only
--   by a program that runs from that folder.
WITH made AS (
    SELECT *, coalesce(contents_bytes['node_modules'], 0) + coalesce(contents_bytes['build output'], 0) AS made_bytes
    FROM data_directories
    WHERE audit_id = $audit_id AND host = $host AND NOT remote
),
chosen AS (
    FROM made WHERE made_bytes >= $data_bytes AND contents IN ('node_modules', 'build output')
)
SELECT
    'directory' AS subject_kind, path AS subject, NULL AS image_id, path,
    size_bytes, CASE WHEN used THEN 0 ELSE made_bytes END AS low_bytes, made_bytes AS likely_bytes, made_bytes
        AS high_bytes,
    severity_of(made_bytes) AS severity,
    human(made_bytes) || ' of modules and build output in ' || counted(files, 'file') || CASE
        WHEN len(coalesce(in_use_by, [])) > 0 THEN '; in use by ' || some_of(in_use_by)
        WHEN running THEN '; containers that run mount it or belong to its project: '
            || coalesce(nullif(some_of(containers), ''), compose_project, 'unnamed')
        WHEN in_use_by IS NULL THEN '; whether a process uses it cannot be seen from here'
        ELSE '; no process and no running container uses it' END || '.' AS evidence,
    CASE WHEN used THEN 'Leave it while the application runs from there. Stop the application first, then remove '
        || 'node_modules and the build output.'
        ELSE 'Remove node_modules and the build output; `npm ci` and the build bring them back.' END AS advice
FROM (SELECT *, running OR len(coalesce(in_use_by, [])) > 0 AS used FROM chosen) AS c
WHERE NOT EXISTS (SELECT 1 FROM chosen AS o WHERE starts_with(c.path, rtrim(o.path, '/') || '/'))
