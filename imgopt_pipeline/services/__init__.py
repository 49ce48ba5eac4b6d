"""What runs on a host, and changing it: compose services and single containers, each as a unit that is switched whole.

Belongs here: finding a unit and what hangs on it, having compose bring it up, recreating a container with every
option, watching whether it does what it did. Does not belong here: when and why it is switched (`deployments`,
`migrations`), and what is journaled of it.
"""
