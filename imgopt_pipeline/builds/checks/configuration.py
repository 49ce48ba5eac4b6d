"""The check `configuration`: a candidate says what the image in use says of how it runs.

Values of variables are compared and never shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from imgopt_pipeline.builds.checks.subjects import CheckContext, Subject, variables
from imgopt_pipeline.builds.models import FAILED, PASSED, CheckResult
from imgopt_pipeline.names import printable
from imgopt_pipeline.redaction import redact_text
from imgopt_pipeline.units import count

_ADDED_LABELS = "org.opencontainers.image."
_SUSPECTS = {
    "command": ("R13", "R3"),
    "entrypoint": ("R13", "R3"),
    "workdir": ("R13", "R3"),
    "env": ("R8", "R3", "R16", "R18"),
    "user": ("R12", "R3"),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs: `name` as in `user` or `env:PATH`, and both sides in words without values."""

    name: str
    old: str
    new: str


def check_configuration(old: Subject, new: Subject, context: CheckContext) -> CheckResult:
    """Whether all that an image says of how it runs is kept, but for what the rules explain."""
    explained = set(context.explained_config)
    found = list(differences(old.config, new.config))
    wrong = [item for item in found if not explained & {item.name, item.name.partition(":")[0]}]
    allowed = [item.name for item in found if item not in wrong]
    if not wrong:
        detail = f"Changed as the rules say: {', '.join(allowed)}." if allowed else ""
        return CheckResult("configuration", PASSED, detail=detail)
    kinds = (item.name.partition(":")[0] for item in wrong)
    suspects = dict.fromkeys(rule for kind in kinds for rule in _SUSPECTS.get(kind, ()))
    return CheckResult(
        "configuration",
        FAILED,
        "; ".join(f"{item.name} {item.old}" for item in wrong),
        "; ".join(f"{item.name} {item.new}" for item in wrong),
        f"{count(len(wrong), 'thing')} of how the image runs changed: {', '.join(item.name for item in wrong)}.",
        suspects=context.applied(*suspects),
    )


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    """What differs between two image configurations."""
    for name, key in (("entrypoint", "Entrypoint"), ("command", "Cmd")):
        if (old.get(key) or []) != (new.get(key) or []):
            yield Difference(name, _words(old.get(key)), _words(new.get(key)))
    yield from _mapped("env", variables(old.get("Env")), variables(new.get("Env")))
    for name, key in (("port", "ExposedPorts"), ("volume", "Volumes")):
        yield from _mapped(name, dict.fromkeys(old.get(key) or {}), dict.fromkeys(new.get(key) or {}))
    for name, key, default in (
        ("user", "User", ""),
        ("workdir", "WorkingDir", "/"),
        ("stop-signal", "StopSignal", "SIGTERM"),
    ):
        values = [str(config.get(key) or default) for config in (old, new)]
        if _plain(name, values[0]) != _plain(name, values[1]):
            yield Difference(name, *(printable(value) or "unset" for value in values))
    before, after = _labels(old), _labels(new)
    added = {name for name in after if name.startswith(_ADDED_LABELS) and name not in before}
    yield from _mapped("label", before, {name: value for name, value in after.items() if name not in added})
    if _healthcheck(old) != _healthcheck(new):
        yield Difference("healthcheck", *("set" if _healthcheck(config) else "none" for config in (old, new)))


def _mapped(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    for key in sorted({*old, *new}):
        name = f"{kind}:{printable(key)}"
        if key not in new or key not in old:
            yield Difference(name, *("set" if key in side else "missing" for side in (old, new)))
        elif old[key] != new[key]:
            yield Difference(name, "set", "set to another value")


def _labels(config: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in (config.get("Labels") or {}).items() if not name.startswith("imgopt.")}


def _healthcheck(config: Mapping[str, Any]) -> Mapping[str, Any]:
    check: Mapping[str, Any] = config.get("Healthcheck") or {}
    return {} if check.get("Test") in (None, [], ["NONE"]) else check


def _plain(name: str, value: str) -> str:
    if name == "workdir":
        return value.rstrip("/") or "/"
    return {"root": "0", "": "0", "0:0": "0", "root:root": "0"}.get(value, value) if name == "user" else value


def _words(command: object) -> str:
    return printable(redact_text(str(command or "none")))[:300]
