-- title: A GPU build, and no GPU
-- technique: R1
-- severity: high
-- risk: medium
-- why: Machine-learning frameworks come with CUDA libraries of several gigabytes unless told otherwise. Where no GPU is
--   given to the container, none is in the host and the application asks for none, they only fill the disk.
WITH installed AS (
    SELECT
        image_id, lower(name) AS name, name || ' ' || coalesce(local_version, version) AS words,
        lower(name) || '==' || regexp_replace(version, '\+.*$', '') || '+cpu' AS cpu_pin
    FROM host_packages
    WHERE gpu_role IN ('framework', 'plugin')
),
frameworks AS (
    SELECT
        image_id,
        list(DISTINCT words ORDER BY words) AS names,
        list(DISTINCT cpu_pin ORDER BY cpu_pin) FILTER (name IN ('torch', 'torchvision', 'torchaudio')) AS torch
    FROM installed
    GROUP BY image_id
)
SELECT
    'image' AS subject_kind, i.name AS subject, t.image_id, '/' || t.example AS path,
    t.size_bytes, t.low_bytes, t.likely_bytes, t.high_bytes,
    severity_of(t.likely_bytes) AS severity,
    i.explanation || ' (' || i.confidence || '). ' || coalesce(some_of(f.names) || '. ', '') || t.evidence AS evidence,
    CASE
        WHEN f.torch IS NOT NULL THEN
            'Put ' || array_to_string(f.torch, ', ') || ' into a constraints file and use it on every pip line of the '
            || 'Dockerfile, with the framework''s CPU index (uv: --torch-backend=cpu). Let the build fail where '
            || 'torch.version.cuda is not None or an nvidia package is installed, then try the image before you switch.'
        ELSE
            'Install the CPU variants: onnxruntime for onnxruntime-gpu, tensorflow-cpu for tensorflow[and-cuda], jax for '
            || 'jax[cuda12], faiss-cpu for faiss-gpu; pin them on every pip line, and try the image before you switch.'
    END AS advice
FROM technique_bytes AS t
JOIN host_images AS i USING (image_id)
LEFT JOIN frameworks AS f USING (image_id)
WHERE t.technique = 'R1' AND i.verdict = 'denied' AND t.high_bytes >= $least_bytes
