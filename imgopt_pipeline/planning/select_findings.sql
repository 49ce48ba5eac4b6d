-- The findings of an audit that a plan can answer: those that a technique mends or that give space back.
SELECT rule_id, technique, subject_kind, subject, image_id, path, high_bytes
FROM findings
WHERE audit_id = $audit_id AND (technique IS NOT NULL OR high_bytes > 0)
ORDER BY rule_id, subject
