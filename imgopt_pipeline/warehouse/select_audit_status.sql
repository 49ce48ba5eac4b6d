SELECT status FROM audits WHERE audit_id = $audit_id
