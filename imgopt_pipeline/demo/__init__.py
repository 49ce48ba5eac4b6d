"""The demo fleet: a full server's images, containers and directories, made from a declaration.

Makes archives and a description of a host; what audits them does not know that they are made.
"""
