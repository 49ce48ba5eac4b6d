"""What building and checking a candidate takes and gives, as plain values.

Values of build arguments and of environment variables may be secrets: they stand here while a build runs and are
never stored or printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

PASSED: Final = "passed"
FAILED: Final = "failed"
UNVERIFIED: Final = "unverified"
Outcome = Literal["passed", "failed", "unverified"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where an image is built from: `origin` says in words who named it.

    `remarks` say where it does not agree with the image's history; `agrees` is False where it is likely another
    image's. `stage` is the target stage, `service` the compose service as `project/service`.
    """

    origin: str
    dockerfile: Path
    context: Path
    arguments: Mapping[str, str] = field(default_factory=dict)
    stage: str | None = None
    platform: str | None = None
    service: str | None = None
    network: str | None = None
    contexts: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    agrees: bool = True


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """One build of one Dockerfile's text; the user's files are only read.

    `ignore_text` stands in for the context's .dockerignore, None leaves that in force. `contexts` are named
    contexts (folders or image references), `secrets` maps IDs to files, `labels` go onto the image.
    """

    dockerfile_text: str
    context: Path
    tag: str
    log_file: Path
    ignore_text: str | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    stage: str | None = None
    platform: str | None = None
    network: str | None = None
    contexts: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    time_limit_seconds: float = 3600
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Built:
    """A finished build."""

    image_id: str
    seconds: float
    log_file: Path


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check of a candidate saw, beside what it saw at the image in use.

    `detail` says in a sentence what is wrong, or why it could not be verified. `suspects`: rules that this kind
    of failure points at, the likeliest first; empty where it points at none. `packages`: Debian packages whose
    absence explains it.
    """

    check: str
    outcome: Outcome
    old: str = ""
    new: str = ""
    detail: str = ""
    seconds: float = 0.0
    suspects: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
