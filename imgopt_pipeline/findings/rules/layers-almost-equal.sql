-- title: Layers almost equal
-- severity: low
-- risk: low
-- why: The same build step run at different times gives layers that differ in little but share nothing. Built once and
--   reused, one would do.
WITH steps AS (
    SELECT
        chain_id, min(diff_id) AS diff_id, min(created_by) AS created_by, max(file_bytes) AS file_bytes,
        list(name ORDER BY name) AS names
    FROM host_layers
    WHERE file_bytes >= 10 * $least_bytes AND regexp_matches(created_by, '^(RUN |/bin/sh -c [^#])')
    GROUP BY chain_id
),
ordered AS (
    SELECT *, lag(file_bytes) OVER (PARTITION BY created_by ORDER BY file_bytes, chain_id) AS smaller_bytes FROM steps
),
runs AS (
    SELECT *, sum(CASE WHEN file_bytes <= 1.05 * smaller_bytes THEN 0 ELSE 1 END)
        OVER (PARTITION BY created_by ORDER BY file_bytes, chain_id) AS run
    FROM ordered
)
SELECT
    'host' AS subject_kind, $host AS subject, NULL AS image_id, NULL AS path,
    sum(file_bytes) AS size_bytes, 0 AS low_bytes, sum(file_bytes) - max(file_bytes) AS likely_bytes,
        sum(file_bytes) - max(file_bytes) AS high_bytes,
    severity_of(sum(file_bytes) - max(file_bytes)) AS severity,
    counted(count(*), 'layer') || ' of ' || human(min(file_bytes)) || ' to ' || human(max(file_bytes))
        || ' made by the same step, '
        || counted(count(DISTINCT diff_id), 'different content') || ', in '
            || some_of(list_sort(list_distinct(flatten(list(names)))))
        || ': ' || shortened(created_by) AS evidence,
    'Build these images in one go from the same base, or put the step into a base image of their own, with versions '
        || 'pinned.' AS advice
FROM runs
GROUP BY created_by, run
HAVING count(*) > 1
