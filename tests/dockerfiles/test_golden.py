"""Dockerfiles as people write them, and as an expert would leave them: every folder of golden/."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from imgopt_pipeline.dockerfiles.parsing import parse
from tests.dockerfiles.golden_cases import GoldenCase, golden_cases, known_after, rewritten

CASES = golden_cases()
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
HADOLINT = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")


@every_case
def test_it_becomes_what_an_expert_would_write(case: GoldenCase) -> None:
    result = rewritten(case.before, case.known)
    assert result.text == case.after, result.left_out
    assert (result.text == case.before) == (not any(change.line for change in result.changes))


@every_case
def test_rewriting_it_again_changes_nothing(case: GoldenCase) -> None:
    result = rewritten(case.before, case.known)
    again = rewritten(result.text, known_after(case.known, result))
    assert again.text == result.text, again.changes


@every_case
def test_every_change_says_why_at_a_line_of_the_original(case: GoldenCase) -> None:
    for change in rewritten(case.before, case.known).changes:
        assert 0 <= change.line <= case.before.count("\n") + 1
        assert len(change.reason) > 15
        assert change.reason.endswith(".")


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed")
def test_hadolint_finds_nothing_that_it_did_not_find_before(tmp_path: Path) -> None:
    """All in one call, which starts it once."""
    for case in CASES:
        (tmp_path / f"{case.name}.before").write_bytes(case.before.encode())
        (tmp_path / f"{case.name}.after").write_bytes(case.after.encode())
    found = hadolint_codes(sorted(tmp_path.iterdir()))
    worse = {
        case.name: sorted(new)
        for case in CASES
        if "DL1000" not in found.get(f"{case.name}.before", set()) | found.get(f"{case.name}.after", set())
        and (new := found.get(f"{case.name}.after", set()) - found.get(f"{case.name}.before", set()))
    }
    assert not worse


def hadolint_codes(files: list[Path]) -> dict[str, set[str]]:
    """The codes of what it finds, by file name; DL1000 is its word for what it cannot parse."""
    assert HADOLINT is not None
    done = subprocess.run(
        [HADOLINT, "--no-fail", "--format", "json", "--config", "/dev/null", *map(str, files)],
        capture_output=True,
        check=True,
        timeout=120,
    )
    found: dict[str, set[str]] = {}
    for finding in json.loads(done.stdout):
        found.setdefault(Path(finding["file"]).name, set()).add(finding["code"])
    return found


@every_case
def test_it_parses_before_and_after(case: GoldenCase) -> None:
    assert parse(case.before).stages
    assert parse(case.after).stages
