"""Lines of a container's log that tell of errors: how many against how many there were before.

Applications write what they like, and quiet ones write errors too: only a clear excess over the old one counts.
What they wrote may hold secrets: only counts leave this module, and which words of ours the lines hold. Its last lines
are kept, redacted, in a file that nobody else can read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from imgopt_pipeline.errors import UnreadableLayer
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.hosts.image_config import parse_time
from imgopt_pipeline.journal.journal import write_durably
from imgopt_pipeline.names import printable
from imgopt_pipeline.redaction import redact_log, secret_parts
from imgopt_pipeline.services.models import FAILED, PASSED, UNVERIFIED, Outcome, Running
from imgopt_pipeline.units import count

_BYTES = 4_000_000
_LINES = 10_000
_HEADER_BYTES = 8
_FULL = 0.9
_LAST_LINES, _KEPT_LINES = 3, 50
_LINE_LENGTH = 300
_SHOWN_CHARACTERS = 200_000
_MANY, _SEVERAL, _TIMES = 10, 3, 5
_UNSAFE = re.compile(r"[^\w.-]")
_ERROR = re.compile(r"\b(?:error|fatal|critical|panic|emerg|exception|traceback)\b|http/[\d.]{1,4}\" 5\d\d\b")
#: By words and not by a pattern, which takes twenty times as long.
_SEVERE = (
    "traceback (most recent call last)",
    "panic:",
    "fatal",
    "segmentation fault",
    "segfault",
    "core dumped",
    "unhandled exception",
    "unhandledpromiserejection",
    "unhandled promise rejection",
    "out of memory",
    "outofmemoryerror",
    "memoryerror",
    "modulenotfounderror",
    "importerror",
    "cannot find module",
    "cannot open shared object",
    "symbol lookup error",
)
#: What is told of lines instead of their text.
_KINDS = (
    "ModuleNotFoundError",
    "ImportError",
    "AttributeError",
    "KeyError",
    "NameError",
    "SyntaxError",
    "TypeError",
    "ValueError",
    "FileNotFoundError",
    "PermissionError",
    "ConnectionRefusedError",
    "MemoryError",
    "UnhandledPromiseRejection",
    "cannot find module",
    "cannot open shared object",
    "symbol lookup error",
    "segmentation fault",
    "out of memory",
    "panic:",
    "no such file or directory",
    "no space left on device",
    "read-only file system",
    "not found",
    "permission denied",
    "operation not permitted",
    "connection refused",
    "address already in use",
    "exec format error",
)


@dataclass(frozen=True, slots=True)
class LogErrors:
    """Lines that tell of errors among all within so many seconds; `severe` ones are among the errors.

    `kinds`: which of the words that we know are in the log, if there are errors.
    """

    lines: int
    errors: int
    severe: int
    seconds: float
    kinds: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """`3 error lines of 120 in 30 s`."""
        severe = f" ({self.severe} severe)" if self.severe else ""
        return f"{count(self.errors, 'error line')}{severe} of {self.lines:,} in {self.seconds:.0f} s"


def read_errors(
    host: EngineHost, container: Running, *, since: float, until: float, whole: bool = False
) -> LogErrors | None:
    """What a container wrote between two times of the engine's clock, in seconds since 1970; None where its log
    cannot be read. Without `whole` only the last lines, which is quick however long the log is."""
    lines = _read(host, container, since=since, until=until, tail="all" if whole else _LINES)
    if lines is None:
        return None
    begin, end = since, until
    times = [parse_time(line.partition(" ")[0]) for line in (lines[:1] + lines[-1:])]
    if len(lines) >= _LINES and times[0] is not None:
        begin = max(since, times[0].timestamp())
    texts = [line.partition(" ")[2] for line in lines]
    if sum(map(len, lines)) > _FULL * _BYTES and times[-1] is not None:  # cut off
        end = min(until, times[-1].timestamp())
    return counted(texts, max(end - begin, 1.0))


def counted(lines: Sequence[str], seconds: float) -> LogErrors:
    """Count lines."""
    severe = errors = 0
    for line in lines:
        lower = line.lower()
        if any(word in lower for word in _SEVERE):
            severe += 1
        elif _ERROR.search(lower):
            errors += 1
    kinds = kinds_of(lines) if severe or errors else ()
    return LogErrors(len(lines), severe + errors, severe, seconds, kinds)


def kinds_of(lines: Sequence[str]) -> tuple[str, ...]:
    """Which words that we know, such as `KeyError`, are in lines: nothing else of their text."""
    text = "\n".join(lines).lower()
    return tuple(kind for kind in _KINDS if kind.lower() in text)


def last_lines(host: EngineHost, container: Running, number: int = _LAST_LINES) -> tuple[str, ...]:
    """The last lines that a container wrote, without the values of its variables and what looks like a secret.

    Not for journals, tables or a terminal: what else is secret nobody can tell. Raises HostUnreachable.
    """
    lines = _read(host, container, since=None, until=None, tail=number + 5) or []
    text = "\n".join(line.partition(" ")[2] for line in lines)
    if len(text) > _SHOWN_CHARACTERS:
        text = text[-_SHOWN_CHARACTERS:].partition("\n")[2]  # half a secret would not be known
    shown = [line.strip() for line in redact_log(text, secret_parts(_values(container))).splitlines()]
    return tuple(printable(line[:_LINE_LENGTH]) for line in shown if line)[-number:]


def keep_last_lines(host: EngineHost, containers: Sequence[Running], folder: Path) -> list[Path]:
    """Write the last lines of each container's log to `log-of-NAME.txt` in a folder, for their owner alone.

    For those that are about to go. The files; none of a container that wrote nothing or whose log cannot be read.
    Raises HostUnreachable, OSError.
    """
    files = []
    for container in containers:
        if lines := last_lines(host, container, _KEPT_LINES):
            files.append(folder / f"log-of-{_UNSAFE.sub('_', container.name)}.txt")
            write_durably(files[-1], "".join(f"{line}\n" for line in lines).encode())
    return files


def judged_log(old: LogErrors | None, at_start: LogErrors | None, new: LogErrors | None) -> tuple[Outcome, str]:
    """Whether there are clearly more errors than the old one's rate, or than it wrote when it started, allows."""
    if new is None:
        return UNVERIFIED, "Its log cannot be read."
    errors, severe = (_expected(name, old, at_start, new.seconds) for name in ("errors", "severe"))
    said = f" ({', '.join(new.kinds)})." if new.kinds else "."
    if new.severe >= _SEVERAL and new.severe > _TIMES * severe:
        return FAILED, f"Its log tells of {new.severe} severe errors, where {severe:.1f} were expected{said}"
    if new.errors > _MANY and new.errors > _TIMES * errors:
        return FAILED, f"Its log tells of {new.errors} errors, where {errors:.1f} were expected{said}"
    if new.severe and severe < 1:
        return UNVERIFIED, f"Its log tells of {count(new.severe, 'severe error')}; the old one's of none{said}"
    return PASSED, ""


def _values(container: Running) -> list[str]:
    entries = (container.inspected.get("Config") or {}).get("Env") or []
    return [str(entry).partition("=")[2] for entry in entries]


def _expected(name: str, old: LogErrors | None, at_start: LogErrors | None, seconds: float) -> float:
    rate = getattr(old, name) / old.seconds if old is not None else 0.0
    return float(max(rate * seconds, getattr(at_start, name) if at_start is not None else 0))


def _read(
    host: EngineHost, container: Running, *, since: float | None, until: float | None, tail: int | str
) -> list[str] | None:
    client = host.client
    asked = {"stdout": 1, "stderr": 1, "timestamps": 1, "tail": tail, "since": since, "until": until}
    try:
        with engine_errors("the engine does not hand out a log"):
            # Not by the SDK's own call: it needs a tenth of a millisecond for each line.
            url = client._url("/containers/{0}/logs", container.container_id)
            with closing(client._get(url, params=asked, stream=True)) as answer:
                client._raise_for_status(answer)
                content = bytes(answer.raw.read(_BYTES))
    except UnreadableLayer:  # a driver that keeps nothing to read, or the container is gone
        return None
    cut = len(content) == _BYTES
    if not (container.inspected.get("Config") or {}).get("Tty"):
        content = _joined(content)
    lines = content.decode(errors="replace").splitlines()
    return lines[:-1] if cut else lines


def _joined(frames: bytes) -> bytes:
    """The content of the frames in which output and errors come: eight bytes, the last four of them its length."""
    parts, at = [], 0
    while at + _HEADER_BYTES <= len(frames):
        end = at + _HEADER_BYTES + int.from_bytes(frames[at + 4 : at + _HEADER_BYTES], "big")
        parts.append(frames[at + _HEADER_BYTES : end])
        at = end
    return b"".join(parts)
