-- The canonical rows of a layer, as view `layer_entries`, from `raw_entries` (one row per entry in the order
-- of reading; `bound_to` is the row of the inode that a hard link was bound to) and `shadowed_rows`.
--
-- A group of hard links is one inode: its content stands once, at the path that a walk meets first.

CREATE OR REPLACE TEMP TABLE hard_links AS
WITH links AS (
    SELECT row_number, path, bound_to AS inode FROM raw_entries WHERE bound_to IS NOT NULL
),
members AS (
    FROM links
    UNION ALL
    SELECT row_number, path, row_number FROM raw_entries WHERE row_number IN (SELECT inode FROM links)
),
firsts AS (
    -- chr(1) sorts before everything printable: parents before their children, as a walk goes.
    SELECT inode, arg_min(row_number, (row_number IN (FROM shadowed_rows), replace(path, '/', chr(1)))) AS first
    FROM members GROUP BY inode
)
SELECT
    m.row_number, m.row_number = f.first AS is_first, p.path AS first_path,
    i.kind, i.size_bytes, i.mode, i.uid, i.gid, i.mtime_seconds, i.link_target, i.crc64
FROM members AS m
JOIN firsts AS f USING (inode)
JOIN members AS p ON p.row_number = f.first
JOIN raw_entries AS i ON i.row_number = m.inode;

CREATE OR REPLACE TEMP VIEW layer_entries AS
SELECT * EXCLUDE (row_number)
FROM (
    SELECT
        r.row_number, r.path,
        CASE WHEN l.is_first THEN l.kind WHEN l.is_first IS NULL THEN r.kind ELSE 'hardlink' END AS kind,
        CASE WHEN l.is_first THEN l.size_bytes WHEN l.is_first IS NULL THEN r.size_bytes ELSE 0 END AS size_bytes,
        CASE WHEN l.is_first IS NULL THEN r.mode ELSE l.mode END AS mode,
        CASE WHEN l.is_first IS NULL THEN r.uid ELSE l.uid END AS uid,
        CASE WHEN l.is_first IS NULL THEN r.gid ELSE l.gid END AS gid,
        CASE WHEN l.is_first IS NULL THEN r.mtime_seconds ELSE l.mtime_seconds END AS mtime_seconds,
        CASE WHEN l.is_first THEN l.link_target WHEN l.is_first IS NULL THEN r.link_target ELSE l.first_path END
            AS link_target,
        CASE WHEN l.is_first THEN l.crc64 WHEN l.is_first IS NULL THEN r.crc64 END AS crc64,
        r.row_number IN (FROM shadowed_rows) AS shadowed
    FROM raw_entries AS r
    LEFT JOIN hard_links AS l USING (row_number)
)
WHERE NOT (shadowed AND size_bytes = 0);
