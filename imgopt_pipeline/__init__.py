"""imgopt: what fills a Docker host, proved from its layers.

Only the version stands here; importing the package reads nothing and opens nothing.
"""

__version__ = "0.1.0"
