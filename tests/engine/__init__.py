"""Tests against real Docker engines that nobody else uses.

Belongs here: tests that need a running engine, and the private daemons they run on (`daemons.py`).
Does not belong here: anything that can be tested from files, and anything that talks to the machine's
own engine.
"""
