"""What a container of a check is given, and never more: no volumes, no networks and no devices of the host.

Belongs here: saying that to the engine. Does not belong here: running the container (`isolation`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from imgopt_pipeline.hosts.engine_files import HELPER_LABEL

_PROCESSES = 4096
_LOG = {"type": "json-file", "config": {"max-size": "20m", "max-file": "2"}}
_ALL_GPUS = {"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a container is given. `environment` holds values that may be secrets: it is never shown.

    `dropped` takes all capabilities away, `capabilities` gives some. `join` is the container whose network it
    shares, `names` are host names that lead to its own loopback. None leaves what the image says.
    """

    environment: tuple[str, ...] = field(default=(), repr=False)
    entrypoint: Sequence[str] | None = None
    command: Sequence[str] | None = None
    user: str | None = None
    workdir: str | None = None
    memory_bytes: int | None = None
    dropped: bool = False
    capabilities: tuple[str, ...] = ()
    healthcheck: Mapping[str, Any] | None = None
    join: str | None = None
    names: tuple[str, ...] = ()
    gpu: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)

    def options(self, client: Any) -> dict[str, Any]:
        """The same as the SDK's arguments of a new container, labelled so that a later start finds it."""
        host = client.create_host_config(
            network_mode=f"container:{self.join}" if self.join else "none",
            extra_hosts=dict.fromkeys(self.names, "127.0.0.1") or None,
            mem_limit=self.memory_bytes,
            memswap_limit=self.memory_bytes,
            pids_limit=_PROCESSES,
            cap_drop=["ALL"] if self.dropped else None,
            cap_add=list(self.capabilities) or None,
            security_opt=["no-new-privileges"] if self.dropped else None,
            log_config=_LOG,
            device_requests=[_ALL_GPUS] if self.gpu else None,
            **self.more,
        )
        return {
            "entrypoint": None if self.entrypoint is None else list(self.entrypoint),
            "command": None if self.command is None else list(self.command),
            "environment": list(self.environment) or None,
            "user": self.user,
            "working_dir": self.workdir,
            "healthcheck": self.healthcheck,
            "labels": {HELPER_LABEL: str(int(time.time()))},
            "host_config": host,
            "use_config_proxy": False,
        }
