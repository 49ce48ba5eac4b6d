"""Removing what is only left over: stopped containers, dangling images, old build cache, volumes by name, node_modules.

Belongs here: what counts as left over and why the rest does not, the last look right before something goes, and
moving directories aside so that they can come back. Does not belong here: what runs (`deployments`) and data that
exists nowhere else (`migrations`).
"""
