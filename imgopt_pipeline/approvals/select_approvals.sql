-- Approvals of this very image, or of this directory, the newest first; what was put back since has used one up.
SELECT approvals.*
FROM approvals
WHERE host = $host AND (image_id = $image_id OR path = $path)
    AND approved_at > coalesce((
        SELECT max(coalesce(done.finished_at, done.started_at))
        FROM deployments AS done
        WHERE done.host = $host AND done.old_image_id = approvals.image_id
            AND done.outcome IN ('rolled back', 'rollback failed')
    ), TIMESTAMP 'epoch')
    AND approved_at > coalesce((
        SELECT max(coalesce(done.finished_at, done.started_at))
        FROM migrations AS done
        WHERE done.host = $host AND done.source = approvals.path
            AND done.outcome IN ('rolled back', 'cancelled')
    ), TIMESTAMP 'epoch')
ORDER BY approved_at DESC
