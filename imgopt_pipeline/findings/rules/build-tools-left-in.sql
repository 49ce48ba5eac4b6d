-- title: Compilers and headers left in the image
-- technique: R3
-- severity: medium
-- risk: medium
-- why: A compiler, headers and git are needed while packages are built and never again. They take hundreds of megabytes
--   and help whoever breaks into the container.
SELECT
    'image' AS subject_kind, name AS subject, image_id, '/' || example AS path,
    size_bytes, low_bytes, likely_bytes, high_bytes, severity_of(likely_bytes) AS severity,
    'Compilers and binutils count in the least estimate, -dev packages and build systems in the likely one, git and '
        || 'perl in the highest. '
        || evidence AS evidence,
    'Split the Dockerfile into two stages: install and compile in the first, `COPY --from` the installed packages (a '
        || 'virtual environment or '
        || '/usr/local) into a second one without the tools; check with ldd that no library is missing.' AS advice
FROM technique_bytes
WHERE technique = 'R3' AND high_bytes >= $least_bytes
