-- title: Called cpu, but a GPU build
-- severity: medium
-- risk: low
-- why: The name says that the image is the small variant without GPU libraries. It is not: somebody pays for them
--   without knowing.
SELECT
    'image' AS subject_kind, i.name AS subject, i.image_id, NULL AS path,
    i.gpu_bytes AS size_bytes, 0 AS low_bytes, 0 AS likely_bytes, 0 AS high_bytes,
    severity_of(i.gpu_bytes) AS severity,
    'Its name says cpu, its content is a ' || i.build || ' build with ' || human(i.gpu_bytes)
        || ' that only a GPU build has.' AS evidence,
    'Build the real CPU variant: pin the CPU builds of its frameworks on every install line (see '
        || 'gpu-build-without-gpu).' AS advice
FROM host_images AS i
WHERE i.build IN ('cuda', 'rocm') AND i.gpu_bytes >= $least_bytes
  AND len(list_filter(i.image_references, lambda word: regexp_matches(lower(word), '(^|[-_:/.])cpu([-_:/.]|$)'))) > 0
