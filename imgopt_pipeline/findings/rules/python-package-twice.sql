-- title: A Python package in several places of one image
-- severity: low
-- risk: medium
-- why: A virtual environment beside the system's Python, or two environments, hold the same packages twice. Only one of
--   them is imported.
WITH places AS (
    SELECT
        image_id, image, regexp_replace(lower(name), '[-_.]+', '-', 'g') AS package, location,
        sum(size_bytes) AS size_bytes, coalesce(sum(size_bytes) FILTER (coalesce(holding_contents, 1) = 1), 0)
            AS own_bytes
    FROM host_packages
    WHERE ecosystem = 'python'
    GROUP BY ALL
),
twice AS (
    SELECT image_id, image, package, count(*) AS places, sum(size_bytes) AS size_bytes,
        least(sum(size_bytes) - max(size_bytes), sum(own_bytes)) AS freed_bytes, list(location ORDER BY location)
            AS locations
    FROM places GROUP BY image_id, image, package HAVING count(*) > 1
)
SELECT
    'image' AS subject_kind, image AS subject, image_id, '/' || min(locations[2]) AS path,
    sum(size_bytes) AS size_bytes, 0 AS low_bytes, sum(freed_bytes) AS likely_bytes, sum(freed_bytes) AS high_bytes,
    severity_of(sum(freed_bytes)) AS severity,
    counted(count(*), 'package') || ' in more than one place (' || some_of(list(package ORDER BY size_bytes DESC,
        package)) || '), in '
        || some_of(list_sort(list_distinct(flatten(list(locations))))) || '; the biggest copy of each is not counted.'
            AS evidence,
    'Install everything into one environment: either the virtual environment or the image''s own Python.' AS advice
FROM twice
GROUP BY image_id, image
HAVING sum(freed_bytes) >= $least_bytes
