-- Which rules free more or less than was expected, and which had to be dropped?
SELECT technique, kept, dropped, within_range, likely_bytes, measured_bytes, measured_per_likely
FROM estimate_accuracy
ORDER BY dropped DESC, abs(measured_bytes - likely_bytes) DESC;
