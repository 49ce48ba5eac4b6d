"""The plan: from findings and removable bytes to decisions, gains, risks and phases.

Judges only; nothing here reads a host or changes anything.
"""
