"""What layers contain: entry readers, the Parquet cache, and the merged tree of an image.

Everything that turns bytes of a layer into entries, and entries into live and dead bytes, belongs
here. What the files *are* (packages, categories) does not.
"""
