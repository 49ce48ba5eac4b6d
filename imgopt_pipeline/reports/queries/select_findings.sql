SELECT host, rule_id, title, technique, severity, risk, subject_kind, subject, image_id, path, size_bytes,
    low_bytes, likely_bytes, high_bytes, evidence, advice, why
FROM latest_findings
WHERE host = coalesce($host, host) AND rule_id = coalesce($rule, rule_id)
  AND (subject = coalesce($subject, subject) OR image_id = $image_id)
ORDER BY host, list_position(['high', 'medium', 'low', 'info'], severity), likely_bytes DESC, rule_id, subject
