-- The merged tree of one image, by set operations over the entries of its layers.
--
-- Input: a view `entries` with the columns of layers/entries.py and `position` (0 is the base layer).
-- Output: `deaths` (each path of each layer that a later layer hides), `dead_files` (each content that
-- the final tree does not show) and `dive_paths` (what dive's formula sums).
--
-- A path dies at the lowest later layer that names it again, whites it out, makes a directory above it
-- opaque, or puts something else in the place of a directory above it (OCI image specification,
-- layer.md, "Whiteouts"). Within one layer, whiteouts hide lower layers only, whatever the order.

-- Hash first: only paths that two layers name can collide, and eight bytes a path keep millions small.
CREATE TEMP TABLE contested_hashes AS
SELECT hash(path) AS path_hash
FROM entries
WHERE NOT shadowed
GROUP BY path_hash
HAVING min(position) < max(position);

-- A hard link's target is in its own layer, or, after a slash, in a lower one (layers/entries.py).
CREATE TEMP TABLE links AS
SELECT position, path, starts_with(link_target, '/') AS lower, ltrim(link_target, '/') AS target
FROM entries
WHERE kind = 'hardlink' AND NOT shadowed AND link_target IS NOT NULL;

CREATE TEMP TABLE link_files AS
SELECT position, path, size_bytes, mtime_seconds, crc64
FROM entries
WHERE kind = 'file' AND NOT shadowed AND (position, path) IN (SELECT (position, target) FROM links WHERE NOT lower);

CREATE TEMP TABLE contested AS
SELECT
    e.position, e.path, e.kind, e.size_bytes,
    CASE e.kind WHEN 'hardlink' THEN f.size_bytes ELSE e.size_bytes END AS content_bytes,
    coalesce(f.mtime_seconds, e.mtime_seconds) AS mtime_seconds,
    coalesce(f.crc64, e.crc64) AS crc64
FROM entries AS e
LEFT JOIN links AS l ON e.kind = 'hardlink' AND l.position = e.position AND l.path = e.path AND NOT l.lower
LEFT JOIN link_files AS f ON f.position = l.position AND f.path = l.target
WHERE NOT e.shadowed
  AND (hash(e.path) IN (SELECT path_hash FROM contested_hashes) OR (e.kind = 'opaque' AND e.path = ''));

-- What hides whole subtrees: anything but a directory, where a lower layer has a directory.
CREATE TEMP TABLE subtree_killers AS
SELECT DISTINCT
    k.position, k.path,
    CASE k.kind WHEN 'whiteout' THEN 'deleted' WHEN 'opaque' THEN 'opaque' ELSE 'overwritten' END AS reason,
    CASE k.path WHEN '' THEN '' ELSE k.path || '/' END AS first_below,
    CASE k.path WHEN '' THEN chr(1114111) ELSE k.path || '0' END AS first_beyond
FROM contested AS k
LEFT JOIN (
    SELECT path, min(position) AS lowest FROM contested WHERE kind IN ('dir', 'implied') GROUP BY path
) AS d ON d.path = k.path
WHERE k.kind NOT IN ('dir', 'implied') AND (k.path = '' OR d.lowest < k.position);

CREATE TEMP TABLE doomed_directories AS
SELECT path AS directory, position, reason, path AS killer FROM subtree_killers
UNION ALL
SELECT d.path, k.position, k.reason, k.path
FROM subtree_killers AS k
JOIN (
    SELECT DISTINCT path FROM entries
    WHERE kind IN ('dir', 'implied') AND EXISTS (SELECT 1 FROM subtree_killers)
) AS d ON d.path >= k.first_below AND d.path < k.first_beyond;

CREATE TEMP TABLE path_deaths AS
WITH steps AS (
    -- One row per path and layer: a whiteout beside an entry of the same name only says it twice.
    SELECT
        path, position,
        bool_or(kind <> 'whiteout') AS present,
        max(kind) FILTER (kind <> 'whiteout') AS kind,
        max(content_bytes) FILTER (kind <> 'whiteout') AS content_bytes,
        max(mtime_seconds) FILTER (kind <> 'whiteout') AS mtime_seconds,
        max(crc64) FILTER (kind <> 'whiteout') AS crc64
    FROM contested
    WHERE kind <> 'opaque'
    GROUP BY path, position
),
successors AS (
    SELECT
        path, position, present, kind, content_bytes, mtime_seconds, crc64,
        lead(position) OVER later AS next_position,
        lead(present) OVER later AS next_present,
        lead(kind) OVER later AS next_kind,
        lead(content_bytes) OVER later AS next_content_bytes,
        lead(mtime_seconds) OVER later AS next_mtime_seconds,
        lead(crc64) OVER later AS next_crc64
    FROM steps
    WINDOW later AS (PARTITION BY path ORDER BY position)
)
SELECT
    position, path, next_position AS killed_by,
    CASE
        WHEN NOT next_present THEN 'deleted'
        WHEN kind IN ('file', 'hardlink') AND next_kind IN ('file', 'hardlink')
            AND content_bytes = next_content_bytes
            AND coalesce(crc64 = next_crc64, mtime_seconds = next_mtime_seconds) THEN 'metadata'
        ELSE 'overwritten'
    END AS reason
FROM successors
WHERE present AND kind NOT IN ('dir', 'implied') AND next_position IS NOT NULL;

CREATE TEMP TABLE deaths AS
WITH by_directory AS (
    SELECT e.position, e.path, d.position AS killed_by, 1 AS rank, d.reason
    FROM (
        SELECT position, path, parse_dirpath(path, 'forward_slash') AS directory
        FROM entries
        WHERE kind NOT IN ('dir', 'implied', 'whiteout', 'opaque') AND NOT shadowed
          AND EXISTS (SELECT 1 FROM subtree_killers)
    ) AS e
    ASOF JOIN (
        SELECT directory, position, min(reason) AS reason FROM doomed_directories GROUP BY ALL
    ) AS d ON e.directory = d.directory AND e.position < d.position
)
SELECT position, path, min(killed_by) AS killed_by, arg_min(reason, (killed_by, rank)) AS reason
FROM (SELECT position, path, killed_by, 0 AS rank, reason FROM path_deaths UNION ALL FROM by_directory)
GROUP BY position, path;

-- Hard links: a link into a lower layer means the file that the layers below its own show there.
CREATE TEMP TABLE link_steps AS
WITH targets AS (
    SELECT position, path
    FROM entries
    WHERE kind NOT IN ('dir', 'implied', 'whiteout', 'opaque') AND NOT shadowed
      AND path IN (SELECT target FROM links)
)
SELECT l.position, l.path, t.position AS to_position, t.path AS to_path
FROM links AS l
JOIN targets AS t ON l.target = t.path AND l.position = t.position
WHERE NOT l.lower
UNION ALL
SELECT l.position, l.path, t.position, t.path
FROM links AS l
ASOF JOIN targets AS t ON l.target = t.path AND l.position > t.position
LEFT JOIN deaths AS d ON d.position = t.position AND d.path = t.path
WHERE l.lower AND (d.killed_by IS NULL OR d.killed_by >= l.position);

CREATE TEMP TABLE inode_paths AS
WITH RECURSIVE followed AS (
    FROM link_steps
    UNION
    SELECT f.position, f.path, s.to_position, s.to_path
    FROM followed AS f
    JOIN link_steps AS s ON s.position = f.to_position AND s.path = f.to_path
)
SELECT to_position AS position, to_path AS path, position AS seen_position, path AS seen_path FROM followed
UNION
SELECT DISTINCT to_position, to_path, to_position, to_path FROM followed;

CREATE TEMP TABLE linked_deaths AS
SELECT
    i.position, i.path,
    bool_or(d.killed_by IS NULL) AS alive,
    max(d.killed_by) AS killed_by,
    -- Of names that go with the same layer, the file's own path says why.
    arg_min(d.reason, (-d.killed_by, (i.seen_position, i.seen_path) <> (i.position, i.path), i.seen_position, i.seen_path))
        AS reason
FROM inode_paths AS i
LEFT JOIN deaths AS d ON d.position = i.seen_position AND d.path = i.seen_path
GROUP BY i.position, i.path;

CREATE TEMP TABLE dead_files AS
SELECT e.position, e.path, e.size_bytes, d.killed_by, d.reason
FROM (
    SELECT position, path, killed_by, reason
    FROM deaths ANTI JOIN linked_deaths USING (position, path)
    UNION ALL
    SELECT position, path, killed_by, reason FROM linked_deaths WHERE NOT alive
) AS d
JOIN entries AS e ON e.position = d.position AND e.path = d.path
WHERE e.kind = 'file' AND NOT e.shadowed
UNION ALL
SELECT
    position, path, size_bytes, position,
    CASE WHEN kind IN ('whiteout', 'opaque') THEN 'deleted' ELSE 'overwritten' END
FROM entries
WHERE size_bytes > 0 AND (shadowed OR kind IN ('whiteout', 'opaque'));

-- dive sums, per path, what each layer's leaf of that name weighs; the whiteout of a directory weighs
-- what the layers below showed in it, that of a file nothing. It knows no opaque directories.
CREATE TEMP TABLE dive_paths AS
WITH ends AS (
    SELECT f.path, f.size_bytes, f.directory, least(d.position, x.killed_by) AS position
    FROM (
        SELECT position, path, size_bytes, parse_dirpath(path, 'forward_slash') AS directory
        FROM entries
        WHERE size_bytes > 0 AND kind = 'file' AND NOT shadowed
          AND EXISTS (SELECT 1 FROM subtree_killers WHERE reason = 'deleted')
    ) AS f
    ASOF JOIN (
        SELECT DISTINCT directory, position FROM doomed_directories WHERE reason <> 'opaque'
    ) AS d ON f.directory = d.directory AND f.position < d.position
    LEFT JOIN path_deaths AS x ON x.position = f.position AND x.path = f.path
),
deleted_subtrees AS (
    SELECT d.killer AS path, d.position, sum(e.size_bytes) AS size_bytes
    FROM doomed_directories AS d
    JOIN ends AS e USING (directory, position)
    WHERE d.reason = 'deleted'
    GROUP BY d.killer, d.position
),
leaves AS (
    SELECT c.path, CASE c.kind WHEN 'whiteout' THEN coalesce(s.size_bytes, 0) ELSE c.size_bytes END AS size_bytes
    FROM contested AS c
    LEFT JOIN deleted_subtrees AS s ON c.kind = 'whiteout' AND s.path = c.path AND s.position = c.position
    WHERE c.kind NOT IN ('dir', 'implied', 'opaque')
    UNION ALL
    SELECT path, 0
    FROM contested AS c
    WHERE kind = 'dir'
      AND path IN (SELECT path FROM contested WHERE size_bytes > 0 UNION ALL SELECT path FROM deleted_subtrees)
      AND NOT EXISTS (
          SELECT 1 FROM entries AS e
          WHERE e.position = c.position AND parse_dirpath(e.path, 'forward_slash') = c.path
            AND e.kind <> 'opaque' AND NOT e.shadowed
      )
)
SELECT
    path,
    count(*) AS leaves,
    sum(size_bytes)::BIGINT AS size_bytes,
    min(size_bytes)::BIGINT AS smallest_bytes
FROM leaves
GROUP BY path;
