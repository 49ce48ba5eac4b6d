-- Who approved what on a host, the newest first; what is not the same image any more is not approved.
FROM approvals WHERE $host IS NULL OR host = $host ORDER BY approved_at DESC, approval_id
