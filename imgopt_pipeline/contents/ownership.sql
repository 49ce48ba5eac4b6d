-- Which package owns which live file: table `ownership`, at most one owner a file.
--
-- Input: `live_files` and `top_links` (layers/live.sql), `owners` (one row per package), `owned_paths` and
-- `owned_folders` (owner_id, path), as the packages' own metadata names them.
--
-- A file named by a package beats a folder, the longest folder beats a shorter one. Of several packages that
-- name a file, the distribution's goes first (Debian's pip ships a RECORD as well), then Python's, then conda's.

-- Databases of distributions name paths as they were before bin, lib and sbin moved below usr.
CREATE TEMP TABLE named_paths AS
SELECT p.owner_id, coalesce(l.target || substr(p.path, length(l.name) + 1), p.path) AS path
FROM owned_paths AS p
LEFT JOIN top_links AS l ON l.name = split_part(p.path, '/', 1);

CREATE TEMP TABLE named_owners AS
SELECT path, arg_min(owner_id, (list_position(['debian', 'alpine', 'python', 'conda', 'node'], o.ecosystem), owner_id))
    AS owner_id
FROM named_paths JOIN owners AS o USING (owner_id)
GROUP BY path;

-- Bytecode belongs to whom its source belongs: RECORD may leave it out.
CREATE TEMP TABLE exact_ownership AS
SELECT f.file_id, o.owner_id
FROM live_files AS f JOIN named_owners AS o USING (path)
UNION ALL
SELECT c.file_id, o.owner_id
FROM (
    SELECT file_id, path, regexp_replace(path, '__pycache__/([^/]*?)\.[^/.]+-?[^/.]*(\.opt-\d)?\.pyc$', '\1.py') AS source
    FROM live_files WHERE ends_with(path, '.pyc') AND contains(path, '__pycache__/')
) AS c
JOIN named_owners AS o ON o.path = c.source
WHERE c.path NOT IN (SELECT path FROM named_owners);

CREATE TEMP TABLE folder_owners AS
SELECT path AS folder, min(owner_id) AS owner_id FROM owned_folders GROUP BY path;

CREATE TEMP TABLE folder_ownership AS
WITH left_over AS (
    SELECT file_id, parse_dirpath(path, 'forward_slash') AS folder
    FROM live_files ANTI JOIN exact_ownership USING (file_id)
    WHERE EXISTS (SELECT 1 FROM folder_owners)
),
folders AS (
    SELECT DISTINCT folder FROM left_over
),
above AS (
    SELECT folder, array_to_string(parts[1:depth], '/') AS parent, depth
    FROM (
        SELECT folder, string_split(folder, '/') AS parts, unnest(range(1, len(string_split(folder, '/')) + 1)) AS depth
        FROM folders
    )
),
nearest AS (
    SELECT a.folder, arg_max(o.owner_id, a.depth) AS owner_id
    FROM above AS a JOIN folder_owners AS o ON o.folder = a.parent
    GROUP BY a.folder
)
SELECT l.file_id, n.owner_id FROM left_over AS l JOIN nearest AS n USING (folder);

CREATE TEMP TABLE ownership AS
FROM exact_ownership UNION ALL FROM folder_ownership;

DROP TABLE named_paths;
DROP TABLE named_owners;
DROP TABLE exact_ownership;
DROP TABLE folder_owners;
DROP TABLE folder_ownership;
DROP TABLE owned_paths;
DROP TABLE owned_folders;
