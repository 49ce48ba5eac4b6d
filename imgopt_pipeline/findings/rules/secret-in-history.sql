-- title: A credential in the history of an image
-- severity: high
-- risk: medium
-- why: Build arguments and commands are stored in the image as text. Whoever can pull it can read them, also after the
--   file they were written to is gone.
WITH lines AS (
    SELECT
        image_id, name, position,
        list_filter(
            list_distinct(regexp_extract_all(created_by, '([A-Za-z_]\w*)=\*\*\*', 1)), lambda word: looks_secret(word)
        ) AS names,
        contains(regexp_replace(created_by, '[A-Za-z_]\w*=\*\*\*', '', 'g'), '***') AS elsewhere
    FROM host_layers
    WHERE contains(created_by, '***')
),
found AS (
    SELECT
        image_id, name, count(*) AS lines,
        string_agg(
            'layer ' || position || ': '
                || CASE WHEN len(names) > 0 THEN 'a value of ' || some_of(names)
                    ELSE 'a value that looks like a credential' END,
            '; ' ORDER BY position
        ) AS places
    FROM lines
    WHERE len(names) > 0 OR elsewhere
    GROUP BY image_id, name
)
SELECT
    'image' AS subject_kind, name AS subject, image_id, NULL AS path,
    0 AS size_bytes, 0 AS low_bytes, 0 AS likely_bytes, 0 AS high_bytes,
    counted(lines, 'line') || ' of its history with a credential (' || places || '). The values are not kept here.'
        AS evidence,
    'Take it for known and change the credential. Pass it with `RUN --mount=type=secret` instead of ARG or the '
        || 'command line, rebuild, and remove '
        || 'the old image everywhere.' AS advice
FROM found
