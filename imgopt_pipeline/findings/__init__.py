"""Findings: rules as SQL files over the warehouse, and what techniques would remove from an image.

What to do about it, in which order, belongs to `planning`.
"""
