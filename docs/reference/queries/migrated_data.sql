-- What was moved, what did that free, and what waits until its source may be deleted?
SELECT host, source, destination, files, file_bytes, freed_bytes, pending_bytes, kept_until
FROM migrated_data
ORDER BY pending_bytes DESC;
