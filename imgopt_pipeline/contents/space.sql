-- Space by layer, category and folder, after categories.sql. Small folders stand together under an empty prefix.
WITH placed AS (
    SELECT f.position, c.category, k.prefix, f.size_bytes
    FROM live_files AS f
    JOIN categories AS c USING (file_id)
    JOIN file_folders AS d USING (file_id)
    JOIN folder_kinds AS k USING (folder)
),
summed AS (
    SELECT position, category, prefix, sum(size_bytes)::BIGINT AS size_bytes, count(*) AS files
    FROM placed GROUP BY ALL
),
ranked AS (
    SELECT *, row_number() OVER (ORDER BY size_bytes DESC, position, category, prefix) AS place FROM summed
)
SELECT
    position, category, CASE WHEN place <= $rows THEN prefix ELSE '' END AS prefix,
    sum(size_bytes)::BIGINT AS size_bytes, sum(files)::BIGINT AS files
FROM ranked
GROUP BY ALL
ORDER BY size_bytes DESC, position, category, prefix
