-- Which technique would remove which bytes of one image, and how sure that is: table `claim_groups`.
--
-- Input: live_files, owners, ownership, categories, gpu_files, dead_files and history (findings/removable.py says
-- what they hold). Output: position, dead, claims, size_bytes, files, example; one row per layer and set of claims.
--
-- A claim is one bit: three per technique, for the estimate from which on it counts. A file collects bits by
-- its package, its folder and its name; patterns are looked for once per folder and package, not per file.

CREATE OR REPLACE TEMP MACRO low(technique) AS 1::BIGINT << (3 * technique - 3);
CREATE OR REPLACE TEMP MACRO likely(technique) AS 1::BIGINT << (3 * technique - 2);
CREATE OR REPLACE TEMP MACRO high(technique) AS 1::BIGINT << (3 * technique - 1);

-- The full variant of an official image stands on buildpack-deps, whose packages nobody installs together by
-- hand. `top` is the highest of its layers, null for other images.
CREATE TEMP TABLE claim_full_base AS
SELECT CASE WHEN count(*) >= 8 THEN max(position) END AS top
FROM (
    SELECT o.name, min(f.position) AS position
    FROM owners AS o
    JOIN ownership AS w USING (owner_id)
    JOIN live_files AS f USING (file_id)
    WHERE o.ecosystem = 'debian' AND o.name IN (
        'autoconf', 'automake', 'default-libmysqlclient-dev', 'imagemagick', 'libdb-dev', 'libevent-dev', 'libgdbm-dev',
        'libkrb5-dev', 'libmagickcore-dev', 'libmagickwand-dev', 'libmaxminddb-dev', 'libtool', 'libwebp-dev',
        'mercurial', 'subversion'
    )
    GROUP BY o.name
);

-- Packages: `mask` holds in every layer, `above_base` only above that base, `in_base` only within it.
CREATE TEMP TABLE claim_owners AS
WITH needed AS (
    SELECT DISTINCT unnest(requires) AS name FROM owners WHERE gpu_role = ''
),
normalised AS (
    SELECT *, ecosystem IN ('debian', 'alpine') AS distribution,
        regexp_replace(lower(name), '[-_.]+', '-', 'g') AS plain_name,
        regexp_matches(
            name,
            '^(gcc|g\+\+|cpp|gfortran|clang|clang-tools|llvm|binutils|rustc|cargo|golang|nasm|yasm|musl-dev|build-essential'
            '|build-base)(-.*)?$|^(libbinutils|libcc1-0|libgprofng0|libctf0|libctf-nobfd0)$|^lib(a|l|t|hwa)san[0-9]+$|^libubsan[0-9]+$'
        ) AND NOT regexp_matches(name, '-(base|libs)$') AS compiler,
        regexp_matches(
            name,
            '-dev$|^(make|cmake|cmake-data|ninja-build|samurai|meson|autoconf|automake|autotools-dev|libtool|m4|bison|flex'
            '|pkg-config|pkgconf|pkgconf-bin|patch|dpkg-dev|libdpkg-perl|fakeroot|swig|ccache)$'
        ) OR regexp_matches(section, '(^|/)(libdevel|devel)$') AS building,
        regexp_matches(
            name, '^(git|git-man|mercurial|mercurial-common|subversion|perl|perl-modules-.*|libperl5.*)$'
        ) AS tool
    FROM owners
)
SELECT
    owner_id,
    gpu_role IN ('library', 'plugin', 'compiler') AS judged_whole,
    CASE
        WHEN gpu_role = 'library' THEN low(1)
        WHEN gpu_role = 'plugin' THEN likely(1)
        WHEN gpu_role = 'compiler' AND plain_name NOT IN (SELECT name FROM needed WHERE name IS NOT NULL) THEN high(1)
        ELSE 0
    END | CASE
        WHEN ecosystem <> 'debian' OR NOT only_recommended THEN 0
        WHEN regexp_matches(section, '(^|/)(old)?libs$') THEN high(4)
        ELSE likely(4)
    END | CASE WHEN ecosystem = 'node' AND development THEN likely(7) ELSE 0 END AS mask,
    CASE
        WHEN NOT distribution THEN 0
        WHEN compiler THEN low(3)
        WHEN building THEN likely(3)
        WHEN tool THEN high(3)
        ELSE 0
    END AS above_base,
    CASE
        WHEN ecosystem <> 'debian' THEN 0
        WHEN compiler OR building OR tool OR name IN ('imagemagick', 'imagemagick-6-common', 'imagemagick-7-common')
            OR starts_with(name, 'libmagick') THEN likely(8)
        ELSE high(8)
    END AS in_base
FROM normalised;

CREATE TEMP TABLE claim_owned AS
SELECT w.file_id, o.mask, o.above_base, o.in_base, o.judged_whole
FROM ownership AS w
JOIN claim_owners AS o USING (owner_id)
WHERE o.mask | o.above_base | o.in_base <> 0 OR o.judged_whole;

-- Folders that decide about the files in them.
CREATE TEMP TABLE claim_folders AS
SELECT
    folder,
    CASE
        WHEN starts_with(path, '/var/lib/apt/lists/') OR starts_with(path, '/var/cache/apt/')
            OR starts_with(path, '/var/cache/apk/') OR starts_with(path, '/etc/apk/cache/')
            OR starts_with(path, '/var/cache/dnf/') OR starts_with(path, '/var/cache/yum/')
            OR starts_with(path, '/var/cache/zypp/') OR starts_with(path, '/var/cache/pacman/pkg/')
            THEN low(5) | low(11)
        WHEN contains(path, '/.cache/pip/') OR contains(path, '/.cache/uv/') OR contains(path, '/.cache/pypoetry/')
            OR contains(path, '/.cache/pipenv/') OR contains(path, '/.cache/yarn/') OR contains(path, '/.cache/pnpm/')
            OR contains(path, '/.cache/node-gyp/') OR contains(path, '/.cache/go-build/')
            OR contains(path, '/.npm/_cacache/') OR contains(path, '/.yarn/berry/cache/')
            OR contains(path, '/.bun/install/cache/') OR contains(path, '/.conda/pkgs/')
            OR (contains(path, '/pkgs/') AND regexp_matches(path,
                '/(conda|miniconda3|anaconda3|mambaforge|miniforge3)/pkgs/'))
            THEN low(6) | low(11)
        WHEN contains(path, '/cargo/registry/') OR contains(path, '/.cargo/registry/')
            OR contains(path, '/go/pkg/mod/cache/') OR contains(path, '/.m2/repository/')
            OR contains(path, '/.gradle/caches/') THEN likely(6) | likely(11)
        -- Hard links may lead from there into node_modules, whose bytes would stay.
        WHEN contains(path, '/pnpm/store/') OR contains(path, '/.pnpm-store/') THEN high(6) | high(11)
        ELSE 0
    END | CASE
        WHEN regexp_matches(path, '/(tests?|__tests__|docs?|examples?|benchmarks?)/') AND (
            regexp_matches(
                path, '/(site-packages|dist-packages|lib/python3[^/]*)/(.*/)?(tests?|__tests__|docs?|examples?|benchmarks?)/'
            ) OR regexp_matches(
                path, '/node_modules/(@[^/]*/)?[^/@][^/]*/(.*/)?(tests?|__tests__|docs?|examples?|benchmarks?)/'
            )
        ) THEN likely(9)
        WHEN ends_with(path, '/__pycache__/')
            OR regexp_matches(path, '^/usr/(local/)?share/(locale|man|doc|info|help|gtk-doc)/') THEN high(9)
        ELSE 0
    END
    | CASE WHEN regexp_matches(path, '/\.(git|svn|hg|bzr)/') THEN low(10) ELSE 0 END
    | CASE WHEN contains(path, '/.next/cache/') THEN high(13) ELSE 0 END
    | CASE WHEN starts_with(path, '/usr/lib/debug/') THEN likely(14) ELSE 0 END
    | CASE WHEN starts_with(path, '/usr/include/') OR starts_with(path, '/usr/local/include/') THEN high(15) ELSE 0 END
    | CASE
        WHEN starts_with(path, '/opt/nvidia/nsight') OR starts_with(path, '/usr/local/cuda') AND regexp_matches(
            path,
            '^/usr/local/cuda[^/]*/(bin|nvvm|include|nsight[^/]*|compute-sanitizer|extras|libnvvp|tools|src|samples|nvml|doc'
            '|gds|lib64/stubs|targets/[^/]*/(include|lib/stubs))/'
        ) THEN likely(16)
        ELSE 0
    END AS mask,
    contains(path, '/node_modules/') AS in_node_modules,
    starts_with(path, '/usr/local/cuda') AS in_cuda,
    CASE WHEN contains(path, '/node_modules/') THEN split_part(path, 'node_modules/', 1) END AS modules_parent,
    path
FROM (
    SELECT folder, '/' || folder || '/' AS path
    FROM (SELECT DISTINCT parse_dirpath(path, 'forward_slash') AS folder FROM live_files)
);

-- Next.js without its standalone output needs the node_modules beside it and above it.
CREATE TEMP TABLE claim_modules AS
WITH roots AS (
    SELECT split_part(path, '.next/', 1) AS root, bool_or(contains(path, '/.next/standalone/')) AS standalone
    FROM claim_folders
    WHERE contains(path, '/.next/') AND NOT in_node_modules
    GROUP BY root
)
SELECT DISTINCT f.modules_parent
FROM claim_folders AS f
JOIN roots AS r ON starts_with(r.root, f.modules_parent)
WHERE NOT r.standalone AND f.in_node_modules;

-- CUDA libraries that lie both in the system and in wheels: the smaller side is one too many.
CREATE TEMP TABLE claim_duplicates AS
WITH libraries AS (
    SELECT
        f.file_id, f.size_bytes,
        split_part(parse_filename(f.path, false, 'forward_slash'), '.so', 1) AS stem,
        contains(f.path, '-packages/nvidia/') AS in_wheel
    FROM live_files AS f
    WHERE contains(f.path, '.so') AND (
        contains(f.path, '-packages/nvidia/') OR starts_with(f.path, 'usr/local/cuda')
        OR starts_with(f.path, 'usr/lib/') AND regexp_matches(
            f.path, '^usr/lib/[^/]*/lib(cudnn|nccl|cublas|cufft|cusparse|cusolver|curand|cudart|nvrtc|cupti|nvJitLink)[^/]*$'
        )
    )
),
twice AS (
    SELECT stem FROM libraries WHERE contains(stem, 'lib') GROUP BY stem HAVING count(DISTINCT in_wheel) = 2
),
smaller AS (
    SELECT in_wheel FROM libraries SEMI JOIN twice USING (stem) GROUP BY in_wheel ORDER BY sum(size_bytes),
        in_wheel LIMIT 1
)
SELECT file_id FROM libraries SEMI JOIN twice USING (stem) SEMI JOIN smaller USING (in_wheel);

CREATE TEMP TABLE claim_files AS
WITH copied AS (
    SELECT position FROM history
    WHERE position > 0 AND regexp_matches(created_by, '^((/bin/sh -c )?#\(nop\) +)?(COPY|ADD) ')
),
data AS (
    SELECT file_id FROM categories WHERE category = 'models and media'
),
masked AS (
    SELECT
        f.position, f.path, f.size_bytes,
        coalesce(d.mask, 0)
        | CASE
            WHEN ends_with(f.path, '.pyc') THEN high(9)
            WHEN ends_with(f.path, '.a') THEN CASE WHEN d.in_cuda THEN likely(15) | likely(16) ELSE likely(15) END
            WHEN ends_with(f.path, '.h') OR ends_with(f.path, '.hpp') OR ends_with(f.path, '.hh')
                OR ends_with(f.path, '.hxx') OR ends_with(f.path, '.cuh') THEN high(15)
            WHEN ends_with(f.path, '.debug') THEN likely(14)
            ELSE 0
        END
        | CASE WHEN g.file_id IS NOT NULL AND NOT coalesce(o.judged_whole, false) THEN likely(1) ELSE 0 END
        | CASE WHEN u.file_id IS NOT NULL THEN likely(18) ELSE 0 END
        | CASE WHEN m.modules_parent IS NOT NULL THEN high(13) ELSE 0 END
        | CASE WHEN c.position IS NOT NULL AND (d.in_node_modules OR a.file_id IS NOT NULL) THEN high(10) ELSE 0 END
        | coalesce(o.mask, 0)
        | CASE WHEN f.position > coalesce(b.top, 0) THEN coalesce(o.above_base, 0) ELSE 0 END
        -- The lowest layer is Debian itself, which the slim variant has as well, unless all is one layer.
        | CASE WHEN f.position BETWEEN least(1, b.top) AND b.top THEN coalesce(o.in_base, 0) ELSE 0 END AS mask
    FROM live_files AS f
    CROSS JOIN claim_full_base AS b
    LEFT JOIN (
        FROM claim_folders WHERE mask <> 0 OR in_node_modules OR in_cuda
    ) AS d ON d.folder = parse_dirpath(f.path, 'forward_slash')
    LEFT JOIN claim_owned AS o ON o.file_id = f.file_id
    LEFT JOIN gpu_files AS g ON g.file_id = f.file_id
    LEFT JOIN claim_duplicates AS u ON u.file_id = f.file_id
    LEFT JOIN claim_modules AS m ON m.modules_parent = d.modules_parent
    LEFT JOIN copied AS c ON c.position = f.position
    LEFT JOIN data AS a ON a.file_id = f.file_id
)
SELECT position, false AS dead, path, size_bytes, mask FROM masked WHERE mask <> 0
UNION ALL
SELECT position, true, path, size_bytes, CASE reason WHEN 'metadata' THEN low(12) ELSE low(17) END FROM dead_files;

CREATE TEMP TABLE claim_groups AS
WITH sums AS (
    SELECT position, dead, mask, sum(size_bytes)::BIGINT AS size_bytes, count(*) AS files, max(size_bytes)
        AS biggest_bytes
    FROM claim_files GROUP BY position, dead, mask
),
examples AS (
    SELECT position, dead, mask, min(f.path) AS example
    FROM claim_files AS f JOIN sums AS s USING (position, dead, mask)
    WHERE f.size_bytes = s.biggest_bytes
    GROUP BY position, dead, mask
),
named AS (
    -- Of several levels of a technique the surest counts.
    SELECT *, list_filter(
        list_transform(
            range(1, 19),
            lambda t: CASE
                WHEN mask & low(t) <> 0 THEN 'R' || t || ':low'
                WHEN mask & likely(t) <> 0 THEN 'R' || t || ':likely'
                WHEN mask & high(t) <> 0 THEN 'R' || t || ':high'
            END
        ),
        lambda claim: claim IS NOT NULL
    ) AS claims
    FROM sums JOIN examples USING (position, dead, mask)
)
SELECT
    position, dead, claims, sum(size_bytes)::BIGINT AS size_bytes, sum(files)::BIGINT AS files,
    arg_min(example, (-biggest_bytes, example)) AS example
FROM named
GROUP BY position, dead, claims
HAVING sum(size_bytes) > 0
ORDER BY position, dead, claims;
