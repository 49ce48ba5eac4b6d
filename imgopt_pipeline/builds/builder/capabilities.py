"""What the builder of an engine can do, found by trying: one build of nothing that uses every ability at once."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imgopt_pipeline.builds.builder.docker_command import (
    TimeLimitReached,
    command_environment,
    docker_program,
    engine_options,
    run_command,
)
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.names import printable

_PROBE_SECONDS = 60
_CONTEXT_NAME = "imgopt-named"
# In a stage that nothing needs: read by the builder, never run.
_PROBES = {
    "cache_mounts": "RUN --mount=type=cache,target=/c true",
    "secrets": "RUN --mount=type=secret,id=s true",
    "heredocs": "COPY <<TEXT /x\ncontent\nTEXT",
    "copy_chmod": "COPY --chmod=600 a /b",
    "copy_link": "COPY --link a /b",
    "named_contexts": "",
}

Builder = Literal["buildkit", "legacy", "none"]


@dataclass(frozen=True, slots=True)
class BuilderCapabilities:
    """What can be used in a Dockerfile; `reason` says why something cannot, and is empty where all can.

    `memory_limit`: whether a limit holds for each step as a whole; BuildKit only limits each process of a step.
    """

    builder: Builder
    version: str = ""
    cache_mounts: bool = False
    secrets: bool = False
    heredocs: bool = False
    copy_chmod: bool = False
    copy_link: bool = False
    named_contexts: bool = False
    memory_limit: bool = False
    reason: str = ""

    @property
    def buildkit(self) -> bool:
        return self.builder == "buildkit"


def capabilities(host: EngineHost) -> BuilderCapabilities:
    """Find out what the builder of a host can do. Raises HostUnreachable."""
    facts = host.facts()
    engine = f"{facts.kind} {facts.version}"
    if docker_program() is None:
        return BuilderCapabilities("none", engine, reason="the docker command is not installed on this machine.")
    if facts.kind == "podman":
        return _legacy(engine, "Podman has no BuildKit.")
    with tempfile.TemporaryDirectory(prefix="imgopt-build-") as folder:
        probe = _Prober(host, Path(folder))
        status, version = probe.buildx_version()
        if status:
            return _legacy(engine, "the docker command has no buildx plugin.")
        version = f"{version}, {engine}"
        if probe.accepts(*_PROBES):
            able = dict.fromkeys(_PROBES, True)
        elif not probe.accepts():
            return _legacy(engine, "the engine builds without BuildKit.")
        else:
            able = {name: probe.accepts(name) for name in _PROBES}
    return BuilderCapabilities(
        "buildkit",
        version,
        cache_mounts=able["cache_mounts"],
        secrets=able["secrets"],
        heredocs=able["heredocs"],
        copy_chmod=able["copy_chmod"],
        copy_link=able["copy_link"],
        named_contexts=able["named_contexts"],
        reason=_reason(able),
    )


def _legacy(version: str, why: str) -> BuilderCapabilities:
    return BuilderCapabilities(
        "legacy", version, memory_limit=True, reason=f"{why} {_reason(dict.fromkeys(_PROBES, False))}"
    )


def _reason(able: dict[str, bool]) -> str:
    missing = [name.replace("_", " ") for name, is_able in able.items() if not is_able]
    return f"Left out: {', '.join(missing)}." if missing else ""


class _Prober:
    """Asks the builder whether it takes a Dockerfile; nothing is made but its record of having been asked."""

    def __init__(self, host: EngineHost, folder: Path) -> None:
        self._folder = folder
        self._docker = [docker_program() or "docker", *engine_options(host.address)]
        self._environment = command_environment(folder / "buildx", buildkit=True)
        (folder / "context").mkdir()

    def buildx_version(self) -> tuple[int, str]:
        """Exit status, and `buildx 0.13.1`."""
        status, said = self._run("buildx", "version")
        words = said.split()
        return status, f"buildx {printable(words[1])}" if len(words) > 1 else "buildx"

    def accepts(self, *names: str) -> bool:
        instructions = "\n".join(_PROBES[name] for name in names)
        context = self._folder / "context"
        dockerfile = self._folder / "Dockerfile"
        dockerfile.write_text(f"FROM scratch AS unused\n{instructions}\nFROM scratch\nLABEL probe=1\n")
        options = ["--progress=plain", "--output=type=cacheonly", f"--file={dockerfile}"]
        if "named_contexts" in names:
            options.append(f"--build-context={_CONTEXT_NAME}={context}")
        return self._run("buildx", "build", *options, str(context))[0] == 0

    def _run(self, *words: str) -> tuple[int, str]:
        lines: list[str] = []
        try:
            status = run_command(
                [*self._docker, *words], self._environment, lines.append, time_limit_seconds=_PROBE_SECONDS
            )
        except TimeLimitReached:
            return 1, ""
        return status, "\n".join(lines[:1])
