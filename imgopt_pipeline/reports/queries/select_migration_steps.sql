-- The journal of a migration.
FROM migration_steps WHERE migration_id = $migration_id ORDER BY number
