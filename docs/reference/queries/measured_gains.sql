-- What did deployments gain, what was expected, and what waits for the old images to go?
SELECT host, subject, old_bytes, new_bytes, measured_bytes, likely_bytes, within_range, freed_bytes, pending_bytes
FROM measured_gains
ORDER BY measured_bytes DESC;
