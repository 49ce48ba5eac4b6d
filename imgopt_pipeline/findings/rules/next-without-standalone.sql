-- title: Next.js without its standalone output
-- technique: R13
-- severity: medium
-- risk: medium
-- why: Next.js can trace which files of node_modules a server really needs and copy only those. Without it the whole
--   node_modules goes along, mostly for nothing.
SELECT
    'image' AS subject_kind, name AS subject, image_id, '/' || example AS path,
    size_bytes, low_bytes, likely_bytes, high_bytes, severity_of(high_bytes // 2) AS severity,
    'There is a .next and no .next/standalone; all node_modules beside and above it count in the highest estimate '
        || 'only, for tracing '
        || 'keeps some of them. ' || evidence AS evidence,
    'Set output: ''standalone'' in next.config.js (Next 12 or later) and copy .next/standalone, .next/static and '
        || 'public into the final stage; '
        || 'then fetch a page and one of its assets.' AS advice
FROM technique_bytes
WHERE technique = 'R13' AND high_bytes >= $least_bytes
