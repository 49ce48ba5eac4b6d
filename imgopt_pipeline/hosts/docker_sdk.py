"""The Docker SDK. Whatever this package takes from it comes through here.

Its support for ssh:// imports paramiko, 16 MB and 50 ms of it, which it then does not use where it runs the ssh
program. It does without where that import fails; so it fails, until an address asks for ssh.
"""

from __future__ import annotations

import sys
from typing import Any

_UNWANTED = "paramiko" not in sys.modules
if _UNWANTED:
    sys.modules["paramiko"] = None  # type: ignore[assignment]  # the documented way to make an import fail
try:
    import docker
    from docker.api import client as _client
    from docker.errors import APIError, DockerException, NotFound
    from docker.tls import TLSConfig
    from docker.types import Mount
    from docker.utils import decode_json_header
finally:
    if _UNWANTED:
        del sys.modules["paramiko"]

APIClient: Any = docker.APIClient

__all__ = [
    "APIClient",
    "APIError",
    "DockerException",
    "Mount",
    "NotFound",
    "TLSConfig",
    "decode_json_header",
    "support_ssh",
]


def support_ssh() -> None:
    """Make ssh:// addresses work."""
    from docker.transport.sshconn import SSHHTTPAdapter

    _client.SSHHTTPAdapter = SSHHTTPAdapter
