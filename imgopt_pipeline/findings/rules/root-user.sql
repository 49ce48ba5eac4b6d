-- title: Runs as root
-- severity: low
-- risk: medium
-- why: Whoever breaks into a program that runs as root has the whole container, and what is mounted into it, and is one
--   step from the host.
SELECT
    'image' AS subject_kind, name AS subject, image_id, NULL AS path,
    0 AS size_bytes, 0 AS low_bytes, 0 AS likely_bytes, 0 AS high_bytes,
    CASE default_user WHEN '' THEN 'It names no user, which means root' ELSE 'Its user is ' || default_user END
        || '; ' || counted(running_containers, 'container') || ' of it run' || CASE running_containers WHEN 1 THEN 's'
            ELSE '' END || '.' AS evidence,
    'Add a user in the Dockerfile and end it with `USER name`; give that user the folders it writes to (`COPY '
        || '--chown`).' AS advice
FROM host_images
WHERE running_containers > 0 AND regexp_matches(default_user, '^(|root|0+)(:.*)?$')
