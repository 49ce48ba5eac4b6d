"""Lines as BuildKit and `patch` count them: ended by a line feed and nothing else."""

from __future__ import annotations


def split_lines(text: str) -> list[str]:
    """The lines of a text with their ends; `str.splitlines` would split at other characters too."""
    parts = text.split("\n")
    return [*(f"{part}\n" for part in parts[:-1]), *([parts[-1]] if parts[-1] else [])]
