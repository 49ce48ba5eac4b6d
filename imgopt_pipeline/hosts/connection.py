"""How to reach an engine: configured address, `DOCKER_HOST`, Docker context, then the usual sockets.

Speaks to no engine beyond asking whether it answers; what it has is `engine`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import requests

from imgopt_pipeline.errors import HostUnreachable, SettingsError
from imgopt_pipeline.hosts.docker_sdk import APIClient, APIError, DockerException, TLSConfig, support_ssh

_TIMEOUT_SECONDS = 60
_TLS_REASON = re.compile(r"\[SSL(?:: \w+)?\] ([^(]+)")


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """An engine's address and where it comes from; `tls_folder` holds ca.pem, cert.pem and key.pem."""

    url: str
    origin: str
    tls_folder: Path | None = None

    @property
    def socket(self) -> Path | None:
        """The path of a unix socket, None for a remote engine."""
        return Path(self.url.removeprefix("unix://")) if self.url.startswith("unix://") else None


def engine_addresses(configured: str | None = None, *, tls_folder: Path | None = None) -> list[EngineAddress]:
    """Where to look for an engine, in order; one only, unless nothing says where it is."""
    if configured is not None:
        return [EngineAddress(configured, "imgopt.yaml", tls_folder)]
    config = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    if url := os.environ.get("DOCKER_HOST"):
        folder = Path(os.environ.get("DOCKER_CERT_PATH") or config)
        return [EngineAddress(url, "DOCKER_HOST", folder if os.environ.get("DOCKER_TLS_VERIFY") else None)]
    name = os.environ.get("DOCKER_CONTEXT") or _document(config / "config.json").get("currentContext")
    if name and name != "default":
        return [_context_address(config / "contexts", str(name))]
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


class _Client(APIClient):  # type: ignore[misc]  # the SDK has no types
    """The SDK's client, which trusts the engine's own authority whatever REQUESTS_CA_BUNDLE says."""

    def merge_environment_settings(self, *args: Any, **options: Any) -> dict[str, Any]:
        settings: dict[str, Any] = super().merge_environment_settings(*args, **options)
        return settings | {"verify": self.verify}


def _context_address(contexts: Path, name: str) -> EngineAddress:
    """The address in a context of the docker command. Raises SettingsError where there is no such context.

    A context's files lie in folders named by the digest of its name; the SDK looks for them in a wrong place
    where there is no config.json.
    """
    digest = hashlib.sha256(name.encode()).hexdigest()
    endpoints = _document(contexts / "meta" / digest / "meta.json").get("Endpoints")
    endpoint = endpoints.get("docker") if isinstance(endpoints, dict) else None
    url = endpoint.get("Host") if isinstance(endpoint, dict) else None
    if not isinstance(url, str) or not url:
        raise SettingsError(f"there is no Docker context {name!r}.", hint="`docker context ls` lists them.")
    tls_folder = contexts / "tls" / digest / "docker"
    return EngineAddress(url, f"Docker context {name}", tls_folder if tls_folder.is_dir() else None)


def _document(path: Path) -> Mapping[str, Any]:
    """A JSON file of the docker command; empty where it is missing or broken, as the command itself takes it."""
    try:
        document = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return document if isinstance(document, dict) else {}


def _client(address: EngineAddress) -> Any:
    if address.socket is not None and not os.access(address.socket, os.F_OK):
        raise FileNotFoundError(2, "no such socket")
    if address.url.startswith("ssh://"):
        support_ssh()
    # The ssh program and not paramiko: it knows the user's configuration, agent and known hosts.
    return _Client(
        base_url=address.url,
        version="auto",
        timeout=_TIMEOUT_SECONDS,
        tls=False if address.tls_folder is None else _tls_config(address.tls_folder),
        use_ssh_client=True,
    )


def _tls_config(folder: Path) -> TLSConfig:
    files = {name: folder / f"{name}.pem" for name in ("ca", "cert", "key")}
    missing = [path.name for path in files.values() if not path.is_file()]
    if missing == ["cert.pem", "key.pem"]:
        return TLSConfig(ca_cert=str(files["ca"]), verify=True)
    if missing:
        raise _TlsFilesMissing(f"{folder} has no {' and no '.join(missing)}")
    return TLSConfig(client_cert=(str(files["cert"]), str(files["key"])), ca_cert=str(files["ca"]), verify=True)


class _TlsFilesMissing(ValueError):
    """What is missing for TLS."""


def _unreachable(address: EngineAddress, error: Exception) -> HostUnreachable:
    text = str(error)
    where = "`tls_folder`" if address.origin == "imgopt.yaml" else "DOCKER_CERT_PATH or the context"
    tls_hint = f"{where} (`tls_folder` in imgopt.yaml) must name ca.pem, cert.pem and key.pem for this engine."
    reason = _TLS_REASON.search(text)
    if isinstance(error, _TlsFilesMissing):
        message, hint = f"{text}.", tls_hint
    elif "HTTP request to an HTTPS server" in text:
        message, hint = "it speaks TLS only.", tls_hint
    elif reason is not None:
        message, hint = f"TLS fails ({reason[1].strip()}).", tls_hint
    elif isinstance(error, APIError):
        message, hint = f"the engine refuses ({error.explanation or text}).", "Ask for access to its API."
    elif "PermissionError" in text or "Permission denied" in text:
        message = "this user may not use the socket."
        hint = "Run as root, or add the user to the group that owns the socket (`docker`)."
    elif isinstance(error, FileNotFoundError) or "FileNotFoundError" in text:
        message, hint = "there is no such socket.", "Is the engine installed and started?"
    elif "ConnectionRefused" in text or "Connection refused" in text:
        message, hint = "nothing answers there.", "Start the engine."
    elif address.url.startswith("ssh://"):
        message, hint = "no engine answers over ssh.", "What ssh said stands above; try `docker version` there."
    else:
        message = f"no engine answers ({text.splitlines()[0] if text else type(error).__name__})."
        hint = "Is the address right, and the engine started?"
    return HostUnreachable(message, subject=f"{address.url} ({address.origin})", hint=hint)


def _present(address: EngineAddress) -> bool:
    return address.socket is None or os.access(address.socket, os.F_OK)
