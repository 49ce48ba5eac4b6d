"""How the application of an image is started for its checks: like the container in use, without its host.

Belongs here: what of that container is taken over. What is watched while it runs is `session`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from imgopt_pipeline.builds.checks.subjects import CheckContext, Subject, variables
from imgopt_pipeline.builds.checks.surroundings import Surroundings

HOST_NAME = "imgopt-check"
_HEALTHCHECK_NANOSECONDS = 2_000_000_000
_LEAST_MEMORY_BYTES = 256_000_000
_KEPT = {"ShmSize": "shm_size", "Tmpfs": "tmpfs", "ReadonlyRootfs": "read_only", "Init": "init"}


@dataclass(frozen=True, slots=True)
class Usage:
    """Where the container in use says something else than its image; None where it does not, or there is none.

    `mounts`: where it has something mounted, that isolation does not have. `host`: more of what it was given.
    """

    environment: tuple[str, ...] = field(default=(), repr=False)
    entrypoint: list[str] | None = None
    command: list[str] | None = None
    user: str | None = None
    workdir: str | None = None
    ports: frozenset[int] = frozenset()
    capabilities: tuple[str, ...] = ()
    gpu: bool = False
    memory_bytes: int = 0
    mounts: tuple[str, ...] = ()
    host: Mapping[str, Any] = field(default_factory=dict)

    def command_of(self, subject: Subject) -> list[str]:
        """All words of what an image runs when it is used so."""
        entrypoint = self.entrypoint if self.entrypoint is not None else subject.config.get("Entrypoint") or []
        command = self.command if self.command is not None else subject.config.get("Cmd") or []
        return [*entrypoint, *command]

    def user_of(self, subject: Subject) -> str:
        """As whom an image runs when it is used so."""
        return self.user or str(subject.config.get("User") or "")

    def workdir_of(self, subject: Subject) -> str:
        """Where an image runs when it is used so."""
        return self.workdir or str(subject.config.get("WorkingDir") or "/")


def usage_of(old: Subject, context: CheckContext) -> Usage:
    """How the image in use is used, with the variables that settings give."""
    if context.container is None:
        return Usage(environment=_entries(context.target.environment))
    config: Mapping[str, Any] = context.container.get("Config") or {}
    host: Mapping[str, Any] = context.container.get("HostConfig") or {}
    image = old.environment
    given = {name: value for name, value in variables(config.get("Env")).items() if image.get(name) != value}
    entrypoint, command = (
        None if (config.get(key) or []) == (old.config.get(key) or []) else list(config.get(key) or [])
        for key in ("Entrypoint", "Cmd")
    )
    if entrypoint is not None and command is None:
        command = list(config.get("Cmd") or [])  # an entry point that is given puts the image's command aside
    user, workdir = (
        str(config[key]) if config.get(key) and config[key] != old.config.get(key) else None
        for key in ("User", "WorkingDir")
    )
    mounts = (mount for mount in context.container.get("Mounts") or [] if mount.get("Type") in ("bind", "volume"))
    return Usage(
        environment=_entries(given | context.target.environment),
        entrypoint=entrypoint,
        command=command,
        user=user,
        workdir=workdir,
        ports=_tcp(host.get("PortBindings") or {}),
        capabilities=tuple(str(name) for name in host.get("CapAdd") or ()),
        gpu=context.host_gpu and bool(host.get("DeviceRequests") or host.get("Runtime") == "nvidia"),
        memory_bytes=int(host.get("Memory") or 0),
        mounts=tuple(str(mount.get("Destination")) for mount in mounts),
        host={ours: host[theirs] for theirs, ours in _KEPT.items() if host.get(theirs)},
    )


def application(
    subject: Subject, usage: Usage, *, memory_bytes: int, dropped: bool, join: str | None = None
) -> Surroundings:
    """What the application of an image is given. `dropped` takes its capabilities where none were added."""
    return Surroundings(
        environment=usage.environment,
        entrypoint=usage.entrypoint,
        command=usage.command,
        user=usage.user,
        workdir=usage.workdir,
        memory_bytes=memory_bytes,
        dropped=dropped and not usage.capabilities,
        capabilities=usage.capabilities,
        healthcheck=_quick(subject.config.get("Healthcheck")),
        join=join,
        names=() if join else (HOST_NAME,),
        gpu=usage.gpu,
        more=usage.host,
    )


def expected_ports(subject: Subject, usage: Usage, context: CheckContext) -> frozenset[int]:
    """TCP ports that it is told to open: by settings, else by its image and by the container in use."""
    named = {probe.port for probe in context.target.probes if probe.port is not None}
    return frozenset(named) or usage.ports | _tcp(subject.config.get("ExposedPorts") or {})


def memory_limit(usage: Usage, context: CheckContext, machine_bytes: int) -> int:
    """How much memory a container under check may take."""
    return context.builds.check_memory_bytes or usage.memory_bytes or max(machine_bytes // 2, _LEAST_MEMORY_BYTES)


def _entries(values: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{name}={value}" for name, value in values.items())


def _tcp(words: Mapping[str, Any]) -> frozenset[int]:
    pairs = (word.partition("/") for word in words)
    return frozenset(int(number) for number, _, protocol in pairs if number.isdecimal() and protocol in ("", "tcp"))


def _quick(healthcheck: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """An image's own health check, asked every other second."""
    test = list((healthcheck or {}).get("Test") or [])
    if not healthcheck or not test or test == ["NONE"]:
        return None
    names = (("Timeout", "timeout"), ("Retries", "retries"))
    kept = {ours: healthcheck[theirs] for theirs, ours in names if healthcheck.get(theirs)}
    return {"test": test, "interval": _HEALTHCHECK_NANOSECONDS, **kept}
