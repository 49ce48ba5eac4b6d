-- The folders that Python packages are installed in.
SELECT DISTINCT '/' || location FROM owners
WHERE ecosystem = 'python' AND regexp_matches(location, '(site|dist)-packages$') ORDER BY ALL;
