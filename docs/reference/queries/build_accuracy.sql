-- Which candidates are smaller or larger than was expected?
SELECT host, reference, old_bytes, new_bytes, measured_bytes, low_bytes, likely_bytes, high_bytes, within_range
FROM build_accuracy
ORDER BY within_range, abs(measured_bytes - likely_bytes) DESC;
