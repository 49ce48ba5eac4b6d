"""Dockerfiles for new projects: from answers, or from what a project's own files say, to text.

Nothing here builds or asks an engine, and a project's files are only read.
"""
