-- What each live file is: table `categories` (file_id, category), exactly one row a file.
--
-- Input: `live_files`, `owners`, `ownership`, and `gpu_files` (file_id): files that only a GPU build has.
-- The first condition that holds decides. Names of categories stand in docs/reference/categories.md, which is
-- made from the comments after them.

CREATE TEMP TABLE file_folders AS
SELECT file_id, parse_dirpath(path, 'forward_slash') AS folder, parse_filename(path, false, 'forward_slash') AS name
FROM live_files;

-- Patterns are looked for once per folder: there are ten times as many files.
CREATE TEMP TABLE folder_kinds AS
SELECT folder, CASE
    WHEN regexp_matches(path, '/\.(git|hg|svn|bzr)/') THEN 'source control'
    WHEN regexp_matches(path, '^/(var/(lib/apt/lists|cache)|tmp|var/tmp)/')
        OR regexp_matches(path, '/(\.cache|\.npm|_cacache|\.yarn/cache|\.pnpm-store|\.bun/install/cache|\.cargo/registry|pip-wheel-metadata)/')
        OR regexp_matches(path, '/(conda|miniconda3|anaconda3|mambaforge|miniforge3)/pkgs/')
        OR regexp_matches(path, '^/usr/local/share/\.cache/') THEN
        CASE WHEN regexp_matches(path, '/\.cache/(huggingface|torch|whisper|clip|modelscope)/') THEN 'models and media'
            ELSE 'package caches and lists' END
    WHEN regexp_matches(path, '^/usr/(local/)?(share/)?(doc|man|info|locale|gtk-doc|i18n)/|^/usr/share/(doc|man|info|locale|help|gtk-doc|i18n|lintian)/')
        THEN 'docs and locales'
    WHEN regexp_matches(path, '/__pycache__/$') THEN 'tests and bytecode'
    WHEN regexp_matches(path, '/(tests?|testing)/') AND regexp_matches(path, '/((site|dist)-packages|node_modules|lib/python[0-9.]+)/')
        THEN 'tests and bytecode'
    WHEN regexp_matches(path, '/(include|gcc|gcc-cross|llvm[^/]*|clang|nvvm|go/pkg/tool|pkgconfig|cmake)/') AND regexp_matches(path, '^/(usr|opt)/')
        THEN 'compilers and headers'
    ELSE '' END AS kind,
    -- As deep as it takes to tell packages apart.
    coalesce(
        nullif(regexp_extract(folder, '^([^/]+/){1,6}?((site|dist)-packages(/[^/]+)?|node_modules(/@[^/]+/[^/]+|/[^/]+)?)'), ''),
        array_to_string(string_split(folder, '/')[1:4], '/')
    ) AS prefix
FROM (SELECT DISTINCT folder, '/' || folder || '/' AS path FROM file_folders);

CREATE TEMP TABLE categories AS
SELECT
    f.file_id,
    CASE
        WHEN g.file_id IS NOT NULL THEN 'GPU libraries' -- CUDA, ROCm, their compilers, and GPU parts of frameworks
        WHEN k.kind = 'source control' THEN 'source control' -- .git, .hg and .svn folders
        WHEN k.kind = 'package caches and lists' THEN 'package caches and lists' -- of apt, pip, conda, npm and others
        WHEN k.kind = 'models and media' OR suffix IN (
            'safetensors', 'gguf', 'ggml', 'pt', 'pth', 'ckpt', 'onnx', 'tflite', 'h5', 'pb', 'mp3', 'wav', 'flac', 'ogg',
            'm4a', 'mp4', 'mkv', 'mov', 'avi', 'webm'
        ) OR (suffix = 'bin' AND f.size_bytes > 20000000) THEN 'models and media' -- weights, audio and video
        WHEN o.ecosystem = 'node' AND o.development THEN 'node modules (development)' -- only building needs them
        WHEN suffix = 'a' THEN 'static libraries' -- archives for linking
        WHEN suffix IN ('pyc', 'pyo') OR k.kind = 'tests and bytecode' THEN 'tests and bytecode' -- of installed packages
        WHEN k.kind = 'docs and locales' THEN 'docs and locales' -- manuals, examples, translations
        WHEN k.kind = 'compilers and headers' OR suffix IN ('h', 'hpp', 'hxx', 'cuh', 'inl') AND o.owner_id IS NOT NULL
            OR (o.ecosystem IN ('debian', 'alpine') AND (
                o.section IN ('libdevel', 'devel', 'vcs') OR regexp_matches(
                    o.name, '^(gcc|g\+\+|cpp|binutils|clang|llvm|rustc|cargo|golang|make|cmake|build-essential|build-base|musl-dev)([-0-9].*)?$|-dev$'
                )
            )) THEN 'compilers and headers' -- what only building needs
        WHEN o.gpu_role IN ('framework', 'plugin', 'needs gpu') OR o.ecosystem IN ('python', 'conda') AND regexp_matches(
            lower(o.name), '^(torch|torchvision|torchaudio|pytorch|tensorflow|keras|jax|jaxlib|onnxruntime|paddlepaddle|transformers|ctranslate2|mxnet|xgboost|lightgbm|scikit-learn|scipy|faiss-cpu|sentence-transformers|diffusers|accelerate|vllm|pytorch-lightning|lightning|openvino|tokenizers)([-_].*)?$'
        ) THEN 'ML frameworks' -- without their GPU parts
        WHEN o.ecosystem = 'node' THEN 'node modules (production)' -- what a Node application needs to run
        WHEN o.ecosystem IN ('python', 'conda') THEN 'Python packages' -- all others
        WHEN o.ecosystem IN ('debian', 'alpine') THEN 'system packages' -- programs and libraries of the distribution
        WHEN regexp_matches(f.path, '/(site|dist)-packages/') THEN 'Python packages'
        WHEN regexp_matches(f.path, '^(usr/local/(bin|lib|include|share)|opt/(yarn|node|java|jdk|conda)[^/]*|root/\.(nvm|pyenv|rustup))/') AND NOT contains(f.path, '-packages/')
            THEN 'language runtimes' -- Python, Node, Java and others that no package manager installed
        WHEN regexp_matches(f.path, '^(usr|lib|lib64|bin|sbin|etc|var)(/|$)') THEN 'system files' -- that no package owns
        WHEN contains(f.path, 'node_modules/') THEN 'node modules (production)'
        ELSE 'application' -- the rest: what the image is for
    END AS category
FROM (
    SELECT *, CASE WHEN contains(name, '.') THEN lower(regexp_extract(name, '\.([^.]*)$', 1)) ELSE '' END AS suffix
    FROM live_files JOIN file_folders USING (file_id)
) AS f
JOIN folder_kinds AS k USING (folder)
LEFT JOIN ownership AS w USING (file_id)
LEFT JOIN owners AS o USING (owner_id)
LEFT JOIN gpu_files AS g USING (file_id);
