"""The check `secrets`: a candidate brings no file, variable or build step that looks like a secret and was not there.

Values are looked at and never told.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from contextlib import suppress
from importlib import resources
from typing import Any

from imgopt_pipeline.builds.checks.image_paths import ImagePaths
from imgopt_pipeline.builds.checks.isolation import Isolation, Refused, asking
from imgopt_pipeline.builds.checks.side_by_side import SideBySide
from imgopt_pipeline.builds.checks.subjects import CheckContext, Subject
from imgopt_pipeline.builds.checks.surroundings import Surroundings
from imgopt_pipeline.builds.models import FAILED, PASSED, UNVERIFIED, CheckResult
from imgopt_pipeline.names import printable
from imgopt_pipeline.redaction import HIDDEN, redact_text
from imgopt_pipeline.units import count

NAME = "secrets"
_SECONDS = 120.0
_NO_TOOLS = 96
_FILES = 200
_SHOWN = 8
_BYTES = 64_000
_ALWAYS = re.compile(
    r"\.env(?:\.\w+)?|id_(?:rsa|dsa|ecdsa|ed25519)|\.netrc|\.pgpass|.*\.(?:p12|pfx|kdbx)|\.git-credentials"
)
_HARMLESS = re.compile(r"\.env\.(?:example|sample|template|dist|test)")
_HIDDEN_NAME = re.compile(rf"(\S+?)\s*[=: ]\s*{re.escape(HIDDEN)}")
_PRIVATE_KEY = re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")


def check_secrets(
    isolation: Isolation, pair: SideBySide, old: Subject, new: Subject, context: CheckContext
) -> CheckResult:
    """Whether nothing that looks like a secret came with the candidate. Only paths and names are told."""
    found = [
        *(f"variable {printable(name)}" for name in _variables(new) - _variables(old)),
        *(
            f"build step {printable(step)[:120]}"
            for step in _fresh_steps(_steps(isolation, old), _steps(isolation, new))
        ),
    ]
    before, after = pair(lambda subject: _suspicious(isolation, subject), old, new)
    if isinstance(after, frozenset):
        fresh = sorted(after - (before if isinstance(before, frozenset) else frozenset()))
        found += [f"file {printable(path)}" for path in _secret_files(isolation, new, fresh)]
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        why = f"What looks like a secret came with the candidate: {'; '.join(found[:_SHOWN])}{more}."
        suspects = context.applied("R10", "R3", "R2", "R1", "R11")
        return CheckResult(NAME, FAILED, "", count(len(found), "new secret"), why, suspects=suspects)
    if isinstance(after, str):
        return CheckResult(NAME, UNVERIFIED, detail=f"The candidate's files cannot be listed: {after}.")
    return CheckResult(NAME, PASSED)


def _variables(subject: Subject) -> frozenset[str]:
    pairs = subject.environment.items()
    return frozenset(name for name, value in pairs if value and redact_text(f"{name}={value}") != f"{name}={value}")


def _fresh_steps(old: frozenset[str], new: frozenset[str]) -> list[str]:
    """Steps with a secret whose name none of the image in use has: a rule may change the rest of a step's text."""
    known = {name for step in old for name in _HIDDEN_NAME.findall(step)}
    return sorted(step for step in new - old if not known.issuperset(_HIDDEN_NAME.findall(step)) or not known)


def _steps(isolation: Isolation, subject: Subject) -> frozenset[str]:
    """Build steps whose text holds what looks like a secret, without it."""
    steps: list[dict[str, Any]] = []
    with suppress(Refused), asking("the engine does not tell the history"):
        steps = isolation.client.history(subject.image_id) or []
    texts = (str(step.get("CreatedBy") or "") for step in steps)
    return frozenset(clean for text in texts if (clean := redact_text(text)) != text)


def _suspicious(isolation: Isolation, subject: Subject) -> frozenset[str] | str:
    """Files whose name is that of a keeper of secrets; in words why they are not known."""
    script = resources.files(__package__).joinpath("inside/find_secrets.sh").read_text()
    try:
        ran = isolation.run(subject.image_id, ["sh", "-c", script], seconds=_SECONDS, given=Surroundings(user="0"))
    except Refused:
        return "it has no shell"
    if ran.exit_code != 0:
        return "it has no find" if ran.exit_code == _NO_TOOLS else "that takes too long"
    return frozenset(line for line in ran.output.splitlines() if line.startswith("/"))


def _secret_files(isolation: Isolation, subject: Subject, paths: list[str]) -> Iterator[str]:
    if not paths:
        return
    with isolation.created(subject.image_id) as container:
        files = ImagePaths(isolation, container)
        for path in paths[:_FILES]:
            found = files.find(path, size_bytes=_BYTES)
            text = found.beginning.decode(errors="replace") if found else ""
            if text.strip() and _holds_secret(posixpath.basename(path), text):
                yield path


def _holds_secret(name: str, text: str) -> bool:
    if _PRIVATE_KEY.search(text):
        return True
    if _HARMLESS.fullmatch(name):
        return False
    return bool(_ALWAYS.fullmatch(name)) or redact_text(text) != text
