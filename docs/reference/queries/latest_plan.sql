-- What is to be done first?
SELECT host, rank, subject, decision, action, complexity, risk, priority, phase, low_bytes, likely_bytes, high_bytes, command
FROM latest_plan
ORDER BY host, rank;
