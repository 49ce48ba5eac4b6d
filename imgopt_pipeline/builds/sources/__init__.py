"""What an image is built from: Dockerfile, context, arguments, and whether they are the right ones."""
