-- GPU-only files of an image, added up by the package or the part of a framework that they belong to.
--
-- Input: `live_files` (layers/live.sql), `ownership` and `owners` (contents/ownership.sql), and `gpu_files` (file_id):
-- those of which only a GPU build has any. $part and $build come from variants.py. The bytes add up to what the
-- category GPU libraries holds.
SELECT part, build, sum(size_bytes)::BIGINT AS size_bytes, count(*) AS files, arg_max(path, (size_bytes, path)) AS example
FROM (
    SELECT
        f.path, f.size_bytes,
        CASE WHEN gpu_role IN ('library', 'compiler', 'plugin') THEN name ELSE $part END AS part,
        CASE WHEN gpu_role IN ('library', 'compiler', 'plugin') THEN '' ELSE $build END AS build
    FROM gpu_files
    JOIN live_files AS f USING (file_id)
    LEFT JOIN ownership USING (file_id)
    LEFT JOIN owners USING (owner_id)
)
GROUP BY part, build
ORDER BY size_bytes DESC, part
