"""The engine's builder: what it can do, builds through the docker command, and taking off what they left."""
