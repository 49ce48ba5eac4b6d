-- What could the newest audits not read, and what is to be done about it?
SELECT DISTINCT host, subject, kind, message, hint
FROM latest_problems
ORDER BY host, subject;
