-- title: Moved data whose mount is gone
-- severity: high
-- risk: low
-- why: Data that was moved to a mount is not there while the mount is away. Containers that use it do not start, so that
--   they write nothing into the folder below.
SELECT
    'directory' AS subject_kind, subject, NULL AS image_id, NULL AS path,
    0 AS size_bytes, 0 AS low_bytes, 0 AS likely_bytes, 0 AS high_bytes,
    'high' AS severity,
    message AS evidence,
    hint AS advice
FROM audit_problems
WHERE audit_id = $audit_id AND host = $host AND kind = 'mount gone'
