"""What a builder says while it builds, made safe to keep, and what it says about a failure.

Understands BuildKit's plain progress and the classic builder's output. Runs no builder.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from imgopt_pipeline.names import printable
from imgopt_pipeline.redaction import HIDDEN, redact_text

Reason = Literal["base missing", "no space", "timeout", "step failed", "killed", "context"]

_LEAST_CHARACTERS = 4
_VALUES = 2_000
_KEPT_LINES = 20
_STEPS = 10_000
_NAME_CHARACTERS = 200
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)

_STEP = re.compile(r"#(\d+) (\[.*)")
_OUTPUT = re.compile(r"#(\d+) \d+\.\d+ (.*)")
_STEP_ERROR = re.compile(r"#(\d+) ERROR: (.*)")
_DONE = re.compile(r"#(\d+) (?:DONE|CACHED|CANCELED)")
_EXPORTING = re.compile(r"#\d+ exporting ")
_CLASSIC_STEP = re.compile(r"Step \d+/\d+ : (.*)")
_CLASSIC_NOISE = re.compile(
    r" ---> |DEPRECATED: |\s+BuildKit is currently|\s+environment-variable|Sending build context"
)
_FINAL_ERROR = re.compile(
    r"(?:ERROR|error|Error response from daemon): (?:failed to (?:build|receive status|solve): )*"
)
_BUILDER_SUMS_UP = re.compile(r"\[notice\]|The command .* returned a non-zero code: \d+$")
_POSITION = re.compile(r"^\[[^\]]*\] ?")
_EXIT_STATUS = re.compile(r"(?:exit code: |returned a non-zero code: )(\d+)")
_TELLING = re.compile(r"error|fail|fatal|cannot|can't|could not|unable|not found|no such|denied|missing|invalid", re.I)

_NO_SPACE = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_NO_BASE = re.compile(
    r"failed to resolve source metadata|pull access denied|manifest for \S+ not found|manifest unknown"
    r"|repository \S+ not found|no matching manifest for|/v2/\S*\": "
)
_BAD_CONTEXT = re.compile(
    r"failed to (?:compute cache key|calculate checksum|solve with frontend).*not found|(?:COPY|ADD) failed: "
    r"|error from sender|forbidden path outside the build context|excluded by \.dockerignore",
    re.DOTALL,
)
_NO_ENGINE = re.compile(
    r"Cannot connect to the Docker daemon|error during connect|connection refused|code = Unavailable|unexpected EOF"
)
_KILLED_STATUS = "137"


class Redactor:
    """Takes values that must not be kept, and what looks like a credential, out of lines of text.

    Values of less than four characters stay: no secret is that short, and every number would go.
    """

    def __init__(self, values: Iterable[str]) -> None:
        # Certificates are public, and thousands of their lines would make every look at a line slow.
        parts = {part for value in values for part in _CERTIFICATE.sub("", value).splitlines()}
        wanted = {form for part in parts if len(part.strip()) >= _LEAST_CHARACTERS for form in _forms(part.strip())}
        longest_first = sorted(wanted, key=lambda value: (-len(value), value))[:_VALUES]
        self._values = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, line: str) -> str:
        """The line without them, and without what a terminal would act upon."""
        line = _ANSI.sub("", line.rstrip("\r"))
        if self._values is not None:
            line = self._values.sub(HIDDEN, line)
        line = redact_text(line)
        return line if line.isprintable() else "".join(map(_visible, line))


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a build failed, in the builder's words. `exit_status` is the failed command's."""

    reason: Reason
    step: str
    lines: tuple[str, ...]
    exit_status: str = ""
    engine_gone: bool = False

    @property
    def telling_line(self) -> str:
        """The last line that names an error, else the last."""
        own = [line for line in self.lines if not _BUILDER_SUMS_UP.match(line)] or list(self.lines)
        telling = [line for line in own if _TELLING.search(line)]
        return (telling or own or [""])[-1]


class BuildLog:
    """Takes lines that a Redactor has been over; calls `on_step` with the name of every step that begins."""

    def __init__(self, on_step: Callable[[str], None], *, buildkit: bool) -> None:
        self.step = ""
        self._on_step = on_step
        self._buildkit = buildkit
        self._other: deque[str] = deque(maxlen=_KEPT_LINES)
        self._names: dict[str, str] = {}
        self._outputs: dict[str, deque[str]] = {}
        self._errors: deque[str] = deque(maxlen=_KEPT_LINES)
        self._failed = ""

    def feed(self, line: str) -> None:
        """The next line of the builder's output."""
        if self._buildkit:
            self._feed_buildkit(line)
        elif step := _CLASSIC_STEP.fullmatch(line):
            self._outputs.pop(self._failed, None)
            self._failed = step[1]  # one after another: the last is the one that fails
            self._begin(step[1], step[1])
        elif line.strip() and not _CLASSIC_NOISE.match(line):
            self._keep(self._failed, line)

    def _feed_buildkit(self, line: str) -> None:
        if output := _OUTPUT.fullmatch(line):
            self._keep(output[1], output[2])
        elif step := _STEP.fullmatch(line):
            self._begin(step[1], step[2])
        elif error := _STEP_ERROR.fullmatch(line):
            self._failed = error[1]
        elif done := _DONE.match(line):
            self._outputs.pop(done[1], None)
        elif _EXPORTING.match(line):
            self._begin(line.partition(" ")[0], "exporting the image")
        elif self._errors or _FINAL_ERROR.match(line):
            self._errors.append(_FINAL_ERROR.sub("", line))
        elif not line.startswith("#"):
            self._other.append(line)

    def failure(self) -> Failure:
        """What went wrong, once the builder gave up."""
        output = [_FINAL_ERROR.sub("", line) for line in self._outputs.get(self._failed, ()) if line.strip()]
        errors = [line for line in self._errors if line.strip()] or ([] if output else list(self._other))
        said = "\n".join([*output, *errors])
        found = _EXIT_STATUS.search("\n".join(errors) or said)
        status = found[1] if found else ""
        name = self._names.get(self._failed, "")
        return Failure(
            _reason(said, "\n".join(errors) or said, name, status),
            step_text(name),
            tuple(output if output and status else errors or output),
            status,
            engine_gone=not status and bool(_NO_ENGINE.search("\n".join(errors))),
        )

    def _begin(self, number: str, name: str) -> None:
        name = name if len(name) <= _NAME_CHARACTERS else f"{name[: _NAME_CHARACTERS - 1]}…"
        if len(self._names) < _STEPS:
            self._names[number] = name
        self.step = name
        self._on_step(name)

    def _keep(self, number: str, line: str) -> None:
        if number in self._outputs or len(self._outputs) < _STEPS:
            self._outputs.setdefault(number, deque(maxlen=_KEPT_LINES)).append(line)


def step_text(name: str) -> str:
    """A step's name without its place among the others: `[stage-1 2/5] RUN x` → `RUN x`."""
    return name if name.startswith("[internal]") else _POSITION.sub("", name, count=1)


def _reason(said: str, errors: str, step: str, status: str) -> Reason:
    if _NO_SPACE.search(said):
        return "no space"
    if status == _KILLED_STATUS:
        return "killed"
    if status:
        return "step failed"
    if "load metadata for" in step or _NO_BASE.search(errors):
        return "base missing"
    return "context" if _BAD_CONTEXT.search(errors) else "step failed"


def _forms(value: str) -> set[str]:
    """A value as it is, and as builders quote it."""
    quoted = json.dumps(value, ensure_ascii=False)[1:-1]
    return {value, quoted, quoted.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")}


def _visible(character: str) -> str:
    return character if character == "\t" or character.isprintable() else printable(character)
