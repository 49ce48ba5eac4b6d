-- title: The CUDA development kit
-- technique: R16
-- severity: medium
-- risk: high
-- why: nvcc, headers, static libraries and profilers are needed to compile CUDA programs. To run them the runtime
--   variant of the same base image is enough.
SELECT
    'image' AS subject_kind, name AS subject, image_id, '/' || example AS path,
    size_bytes, low_bytes, likely_bytes, high_bytes, severity_of(likely_bytes) AS severity,
    'Compiler, headers, static libraries and tools below /usr/local/cuda*. ' || evidence AS evidence,
    'Compile in a stage on the -devel base and run on the -runtime (or -base) variant of the same version; test it '
        || 'with a GPU, and keep -devel '
        || 'where flash-attn or triton compiles at run time.' AS advice
FROM technique_bytes
WHERE technique = 'R16' AND high_bytes >= $least_bytes
