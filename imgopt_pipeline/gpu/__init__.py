"""GPU checks: what an image, a container and a host say about GPUs, and the verdict from it.

Everything is judged from facts already read; nothing of an image is executed. Reading the facts
belongs to `hosts`, `layers` and `contents`.
"""
