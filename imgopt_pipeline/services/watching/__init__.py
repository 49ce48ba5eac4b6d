"""Watching whether a unit does what it did: what is seen of it before a switch, the gate after it, the gap between.

Belongs here: looking, asking and judging. Nothing here changes a unit, but for what asking a running service does.
"""
