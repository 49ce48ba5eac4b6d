-- What layers made that no distribution's package brought: table `made_tops`, the highest new folder of each file.
--
-- Input: entries, live_files, owners and ownership, and `asked_positions` (position). Output: position, path, folder
-- (whether path is a folder that no lower layer has), link (a symbolic link), size_bytes.

-- Folders that packages of the distribution fill; what else stands there is theirs where the layer installed some.
CREATE OR REPLACE TEMP MACRO managed(path) AS regexp_matches(
    path, '^(bin|sbin|lib|lib32|lib64|libx32|etc|var|boot|usr/(bin|sbin|lib|lib32|lib64|libx32|libexec|share|include|games|src))/'
);

-- State of the system and caches, which mean nothing elsewhere.
CREATE OR REPLACE TEMP MACRO system_state(path) AS regexp_matches(
    path,
    '^(var/lib/(dpkg|apt|apk|rpm|dnf|pam|systemd|ucf)|var/cache|var/log|var/tmp|tmp|run|proc|sys|dev|lib/apk|etc/(apk|apt|alternatives))/'
    '|^etc/(ld\.so\.cache|passwd|group|shadow|gshadow|subuid|subgid|mtab|hosts|hostname|resolv\.conf|machine-id|\.pwd\.lock)$'
    '|^etc/(passwd|group|shadow|gshadow|subuid|subgid)-$|^etc/ssl/certs/|^usr/lib/locale/locale-archive$'
    '|(^|/)(\.cache/(pip|uv|pypoetry|pipenv|yarn|pnpm|node-gyp|go-build|node/corepack|matplotlib)|\.npm|\.yarn/berry/cache|\.node-gyp'
    '|\.bun/install/cache|\.pnpm-store|\.local/share/pnpm/store|\.conda/pkgs|\.cargo/registry|go/pkg/mod/cache)/'
);

CREATE TEMP TABLE made_leaves AS
WITH installed AS (
    SELECT DISTINCT f.position
    FROM live_files AS f JOIN ownership USING (file_id) JOIN owners AS o USING (owner_id)
    WHERE o.ecosystem IN ('debian', 'alpine')
),
files AS (
    SELECT
        f.position, f.path, f.size_bytes, false AS link,
        coalesce(o.ecosystem IN ('debian', 'alpine'), false) OR system_state(f.path)
            OR i.position IS NOT NULL AND o.ecosystem IS NULL AND managed(f.path) AS foreign_to_it
    FROM live_files AS f
    JOIN asked_positions AS a USING (position)
    LEFT JOIN ownership AS w USING (file_id)
    LEFT JOIN owners AS o USING (owner_id)
    LEFT JOIN installed AS i ON i.position = f.position
),
symlinks AS (
    SELECT e.position, e.path
    FROM entries AS e JOIN asked_positions AS a USING (position)
    WHERE e.kind = 'symlink' AND NOT e.shadowed AND NOT managed(e.path) AND NOT system_state(e.path)
),
-- A link goes with a later entry of its name, or with what stands in the place of a folder above it.
names AS (
    SELECT position, path, array_to_string(parts[1:depth], '/') AS name, depth = len(parts) AS itself
    FROM (
        SELECT position, path, string_split(path, '/') AS parts, unnest(range(1, len(string_split(path, '/')) + 1)) AS depth
        FROM symlinks
    )
),
gone AS (
    SELECT DISTINCT n.position, n.path
    FROM names AS n JOIN entries AS e ON e.path = n.name AND e.position > n.position
    WHERE n.itself OR e.kind NOT IN ('dir', 'implied')
)
FROM files
UNION ALL
SELECT position, path, 0, true, false FROM symlinks ANTI JOIN gone USING (position, path);

CREATE TEMP TABLE made_folders AS
WITH folders AS (
    SELECT position, parse_dirpath(path, 'forward_slash') AS folder, bool_or(foreign_to_it) AS mixed
    FROM made_leaves GROUP BY ALL
),
above AS (
    SELECT position, folder, mixed, array_to_string(parts[1:depth], '/') AS name, depth
    FROM (
        SELECT *, string_split(folder, '/') AS parts, unnest(range(1, len(string_split(folder, '/')) + 1)) AS depth
        FROM folders WHERE folder <> ''
    )
),
known AS (
    SELECT path AS name, min(position) AS first_position
    FROM entries
    WHERE kind NOT IN ('whiteout', 'opaque') AND path IN (SELECT name FROM above)
    GROUP BY path
),
own AS (
    SELECT a.position, a.name
    FROM above AS a JOIN known AS k USING (name)
    GROUP BY a.position, a.name
    HAVING NOT bool_or(a.mixed) AND min(k.first_position) = a.position
)
SELECT a.position, a.folder, arg_min(a.name, a.depth) AS top
FROM above AS a JOIN own USING (position, name)
GROUP BY a.position, a.folder;

CREATE TEMP TABLE made_tops AS
SELECT position, path, folder, bool_or(link) AS link, sum(size_bytes)::BIGINT AS size_bytes
FROM (
    SELECT
        l.position, coalesce(d.top, l.path) AS path, d.top IS NOT NULL AS folder, l.link AND d.top IS NULL AS link,
        l.size_bytes
    FROM made_leaves AS l
    LEFT JOIN made_folders AS d ON d.position = l.position AND d.folder = parse_dirpath(l.path, 'forward_slash')
    WHERE NOT l.foreign_to_it
)
GROUP BY position, path, folder;

DROP TABLE made_leaves;
DROP TABLE made_folders;
