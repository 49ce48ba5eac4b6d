-- How techniques did in the builds so far.
SELECT technique, kept, dropped, measured_per_likely FROM estimate_accuracy ORDER BY technique
