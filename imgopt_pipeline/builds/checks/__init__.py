"""Checks of a candidate, each against the image in use doing the same.

One module per check, and what several of them share. `candidate` runs them all; `inside` holds the programs that
run in the images' own interpreters.
"""
