"""What pytest must leave alone here: the applications have tests of their own, for their own dependencies."""

collect_ignore = ["applications"]
