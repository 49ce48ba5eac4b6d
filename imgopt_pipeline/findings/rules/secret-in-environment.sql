-- title: A credential in the environment of an image
-- severity: medium
-- risk: low
-- why: What ENV sets is stored in the image and shown to everybody who inspects it or gets a shell in the container.
WITH found AS (
    SELECT *, list_sort(list_filter(env_names, lambda word: looks_secret(word))) AS names FROM host_images
)
SELECT
    'image' AS subject_kind, name AS subject, image_id, NULL AS path,
    0 AS size_bytes, 0 AS low_bytes, 0 AS likely_bytes, 0 AS high_bytes,
    'Its environment has ' || counted(len(names), 'variable') || ' whose name says that the value is secret: '
        || some_of(names)
        || '. Values are not read; an empty one does no harm.' AS evidence,
    'Take it out of the Dockerfile; give it to the container when it starts, as a secret file or from an env file '
        || 'that is not committed. If a '
        || 'real value was in it, change it.' AS advice
FROM found
WHERE len(names) > 0
