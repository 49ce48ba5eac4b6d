"""What the files of an image are: packages of each ecosystem with their bytes, categories of space.

Reads documents (`layers.documents`) and the merged tree. What could be saved belongs to `findings`,
what speaks for a GPU to `gpu`.
"""
