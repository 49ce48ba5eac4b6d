-- What the final tree shows, after merge.sql: one row per content that is visible.
--
-- Output: `live_files`, whose sizes add up to the image's live bytes, and `top_links`, the symbolic links
-- in the root such as `bin` to `usr/bin`, through which package databases name paths.

-- A content that hard links show goes by its own path, unless that died, or lies in the cache of a package manager:
-- what was installed from there by a link stays when the cache goes.
CREATE TEMP TABLE live_files AS
WITH names AS (
    SELECT i.position, i.path, i.seen_path, '/' || i.seen_path AS full_path
    FROM inode_paths AS i
    JOIN linked_deaths AS l ON l.position = i.position AND l.path = i.path AND l.alive
    LEFT JOIN deaths AS d ON d.position = i.seen_position AND d.path = i.seen_path
    WHERE d.path IS NULL
),
shown_by_link AS (
    SELECT position, path, arg_min(
        seen_path,
        (
            contains(full_path, '/.cache/') OR contains(full_path, '/pnpm/store/') OR contains(full_path, '/.pnpm-store/')
                OR contains(full_path, '/pkgs/'),
            seen_path <> path, seen_path
        )
    ) AS shown_path
    FROM names
    GROUP BY position, path
)
SELECT
    row_number() OVER () AS file_id,
    e.position,
    coalesce(s.shown_path, e.path) AS path,
    e.size_bytes, e.crc64
FROM entries AS e
LEFT JOIN shown_by_link AS s ON s.position = e.position AND s.path = e.path
-- What its own layer hides is another content of the same path.
ANTI JOIN dead_files AS d ON d.position = e.position AND d.path = e.path AND d.killed_by > d.position
WHERE e.kind = 'file' AND NOT e.shadowed;

CREATE TEMP TABLE top_links AS
SELECT e.path AS name, ltrim(e.link_target, '/') AS target
FROM entries AS e
ANTI JOIN deaths AS d ON d.position = e.position AND d.path = e.path
WHERE e.kind = 'symlink' AND NOT e.shadowed AND e.path NOT LIKE '%/%'
  AND e.link_target IS NOT NULL AND NOT contains(e.link_target, '..');

-- Nothing after this asks for them, and they can be large.
DROP TABLE inode_paths;
DROP TABLE linked_deaths;
DROP TABLE deaths;
DROP TABLE path_deaths;
DROP TABLE contested;
DROP TABLE contested_hashes;
DROP TABLE dive_paths;
DROP TABLE doomed_directories;
DROP TABLE subtree_killers;
DROP TABLE link_steps;
DROP TABLE links;
DROP TABLE link_files;
