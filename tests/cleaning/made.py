"""Applications in folders, inspections of containers and warehouses, for tests of cleaning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from imgopt_pipeline.cleaning.standing import Standing
from imgopt_pipeline.names import printable
from imgopt_pipeline.warehouse.store import publish, replace_rows

NOW = datetime(2026, 1, 31, tzinfo=UTC)
MANIFEST = '{"name": "shop", "scripts": {"build": "next build"}}'


def application(folder: Path, *, lock: str | None = "package-lock.json", manifest: str | None = MANIFEST) -> Path:
    """A folder with node_modules of two files and .next of one, beside what makes them."""
    modules = folder / "node_modules" / "left-pad"
    modules.mkdir(parents=True)
    (modules / "index.js").write_bytes(b"x" * 300_000)
    (modules / "LICENSE").write_text("do as you like")
    (folder / ".next").mkdir()
    (folder / ".next" / "BUILD_ID").write_text("1")
    (folder / "server.js").write_text("require('left-pad')")
    if manifest is not None:
        (folder / "package.json").write_text(manifest)
    if lock is not None:
        (folder / lock).write_text("{}")
    return folder


def inspected(name: str, state: str = "exited", *, days: float = 30, **more: Any) -> dict[str, Any]:
    """What the engine says of a container that ended so many days before NOW."""
    ended = (NOW - timedelta(days=days)).isoformat()
    container: dict[str, Any] = {
        "Id": (name.encode().hex() * 64)[:64],
        "Name": f"/{name}",
        "Image": "sha256:" + "1" * 64,
        "Created": ended,
        "State": {
            "Status": state,
            "Running": state == "running",
            "FinishedAt": ended if state in ("exited", "dead") else "0001-01-01T00:00:00Z",
            "ExitCode": 0,
        },
        "Config": {"Labels": {}},
        "HostConfig": {"RestartPolicy": {"Name": "no"}, "NetworkMode": "default"},
        "Mounts": [],
    }
    return container | more


def compose(
    project: str, folder: str = "/srv/nowhere", *, one_off: bool = False, number: int | None = 1
) -> dict[str, Any]:
    """The labels of a compose service's container; without a number those that an image built by compose hands on."""
    start = "com.docker.compose."
    labels = {f"{start}project": project, f"{start}project.working_dir": folder, f"{start}service": "web"}
    if number is not None:
        labels |= {f"{start}container-number": str(number)}
    return {"Labels": labels | {f"{start}oneoff": str(one_off)}}


def policy(name: str) -> dict[str, Any]:
    return {"RestartPolicy": {"Name": name, "MaximumRetryCount": 0}}


def standing_of(*containers: dict[str, Any]) -> Standing:
    return Standing(containers, NOW)


def audited(database: Path, *folders: Path, host: str = "local") -> None:
    """Store an audit that found these folders with node_modules in them."""
    when = datetime(2026, 1, 30)
    audit = {
        "audit_id": "a1",
        "host": host,
        "status": "complete",
        "started_at": when,
        "finished_at": when,
        **dict.fromkeys(("engine_kind", "engine_version", "image_store", "imgopt_version", "analyser_version"), ""),
        **dict.fromkeys(("images", "containers", "layers", "layers_read", "problems"), 0),
    }
    directories = [
        {
            "audit_id": "a1",
            "host": host,
            "path": printable(str(folder)),
            "kind": "project",
            "containers": [],
            "running": False,
            "size_bytes": 300_000,
            "files": 3,
            "contents": "node_modules",
            "contents_bytes": [("node_modules", 300_000)],
            "idle_days": 180,
            "filesystem": "ext4",
            "remote": False,
            "complete": True,
        }
        for folder in folders
    ]
    publish(database, lambda connection: replace_rows(connection, {"audits": [audit], "data_directories": directories}))
