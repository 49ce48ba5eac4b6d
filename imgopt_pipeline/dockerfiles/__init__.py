"""Dockerfiles: parsed, edited by span, rewritten by rules, rendered from templates.

Belongs here: text in, text out, and the facts that a rule asks for. Does not belong here: reading images, building.
"""
