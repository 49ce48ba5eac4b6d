-- What was found, the largest gains first?
SELECT host, severity, subject, title, likely_bytes, evidence, advice
FROM latest_findings
ORDER BY likely_bytes DESC, severity, subject;
