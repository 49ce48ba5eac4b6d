-- title: Installed with pip, slower than with uv
-- technique: R2
-- severity: info
-- risk: low
-- why: It saves no space, but time at every build: uv resolves and installs several times faster than pip and takes the
--   same requirement files.
WITH installs AS (
    SELECT
        image_id, name,
        count(*) FILTER (regexp_matches(created_by, '\bpip3? install\b')) AS pip_lines,
        bool_or(regexp_matches(created_by, '\buv (pip|sync|add|tool)\b')) AS with_uv
    FROM host_layers
    WHERE holding_contents = 1
    GROUP BY image_id, name
)
SELECT
    'image' AS subject_kind, name AS subject, image_id, NULL AS path,
    0 AS size_bytes, 0 AS low_bytes, 0 AS likely_bytes, 0 AS high_bytes,
    counted(pip_lines, 'layer') || ' made by pip install, none by uv; counted in its history, bytes are not affected.'
        AS evidence,
    'Write `uv pip install --system` for `pip install` where no option of pip alone is used; with several indexes say '
        || 'which comes first.'
        AS advice
FROM installs
WHERE pip_lines > 0 AND NOT with_uv
