-- What does each phase give?
SELECT host, phase, items, low_bytes, likely_bytes, high_bytes
FROM plan_totals
ORDER BY host, phase;
