-- The audits that finished before the time in question. The newest audit of each host always stays.

CREATE TEMP TABLE expired AS
SELECT audit_id FROM host_facts AS f
LEFT JOIN audits AS a USING (audit_id)
WHERE coalesce(a.finished_at, f.started_at) < $before
  AND audit_id NOT IN (SELECT arg_max(audit_id, finished_at) FROM audits GROUP BY host)
  AND audit_id NOT IN (
      SELECT arg_max(audit_id, finished_at) FROM audits WHERE status <> 'unreachable' GROUP BY host
  );

-- Optimized builds as old as that, but never the newest of an image.
CREATE TEMP TABLE expired_builds AS
SELECT build_id FROM builds WHERE started_at < $before AND build_id NOT IN (SELECT build_id FROM latest_builds);
DELETE FROM build_attempts WHERE build_id IN (FROM expired_builds);
DELETE FROM build_rules WHERE build_id IN (FROM expired_builds);
DELETE FROM build_checks WHERE build_id IN (FROM expired_builds);
DELETE FROM builds WHERE build_id IN (FROM expired_builds);
