-- Approvals of other images under that name, the newest first.
SELECT *
FROM approvals
WHERE host = $host AND subject = $subject AND image_id <> $image_id
ORDER BY approved_at DESC
