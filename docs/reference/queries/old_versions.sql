-- Which old versions are still kept, and are they in use?
SELECT host, repository, name, created_at, unique_bytes, containers
FROM old_versions
ORDER BY unique_bytes DESC NULLS LAST;
