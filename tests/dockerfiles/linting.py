"""What hadolint says of a Dockerfile, and what it says of a rewritten one that it did not say before."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

HADOLINT = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
_NO_OPINION = "DL1000"
"""Its word for what it cannot parse."""


def codes(texts: Mapping[str, str]) -> dict[str, set[str]]:
    """The codes of what it finds in each text, by name, in one call."""
    assert HADOLINT is not None, "hadolint is not installed"
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder, str(number)) for number, name in enumerate(texts)}
        for name, file in files.items():
            file.write_bytes(texts[name].encode("utf-8", "surrogateescape"))
        words = [HADOLINT, "--no-fail", "--format", "json", "--config", "/dev/null", *map(str, files.values())]
        done = subprocess.run(words, capture_output=True, check=True, timeout=120)
    found: dict[str, set[str]] = {name: set() for name in texts}
    names = {str(file): name for name, file in files.items()}
    for finding in json.loads(done.stdout):
        found[names[finding["file"]]].add(finding["code"])
    return found


def new_findings(before: str, after: str) -> list[str]:
    """What it finds in a rewritten text alone; nothing where it cannot parse either."""
    found = codes({"before": before, "after": after})
    if _NO_OPINION in found["before"] | found["after"]:
        return []
    return sorted(found["after"] - found["before"])
