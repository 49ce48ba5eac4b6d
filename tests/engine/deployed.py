"""Services to deploy to, on a private daemon: an image in use, a candidate of it, and a home where both are known.

Belongs here: making and looking at them with no code of the package but its tables. Does not belong here: what is
asserted of deployments.
"""

from __future__ import annotations

import json
import secrets
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imgopt_pipeline.settings import Settings
from imgopt_pipeline.warehouse.store import publish, replace_rows

from .daemons import Daemon, EngineError

BASE = "imgopt-test/busybox:1"
#: Serves /www; says nothing in its log.
SERVE = 'CMD ["httpd", "-f", "-p", "8080", "-h", "/www"]'


@dataclass
class Shop:
    """A service `NAME` with its home. `port` is published on this machine's loopback."""

    daemon: Daemon
    name: str
    folder: Path
    port: int
    compose: bool
    more: str = ""
    settings_given: dict[str, Any] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        return f"{self.name}:latest"

    @property
    def file(self) -> Path:
        return self.folder / "compose.yaml"

    @property
    def settings(self) -> Settings:
        given: dict[str, Any] = {
            "home": self.folder / "home",
            "hosts": {"local": {"engine": self.daemon.url}},
            "deployments": {"soak_seconds": 0.5, "deadline_seconds": 15, "probe_times": 2, "stop_seconds": 1},
        }
        return Settings(**(given | self.settings_given))

    def image(self, tag: str, text: str, recipe: str = SERVE, labels: Mapping[str, str] | None = None) -> str:
        """Build an image whose page says `text`."""
        labelled = "".join(f"LABEL {name}={json.dumps(value)}\n" for name, value in (labels or {}).items())
        # As process 1 it would not hear SIGTERM, and each switch would take ten seconds.
        dockerfile = f"FROM {BASE}\nSTOPSIGNAL SIGKILL\nCOPY index.html /www/\nEXPOSE 8080\n{labelled}{recipe}\n"
        return self.daemon.build(dockerfile, {"index.html": text.encode()}, tag)

    def candidate(self, text: str = "newer", recipe: str = SERVE) -> str:
        """Build a candidate of the image in use, and tell the warehouse of it as an optimized build does.

        `text` has another length than the page in use, or the builder takes the one file for the other.
        """
        old = self.daemon.image_id(self.reference)
        reference = f"{self.reference}-optimized"
        image_id = self.image(reference, text, recipe, {"imgopt.source-image": old})
        build_id = f"build-{self.name}-{text}"
        rows = build_rows(build_id, self.reference, old, image_id, reference)
        publish(self.settings.paths.database, lambda connection: replace_rows(connection, rows))
        self.approve()
        return image_id

    def approve(self) -> None:
        """Say yes to the image in use; a rollback uses that up."""
        approval = {
            "approval_id": secrets.token_hex(8),
            "host": "local",
            "subject": self.reference,
            "subject_kind": "image",
            "image_id": self.daemon.image_id(self.reference),
            "path": None,
            "action": "optimize",
            "approved_by": "tester",
            "approved_at": datetime.now(UTC).replace(tzinfo=None),
            "note": "",
        }
        publish(self.settings.paths.database, lambda connection: replace_rows(connection, {"approvals": [approval]}))

    def start(self, options: str = "") -> None:
        """Run it on the image in use."""
        if self.compose:
            self.file.write_text(
                f"name: {self.name}\nservices:\n  web:\n    image: {self.reference}\n"
                f"    build: {{context: ., dockerfile: Dockerfile}}\n"
                f"    ports: ['127.0.0.1:{self.port}:8080']\n{self.more}"
            )
            (self.folder / "Dockerfile").write_text(f"FROM {BASE}\n")
            self.daemon.docker("compose", "-f", str(self.file), "up", "-d", "--no-build")
        else:
            # A private daemon has no default network to publish a port from.
            network = f"{self.name}_default"
            self.daemon.docker("network", "create", network)
            command = ["run", "-d", "--name", self.name, f"--network={network}"]
            self.daemon.docker(*command, "-p", f"127.0.0.1:{self.port}:8080", *options.split(), self.reference)

    @property
    def subject(self) -> str:
        return f"{self.name}/web" if self.compose else self.name

    def page(self) -> str:
        """What it answers now, empty where it does not."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=3) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return ""

    def containers(self) -> list[dict[str, Any]]:
        """All containers of it, ours set aside too, as the engine inspects them."""
        ids = self.daemon.docker("ps", "-aq", "--filter", f"name={self.name}").split()
        return list(json.loads(self.daemon.docker("inspect", *ids))) if ids else []

    def leftovers(self) -> list[str]:
        """Containers that are neither the service's one container nor one that is kept to go back."""
        names = [container["Name"].lstrip("/") for container in self.containers()]
        expected = {f"{self.name}-web-1"} if self.compose else {self.name}
        return sorted(name for name in names if name not in expected and ".imgopt-" not in name)


@contextmanager
def shop(daemon: Daemon, folder: Path, *, compose: bool = True, more: str = "", **settings: Any) -> Iterator[Shop]:
    """A service that answers `old`, removed at the end with its images."""
    # Names of images and projects take no underscores at their ends, nor capitals.
    name = "shop-" + "".join(letter for letter in folder.name.lower() if letter.isalnum())[-40:]
    made = Shop(daemon, name, folder, free_port(), compose, more, settings)
    try:
        daemon.image_id(BASE)
    except EngineError:
        daemon.import_busybox(BASE)
    try:
        made.image(made.reference, "old")
        yield made
    finally:
        ids = [container["Id"] for container in made.containers()]
        if ids:
            daemon.docker("rm", "-f", "-v", *ids)
        networks = daemon.docker("network", "ls", "-q", "--filter", f"name={name}_").split()
        if networks:
            daemon.docker("network", "rm", *networks)
        images = daemon.docker("images", "-q", "--no-trunc", "--filter", f"reference={name}").split()
        images += daemon.docker("images", "-q", "--no-trunc", "--filter", f"reference=*/{name}").split()
        if images:
            daemon.docker("rmi", "-f", *set(images))


def build_rows(build_id: str, reference: str, old: str, new: str, candidate: str) -> dict[str, list[dict[str, Any]]]:
    """What the warehouse holds of an optimized build whose candidate passed."""
    build = {
        "build_id": build_id,
        "host": "local",
        "reference": reference,
        "kind": "rewrite",
        "outcome": "kept",
        "source_image_id": old,
        "candidate_image_id": new,
        "candidate_reference": candidate,
        "origin": "test",
        "dockerfile": None,
        "level": "safe",
        "techniques": ["R3"],
        "dropped": [],
        "old_bytes": 2_000_000,
        "new_bytes": 1_000_000,
        "low_bytes": 1,
        "likely_bytes": 2,
        "high_bytes": 3,
        "attempts": 1,
        "started_at": datetime.now(),
        "seconds": 1.0,
        "folder": "",
        "summary": "",
        "remarks": [],
        "imgopt_version": "0",
    }
    attempt = {
        "build_id": build_id,
        "attempt": 1,
        "techniques": ["R3"],
        "outcome": "passed",
        "failed_checks": [],
        "detail": "",
        "image_id": new,
        "size_bytes": 1_000_000,
        "build_seconds": 1.0,
        "check_seconds": 1.0,
        "log_file": "",
    }
    check = {
        "build_id": build_id,
        "attempt": 1,
        "check_name": "start",
        "outcome": "passed",
        "old_value": "",
        "new_value": "",
        "detail": "",
        "seconds": 1.0,
    }
    return {"builds": [build], "build_attempts": [attempt], "build_checks": [check]}


def free_port() -> int:
    """A port of this machine's loopback that nobody listens on."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])
