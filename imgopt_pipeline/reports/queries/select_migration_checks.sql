-- What was looked at after services were pointed to the new place, and after a rollback.
FROM migration_checks WHERE migration_id = $migration_id ORDER BY phase, unit, check_name
