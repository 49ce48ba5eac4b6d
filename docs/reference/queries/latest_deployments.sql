-- What stands of the newest deployment of each image, and how long did its service not answer?
SELECT host, subject, outcome, old_bytes, new_bytes, gap_seconds, kept_until, summary
FROM latest_deployments
ORDER BY started_at DESC;
