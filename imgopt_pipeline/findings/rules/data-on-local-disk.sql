-- title: Media, models or archives on the local disk
-- severity: medium
-- risk: low
-- why: Files that are read now and then and never change fill the disk that databases and images need. A remote mount
--   holds them as well.
WITH heavy AS (
    SELECT *, coalesce(contents_bytes['audio'], 0) + coalesce(contents_bytes['video'],
        0) + coalesce(contents_bytes['images'], 0)
        + coalesce(contents_bytes['models'], 0) + coalesce(contents_bytes['archives'], 0) AS heavy_bytes
    FROM data_directories
    WHERE audit_id = $audit_id AND host = $host AND NOT remote
),
chosen AS (
    FROM heavy WHERE heavy_bytes >= $data_bytes AND contents IN ('audio', 'video', 'images', 'models', 'archives')
)
SELECT
    'directory' AS subject_kind, path AS subject, NULL AS image_id, path,
    size_bytes, heavy_bytes AS low_bytes, greatest(size_bytes, heavy_bytes) AS likely_bytes, greatest(size_bytes,
        heavy_bytes) AS high_bytes,
    severity_of(size_bytes) AS severity,
    counted(files, 'file') || ' of ' || human(size_bytes) || ', mostly ' || contents || ' (' || human(heavy_bytes)
        || ' of audio, video, images, models '
        || 'and archives), on a local ' || coalesce(nullif(filesystem, ''), 'disk') || CASE WHEN len(containers) > 0 THEN '; mounted by '
            || some_of(containers) ELSE '' END
        || coalesce('; ' || human(unused_bytes) || ' not used for ' || idle_days || ' days', '')
        || CASE WHEN complete THEN '.' ELSE '; not all of it was read.' END AS evidence,
    'Copy it to a remote mount, compare, stop '
        || CASE WHEN running THEN some_of(containers) ELSE 'what writes to it' END
        || ', copy what changed, point the mount there and start again; delete the local copy only after a week.'
            AS advice
FROM chosen AS c
-- What lies in another such directory goes with it.
WHERE NOT EXISTS (SELECT 1 FROM chosen AS o WHERE starts_with(c.path, rtrim(o.path, '/') || '/'))
