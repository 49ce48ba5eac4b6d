"""Two texts as a unified diff that `patch` applies, byte for byte."""

from __future__ import annotations

import difflib

from imgopt_pipeline.dockerfiles.lines import split_lines


def unified_diff(before: str, after: str, name: str, *, context_lines: int = 3) -> str:
    """The diff from `a/name` to `b/name`, empty where both are equal; files may lack their last line feed."""
    lines = difflib.unified_diff(
        split_lines(before), split_lines(after), f"a/{name}", f"b/{name}", n=context_lines, lineterm="\n"
    )
    marked = (line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
    return "".join(marked)
