"""A rule: an SQL file whose first comment lines say what it finds. Nothing is run here.

The header is `-- key: value`, one key a line; a value goes on in lines that begin with `--` and three spaces:

    -- title: Images over the limit
    -- severity: medium
    -- risk: none
    -- why: A big image fills the disk
    --   of every host that pulls it.
    SELECT …
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

BUILT_IN = "built in"
SEVERITIES = ("high", "medium", "low", "info")
RISKS = ("none", "low", "medium", "high")
TECHNIQUES = tuple(f"R{number}" for number in range(1, 19))

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_ID_CHARACTERS = 80
_KEYS = ("title", "technique", "severity", "risk", "why")
_NEEDED = ("title", "severity", "risk", "why")
_FIELD = re.compile(r"-- ?([A-Za-z_-]+): *(.*)")
_CONTINUED = re.compile(r"--(?: {3,}|\t)\s*(.+)")
_VALUES = {"technique": TECHNIQUES, "severity": SEVERITIES, "risk": RISKS}


@dataclass(frozen=True, slots=True)
class Rule:
    """`source` is `built in` or the file it came from; `sql` one SELECT, in which `$name` stands for a value."""

    rule_id: str
    title: str
    technique: str | None
    severity: str
    risk: str
    why: str
    source: str
    sql: str


def parse_rule(rule_id: str, text: str, source: str) -> Rule:
    """The rule in a file's text. Raises ValueError that says in words what is wrong with its name or header."""
    if len(rule_id) > _ID_CHARACTERS or not _ID.fullmatch(rule_id):
        raise ValueError(f"the file's name must be small letters, digits and single hyphens, not {rule_id!r}")
    lines = text.removeprefix("\ufeff").splitlines()
    fields: dict[str, str] = {}
    last = None
    count = 0
    for count, line in enumerate(lines, start=1):
        if not line.startswith("--"):
            count -= 1
            break
        if (more := _CONTINUED.fullmatch(line)) and last is not None:
            fields[last] += " " + more[1].strip()
        elif field := _FIELD.fullmatch(line):
            last = _known_key(field[1])
            if last in fields:
                raise ValueError(f"the header says {last!r} twice")
            fields[last] = field[2].strip()
        else:
            raise ValueError(f"line {count} of the header is no `-- key: value`")
    for key in _NEEDED:
        if not fields.get(key):
            raise ValueError(f"the header has no {key!r}")
    for key, allowed in _VALUES.items():
        if key in fields and fields[key] not in allowed:
            raise ValueError(f"the header's {key} is {fields[key]!r}; it may be {', '.join(allowed)}")
    return Rule(
        rule_id=rule_id,
        title=fields["title"],
        technique=fields.get("technique"),
        severity=fields["severity"],
        risk=fields["risk"],
        why=fields["why"],
        source=source,
        sql="\n".join(lines[count:]).strip(),
    )


def _known_key(key: str) -> str:
    if key in _KEYS:
        return key
    near = difflib.get_close_matches(key, _KEYS, n=1, cutoff=0.5)
    raise ValueError(f"the header has no key {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
