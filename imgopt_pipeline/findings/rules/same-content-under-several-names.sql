-- title: One content under several names
-- severity: info
-- risk: none
-- why: Several tags of one image cost nothing, but look like several images in every list, and removing one of them
--   gives nothing back.
WITH names AS (
    SELECT chain_id, image_id, size_bytes, unnest(image_references) AS reference FROM host_images WHERE chain_id <> ''
)
SELECT
    'image' AS subject_kind, min(reference) AS subject, arg_min(image_id, reference) AS image_id, NULL AS path,
    max(size_bytes) AS size_bytes, 0 AS low_bytes, 0 AS likely_bytes, 0 AS high_bytes,
    counted(count(*), 'name') || ' for the same layers (' || some_of(list(reference ORDER BY reference)) || ')'
        || CASE WHEN count(DISTINCT image_id) > 1
            THEN '; ' || counted(count(DISTINCT image_id), 'image') || ' with different settings.'
                ELSE '; one image.' END AS evidence,
    'Count them once. Remove tags that nothing uses with `docker image rm TAG`; it frees no space.' AS advice
FROM names
GROUP BY chain_id
HAVING count(*) > 1
