"""From a Dockerfile to an image that passed its checks.

Belongs here: finding what an image is built from, building candidates, checking them against the image in use,
finding the guilty change. Does not belong here: rewriting text (`dockerfiles`) and switching what runs.
"""
