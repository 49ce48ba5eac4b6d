"""What a host is, and how to reach it: Docker-compatible engines and folders of image archives.

Images, containers, disk usage, helper containers and blobs of archives belong here. What a layer
contains does not: that is `layers`.
"""
