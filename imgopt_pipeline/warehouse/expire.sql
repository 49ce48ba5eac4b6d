-- The audits that finished before the time in question. The newest audit of each host always stays.

CREATE TEMP TABLE expired AS
SELECT audit_id FROM host_facts AS f
LEFT JOIN audits AS a USING (audit_id)
WHERE coalesce(a.finished_at, f.started_at) < $before
  AND audit_id NOT IN (SELECT arg_max(audit_id, finished_at) FROM audits GROUP BY host)
  AND audit_id NOT IN (
      SELECT arg_max(audit_id, finished_at) FROM audits WHERE status <> 'unreachable' GROUP BY host
  );
