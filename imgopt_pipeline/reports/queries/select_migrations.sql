-- Migrations, the newest first; one of them by its ID.
FROM migrations
WHERE ($migration_id IS NULL OR migration_id = $migration_id) AND ($host IS NULL OR host = $host)
ORDER BY started_at DESC, migration_id
