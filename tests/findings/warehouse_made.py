"""Small warehouses for rules: functions that give the rows of one thing each, put together and published."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from imgopt_pipeline.warehouse.store import publish, replace_rows

AUDIT = "a2"
HOST = "web"
AUDITED_AT = datetime(2026, 6, 1, 6)
Rows = dict[str, list[dict[str, Any]]]


def days_before(days: int) -> datetime:
    return AUDITED_AT - timedelta(days=days)


def together(*parts: Rows) -> Rows:
    """The rows of all parts."""
    tables: Rows = {}
    for part in parts:
        for table, rows in part.items():
            tables.setdefault(table, []).extend(rows)
    return tables


def write(database: Path, rows: Rows) -> Path:
    """Publish rows; of content that several parts name, the first row counts."""
    publish(database, lambda connection: replace_rows(connection, _distinct(rows)))
    return database


def as_audit(rows: Rows, audit_id: str, host: str = HOST) -> Rows:
    """The same rows as those of another audit, with content of its own."""
    content = ("image_id", "base_image_id", "diff_id", "chain_id")
    return {
        table: [
            row
            | ({"audit_id": audit_id, "host": host} if "audit_id" in row else {})
            | {name: f"{audit_id}:{row[name]}" for name in content if row.get(name)}
            for row in some
        ]
        for table, some in rows.items()
    }


def host(engine_kind: str = "docker") -> Rows:
    row = {"started_at": AUDITED_AT, "engine_kind": engine_kind, "engine_version": "28", "image_store": "overlay2"}
    return {"host_facts": [_audited(row)]}


def image(
    image_id: str,
    *references: str,
    layers: Sequence[tuple[str, int, str | None]] = (("l1", 1_000, None),),
    dead: dict[int, int] | None = None,
    base: str | None = None,
    base_reference: str | None = None,
    base_evidence: str | None = None,
    digests: Sequence[str] = (),
    **columns: Any,
) -> Rows:
    """An image; `layers` are (diff ID, bytes, created_by), `dead` the hidden bytes by position."""
    dead = dead or {}
    total, hidden = sum(size for _, size, _ in layers), sum(dead.values())
    chains = ["/".join(name for name, _, _ in layers[: position + 1]) for position in range(len(layers))]
    content = {
        "image_id": image_id,
        "chain_id": chains[-1] if chains else "",
        "architecture": "amd64",
        "os": "linux",
        "variant": "",
        "created_at": days_before(10),
        "layer_count": len(layers),
        "labels": {},
        "default_user": "app",
        "has_healthcheck": True,
        "env_names": ["PATH"],
    }
    inventory = {
        "image_id": image_id,
        "name": references[0] if references else image_id[:12],
        "image_references": list(references),
        "digests": list(digests),
        "dangling": not references,
        "reported_bytes": total,
        "base_image_id": base,
        "base_reference": base_reference,
        "base_evidence": base_evidence or ("layer prefix" if base else None),
        "source": "",
    }
    analysis = {
        "image_id": image_id,
        "size_bytes": total,
        "live_bytes": total - hidden,
        "dead_bytes": hidden,
        "live_files": 1,
        "dead_files": 0,
        "efficiency": (total - hidden) / total if total else 1.0,
        "dive_efficiency": 1.0,
        "dive_size_bytes": total,
        "dive_user_size_bytes": total,
        "dive_wasted_bytes": 0,
        "dive_user_wasted_percent": 0.0,
        "analyser_version": "1",
    }
    return {
        "images": [content | columns],
        "image_inventory": [_audited(inventory)],
        "layer_analysis": [analysis],
        "image_layers": [
            {
                "image_id": image_id,
                "position": position,
                "diff_id": name,
                "chain_id": chains[position],
                "created_by": line,
            }
            for position, (name, _, line) in enumerate(layers)
        ],
        "layers": [
            {
                "diff_id": name,
                "file_bytes": size,
                "entry_count": 1,
                "reader": "archive",
                "read_seconds": 0.1,
                "analyser_version": "1",
            }
            for name, size, _ in layers
        ],
        "image_layer_bytes": [
            {
                "image_id": image_id,
                "position": position,
                "live_bytes": size - dead.get(position, 0),
                "dead_bytes": dead.get(position, 0),
            }
            for position, (_, size, _) in enumerate(layers)
        ],
    }


def container(name: str, image_id: str, **columns: Any) -> Rows:
    """A running container, unless the columns say otherwise."""
    row = {
        "container_id": f"id-{name}",
        "name": name,
        "image_id": image_id,
        "image_reference": "shop/app:1",
        "state": "running",
        "running": True,
        "created_at": days_before(5),
        "started_at": days_before(5),
        "restart_policy": "always",
        "restart_count": 0,
        "compose_project": None,
        "compose_service": None,
        "compose_working_dir": None,
        "compose_config_files": [],
        "memory_limit_bytes": None,
        "log_driver": "json-file",
        "log_bytes": 1_000,
        "writable_bytes": 2_000,
    }
    return {"container_inventory": [_audited(row | columns)]}


def removable(
    image_id: str, *claims: str, size_bytes: int, position: int = 0, dead: bool = False, example: str = "srv/biggest"
) -> Rows:
    row = {
        "image_id": image_id,
        "position": position,
        "dead": dead,
        "claims": list(claims),
        "size_bytes": size_bytes,
        "files": 3,
        "example": example,
    }
    return {"removable_bytes": [row]}


def package(image_id: str, name: str, size_bytes: int, **columns: Any) -> Rows:
    row: dict[str, Any] = {
        "image_id": image_id,
        "ecosystem": "python",
        "name": name,
        "version": "1.0",
        "local_version": None,
        "location": "usr/lib/python3/site-packages",
        "position": 0,
        "size_bytes": size_bytes,
        "files": 10,
        "installed_bytes": None,
        "requested": None,
        "development": False,
        "only_recommended": False,
        "section": "",
        "requires": [],
        "gpu_role": "",
        "fingerprint": None,
    }
    return {"package_inventory": [row | columns]}


def gpu_check(image_id: str, verdict: str, container: str | None = None, **columns: Any) -> Rows:
    """A GPU verdict on an image, or on the container of that name."""
    row = {
        "image_id": image_id,
        "container_id": f"id-{container}" if container else None,
        "subject": container or "shop/app:1",
        "build": "cuda",
        "versions": ["torch 2.8.0+cu128"],
        "gpu_bytes": 5_000_000_000,
        "granted": False,
        "used": None,
        "need": "optional",
        "verdict": verdict,
        "confidence": "high",
        "explanation": "The words of the verdict.",
        "evidence": [{"aspect": "need", "statement": "device=cuda", "source": "app/main.py:7", "weight": "high"}],
    }
    return {"gpu_checks": [_audited(row | columns)]}


def image_gpu(image_id: str, **environment: str) -> Rows:
    row = {
        "image_id": image_id,
        "build": "cuda",
        "versions": [],
        "gpu_bytes": 0,
        "need": "none",
        "environment": environment,
        "content_version": "1",
    }
    return {"image_gpu": [row]}


def volume(name: str, **columns: Any) -> Rows:
    row = {
        "name": name,
        "driver": "local",
        "mountpoint": f"/var/lib/docker/volumes/{name}/_data",
        "size_bytes": 7_000_000,
        "containers": 0,
        "anonymous": False,
    }
    return {"volume_inventory": [_audited(row | columns)]}


def mount_gone(subject: str, kind: str = "mount gone") -> Rows:
    """A problem that the audit met with moved data."""
    row = {
        "asset": "data_directories",
        "subject": subject,
        "kind": kind,
        "message": "the mount /mnt/remote is gone (no such directory): service shop/web has no data.",
        "hint": "Mount it again, then start service shop/web.",
    }
    return {"audit_problems": [_audited(row)]}


def build_cache(reclaimable_bytes: int) -> Rows:
    row: dict[str, Any] = {
        "kind": "build cache",
        "items": 40,
        "active_items": 2,
        "size_bytes": reclaimable_bytes + 5_000,
    }
    return {"disk_usage": [_audited(row | {"reclaimable_bytes": reclaimable_bytes})]}


def directory(path: str, contents: str, size_bytes: int, **columns: Any) -> Rows:
    """A bind mount of a running container, read whole, all of it of one kind."""
    row = {
        "path": path,
        "kind": "bind",
        "volume": None,
        "containers": ["music"],
        "compose_project": None,
        "running": True,
        "size_bytes": size_bytes,
        "files": 120,
        "contents": contents,
        "contents_bytes": {contents: size_bytes},
        "unmodified_bytes": 0,
        "unread_bytes": 0,
        "unused_bytes": 0,
        "idle_days": 180,
        "filesystem": "ext4",
        "remote": False,
        "in_use_by": [],
        "complete": True,
    }
    return {"data_directories": [_audited(row | columns)]}


def _audited(row: dict[str, Any]) -> dict[str, Any]:
    return {"audit_id": AUDIT, "host": HOST, **row}


def _distinct(rows: Rows) -> Rows:
    keys: dict[str, tuple[str, ...]] = {
        "layers": ("diff_id",),
        "images": ("image_id",),
        "layer_analysis": ("image_id",),
    }
    keys |= {"image_layers": ("image_id", "position"), "image_layer_bytes": ("image_id", "position")}
    distinct = dict(rows)
    for table, names in keys.items():
        if table in rows:
            distinct[table] = list({tuple(row[name] for name in names): row for row in reversed(rows[table])}.values())
    return distinct
