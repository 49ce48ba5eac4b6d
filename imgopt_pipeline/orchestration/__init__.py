"""The Dagster side: assets, checks, jobs, schedules, the instance. The only place that imports dagster.

Nothing is computed here. An asset takes its host's name, calls one function of the domain and returns
rows; what is worth a loop or a condition belongs to the domain.
"""
