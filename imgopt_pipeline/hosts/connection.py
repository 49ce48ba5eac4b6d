"""How to reach an engine: configured address, `DOCKER_HOST`, Docker context, then the usual sockets.

Speaks to no engine beyond asking whether it answers; what it has is `engine`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import requests
from docker.context import ContextAPI
from docker.errors import APIError, DockerException
from docker.tls import TLSConfig

from imgopt_pipeline.errors import HostUnreachable, SettingsError

_TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """An engine's address and where it comes from; `tls_folder` holds ca.pem, cert.pem and key.pem."""

    url: str
    origin: str
    tls_folder: Path | None = None
    tls: TLSConfig | None = None

    @property
    def socket(self) -> Path | None:
        """The path of a unix socket, None for a remote engine."""
        return Path(self.url.removeprefix("unix://")) if self.url.startswith("unix://") else None


def engine_addresses(configured: str | None = None, *, tls_folder: Path | None = None) -> list[EngineAddress]:
    """Where to look for an engine, in order; one only, unless nothing says where it is."""
    if configured is not None:
        return [EngineAddress(configured, "imgopt.yaml", tls_folder)]
    if url := os.environ.get("DOCKER_HOST"):
        folder = os.environ.get("DOCKER_CERT_PATH") if os.environ.get("DOCKER_TLS_VERIFY") else None
        return [EngineAddress(url, "DOCKER_HOST", Path(folder) if folder else None)]
    name = os.environ.get("DOCKER_CONTEXT") or ContextAPI.get_current_context_name()
    if name and name != "default":
        context = ContextAPI.get_context(name)
        if context is None:
            raise SettingsError(f"there is no Docker context {name!r}.", hint="`docker context ls` lists them.")
        return [EngineAddress(context.Host, f"Docker context {name}", tls=context.TLSConfig or None)]
    sockets = [Path("/var/run/docker.sock")]
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        sockets += [Path(runtime, "docker.sock"), Path(runtime, "podman/podman.sock")]
    sockets.append(Path("/run/podman/podman.sock"))
    return [EngineAddress(f"unix://{socket}", "default socket") for socket in sockets]


def connect(addresses: list[EngineAddress]) -> tuple[Any, EngineAddress]:
    """A client of the first engine that answers. Raises HostUnreachable with what each address said."""
    failures: list[HostUnreachable] = []
    for address in addresses:
        try:
            return _client(address), address
        except (DockerException, requests.RequestException, OSError, ValueError) as error:
            failures.append(_unreachable(address, error))
    # Of several usual sockets the one that is there but refuses is worth telling, not those that are absent.
    present = [failure for failure, address in zip(failures, addresses, strict=True) if _present(address)]
    if len(failures) == 1 or present:
        raise (present or failures)[0]
    raise HostUnreachable(
        "no Docker Engine or Podman answers on this machine.",
        hint="Start one, or set DOCKER_HOST or `hosts` in imgopt.yaml.",
    )


def _client(address: EngineAddress) -> Any:
    tls: TLSConfig | bool = address.tls or False
    if address.tls_folder is not None:
        tls = TLSConfig(
            client_cert=(str(address.tls_folder / "cert.pem"), str(address.tls_folder / "key.pem")),
            ca_cert=str(address.tls_folder / "ca.pem"),
            verify=True,
        )
    if address.socket is not None and not os.access(address.socket, os.F_OK):
        raise FileNotFoundError(2, "no such socket")
    # The ssh program and not paramiko: it knows the user's configuration, agent and known hosts.
    return docker.APIClient(
        base_url=address.url, version="auto", timeout=_TIMEOUT_SECONDS, tls=tls, use_ssh_client=True
    )


def _unreachable(address: EngineAddress, error: Exception) -> HostUnreachable:
    text = str(error)
    if isinstance(error, APIError):
        message, hint = f"the engine refuses ({error.explanation or text}).", "Ask for access to its API."
    elif "PermissionError" in text or "Permission denied" in text:
        message = "this user may not use the socket."
        hint = "Run as root, or add the user to the group that owns the socket (`docker`)."
    elif isinstance(error, FileNotFoundError) or "FileNotFoundError" in text:
        message, hint = "there is no such socket.", "Is the engine installed and started?"
    elif "ConnectionRefused" in text or "Connection refused" in text:
        message, hint = "nothing answers there.", "Start the engine."
    else:
        message, hint = f"no engine answers ({text.splitlines()[0] if text else type(error).__name__}).", ""
    return HostUnreachable(message, subject=f"{address.url} ({address.origin})", hint=hint)


def _present(address: EngineAddress) -> bool:
    return address.socket is None or os.access(address.socket, os.F_OK)
