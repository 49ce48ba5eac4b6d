-- title: Files that nobody used for a long time
-- severity: low
-- risk: low
-- why: What was neither written nor read for half a year is an archive. It need not lie on the disk that everything
--   else needs.
WITH idle AS (
    SELECT *, coalesce(unused_bytes, 0) AS known_bytes, coalesce(unused_bytes, unmodified_bytes, 0) AS most_bytes
    FROM data_directories
    WHERE audit_id = $audit_id AND host = $host AND NOT remote
      AND contents NOT IN ('node_modules', 'build output', 'database', 'source')
),
chosen AS (
    FROM idle WHERE most_bytes >= $data_bytes
)
SELECT
    'directory' AS subject_kind, path AS subject, NULL AS image_id, path,
    size_bytes, 0 AS low_bytes, known_bytes AS likely_bytes, most_bytes AS high_bytes, severity_of(most_bytes)
        AS severity,
    CASE WHEN unused_bytes IS NOT NULL
        THEN human(unused_bytes) || ' of ' || human(size_bytes) || ' neither modified nor read for ' || idle_days
            || ' days'
        ELSE human(unmodified_bytes) || ' of ' || human(size_bytes) || ' not modified for ' || idle_days
            || ' days; whether they were read is not recorded there' END
        || CASE WHEN complete THEN '.' ELSE '; not all of it was read.' END AS evidence,
    'Move these files to an archive: `find ' || path || ' -type f -mtime +' || idle_days || ' -atime +' || idle_days
        || '` lists them.' AS advice
FROM chosen AS c
WHERE NOT EXISTS (SELECT 1 FROM chosen AS o WHERE starts_with(c.path, rtrim(o.path, '/') || '/'))
