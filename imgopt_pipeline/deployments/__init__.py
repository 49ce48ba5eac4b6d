"""Putting a checked candidate in the place of what runs, proving that it does what the old one did, or going back.

The journal of a deployment is the truth about it: whatever ends the process, the next one finds there how far it came.
What runs is found, changed and watched in `services`; here stands in which order, and what is kept to go back.
"""
