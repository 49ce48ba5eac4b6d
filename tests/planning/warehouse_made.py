"""A warehouse with one audit of a small server, made row by row through the warehouse's own store.

`Server` collects rows; each method adds one thing with everything that the schema wants of it. Figures
follow the sizes of real images: whisperx with torch 2.8.0 for CUDA, ragflow, cal.com and others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from imgopt_pipeline.planning.plan import plan_rows
from imgopt_pipeline.warehouse.store import publish, replace_rows, snapshot, sql_file

AUDIT, HOST = "a1", "big"
BUILT = datetime(2026, 1, 1)
Row = dict[str, Any]
MB, GB = 1_000_000, 1_000_000_000
APT = "RUN /bin/sh -c apt-get install -y ffmpeg git curl # buildkit"
PIP = "RUN /bin/sh -c pip install -r requirements.txt # buildkit"
COPY = "COPY . . # buildkit"
BASE = "/bin/sh -c #(nop) ADD file:00 in / "


def digest(*parts: str) -> str:
    return "sha256:" + hashlib.sha256("|".join(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Layer:
    """`name` tells layers apart: two images with equal names up to a layer share it."""

    name: str
    created_by: str | None
    size_bytes: int | None
    claims: Mapping[str, int] = field(default_factory=dict)


BASE_LAYER = Layer("python:3.11-slim", BASE, 78_600_000)
APT_LAYER = Layer("apt", APT, 745 * MB, {"R4:likely": 320 * MB, "R3:low": 90 * MB, "R5:low": 45 * MB})


def pip_layer(name: str, gpu_bytes: int, other_bytes: int) -> Layer:
    """Half of the GPU bytes are libraries, half parts of torch."""
    return Layer(
        name,
        PIP,
        gpu_bytes + other_bytes,
        {
            "R1:low": gpu_bytes * 8 // 10,
            "R1:likely": gpu_bytes - gpu_bytes * 8 // 10,
            "R6:low": other_bytes // 20,
            "R9:likely": other_bytes // 20,
            "R15:high,R9:high": other_bytes // 20,
        },
    )


@dataclass
class Server:
    engine_kind: str = "docker"
    image_store: str = "overlay2"
    has_gpu: bool = False
    tables: dict[str, list[Row]] = field(default_factory=dict)

    def add(self, table: str, **row: Any) -> None:
        self.tables.setdefault(table, []).append(row)

    def image(
        self,
        reference: str,
        layers: Sequence[Layer],
        *,
        digests: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        age_days: int = 0,
        analysed: bool = True,
        variant: str = "",
        verdict: str = "unknown",
        granted: bool | None = False,
        build: str = "none",
        gpu_bytes: int = 0,
        packages: Mapping[str, str] | None = None,
        compilers: Sequence[str] = (),
        used: bool | None = None,
    ) -> str:
        """An image; without a reference it is dangling. `variant` tells images with equal layers apart."""
        image_id = digest(reference, variant, *(layer.name for layer in layers))
        chains = [digest(*(layer.name for layer in layers[: n + 1])) for n in range(len(layers))]
        self.add(
            "image_inventory",
            image_id=image_id,
            name=reference or image_id[7:19],
            image_references=[reference] if reference else [],
            digests=[d.replace("SELF", image_id) for d in digests],
            dangling=not reference,
            reported_bytes=sum(layer.size_bytes or 0 for layer in layers),
            source="",
        )
        self.add(
            "images",
            image_id=image_id,
            chain_id=chains[-1] if chains else "",
            architecture="amd64",
            os="linux",
            variant="",
            created_at=BUILT - timedelta(days=age_days),
            layer_count=len(layers),
            labels=list((labels or {}).items()),
            default_user="",
            has_healthcheck=False,
            env_names=[],
        )
        size = sum(layer.size_bytes or 0 for layer in layers)
        if analysed:
            self.add("layer_analysis", image_id=image_id, size_bytes=size, live_bytes=size, dead_bytes=0, **_ANALYSIS)
        for position, (layer, chain) in enumerate(zip(layers, chains, strict=True)):
            self._layer(image_id, position, layer, chain)
        self.add(
            "gpu_checks",
            image_id=image_id,
            container_id=None,
            subject=reference,
            build=build,
            versions=[],
            gpu_bytes=gpu_bytes,
            granted=granted,
            used=used,
            need="optional",
            verdict=verdict,
            confidence="very high",
            explanation="As it is.",
            evidence=[],
        )
        for name, version in (packages or {}).items():
            self.add("package_inventory", **_PACKAGE | {"image_id": image_id, "name": name, "version": version})
        for name in compilers:
            self.add("package_inventory", **_PACKAGE | {"image_id": image_id, "name": name, "gpu_role": "compiler"})
        return image_id

    def _layer(self, image_id: str, position: int, layer: Layer, chain: str) -> None:
        diff_id = digest("diff", layer.name)
        self.add(
            "image_layers",
            image_id=image_id,
            position=position,
            diff_id=diff_id,
            chain_id=chain,
            created_by=layer.created_by,
        )
        if layer.size_bytes is not None and diff_id not in {row["diff_id"] for row in self.tables.get("layers", ())}:
            self.add("layers", diff_id=diff_id, file_bytes=layer.size_bytes, **_LAYER)
        for claims, size_bytes in layer.claims.items():
            self.add(
                "removable_bytes",
                image_id=image_id,
                position=position,
                dead=False,
                claims=claims.split(","),
                size_bytes=size_bytes,
                files=10,
                example=f"opt/{claims}/biggest",
            )

    def container(self, name: str, image_id: str, reference: str = "", **more: Any) -> None:
        row = _CONTAINER | {"container_id": digest("container", name), "name": name, "image_id": image_id}
        self.add("container_inventory", **row | {"image_reference": reference} | more)

    def directory(self, path: str, contents: Mapping[str, int], **more: Any) -> None:
        size = sum(contents.values())
        main = max(contents, key=lambda kind: contents[kind], default="unknown")
        row = _DIRECTORY | {
            "path": path,
            "size_bytes": size,
            "contents": main,
            "contents_bytes": list(contents.items()),
        }
        self.add("data_directories", **row | more)

    def finding(self, rule_id: str, technique: str | None, subject_kind: str, subject: str, **more: Any) -> None:
        row = _FINDING | {"rule_id": rule_id, "technique": technique, "subject_kind": subject_kind, "subject": subject}
        self.add("findings", **row | more)

    def publish(self, folder: Path, audit_id: str = AUDIT) -> Path:
        """Store the rows under an audit."""
        self.tables.setdefault("host_facts", []).append(
            {
                "started_at": BUILT,
                "engine_kind": self.engine_kind,
                "engine_version": "28",
                "image_store": self.image_store,
            }
        )
        self.tables.setdefault("host_gpus", []).append(
            {
                "known": self.engine_kind != "archives",
                "devices": ["/dev/nvidia0"] if self.has_gpu else [],
                "runtimes": ["runc"],
                "default_runtime": "runc",
                "evidence": [],
            }
        )
        tables = {
            table: [row | ({"audit_id": audit_id, "host": HOST} if table not in _CONTENT else {}) for row in rows]
            for table, rows in self.tables.items()
        }
        folder.mkdir(exist_ok=True)
        database = folder / "imgopt.duckdb"
        if not database.exists():
            database.write_bytes(_empty_warehouse())
        publish(database, lambda connection: replace_rows(connection, tables))
        return database

    def plan(self, folder: Path) -> list[Row]:
        """The plan of the audit, which the schema's checks have passed."""
        with snapshot(self.publish(folder)) as connection:
            rows = plan_rows(connection, HOST, AUDIT)
        with duckdb.connect() as connection:
            connection.execute(_PLAN_TABLE)
            connection.begin()
            replace_rows(connection, {"optimization_plan": rows})
        return rows


@cache
def _empty_warehouse() -> bytes:
    """The file before any audit: the schema is made once for all tests."""
    with TemporaryDirectory() as folder:
        database = Path(folder) / "imgopt.duckdb"
        publish(database, lambda connection: None)
        return database.read_bytes()


def item(rows: Sequence[Row], subject: str) -> Row:
    """The only item of that subject."""
    (found,) = [row for row in rows if row["subject"] == subject]
    return found


_PLAN_TABLE = "".join(sql_file("schema.sql").partition("CREATE TABLE IF NOT EXISTS optimization_plan")[1:])
_CONTENT = {"images", "image_layers", "layers", "layer_analysis", "removable_bytes", "package_inventory"}
_ANALYSIS: Row = {
    "live_files": 1,
    "dead_files": 0,
    "efficiency": 1.0,
    "dive_efficiency": 1.0,
    "dive_size_bytes": 0,
    "dive_user_size_bytes": 0,
    "dive_wasted_bytes": 0,
    "dive_user_wasted_percent": 0.0,
    "analyser_version": "1",
}
_LAYER: Row = {"entry_count": 1, "reader": "made", "read_seconds": 0.0, "analyser_version": "1"}
_PACKAGE: Row = {
    "ecosystem": "python",
    "version": "3.4.0",
    "local_version": None,
    "location": "site-packages",
    "position": 2,
    "size_bytes": 1000,
    "files": 1,
    "development": False,
    "only_recommended": False,
    "section": "",
    "requires": [],
    "gpu_role": "framework",
}
_CONTAINER: Row = {
    "state": "running",
    "running": True,
    "restart_policy": "always",
    "restart_count": 0,
    "compose_config_files": [],
    "log_driver": "json-file",
}
_DIRECTORY: Row = {
    "kind": "bind",
    "containers": [],
    "running": False,
    "files": 10,
    "idle_days": 180,
    "filesystem": "ext4",
    "remote": False,
    "in_use_by": [],
    "complete": True,
}
_FINDING: Row = {
    "severity": "medium",
    "size_bytes": 10,
    "low_bytes": 10,
    "likely_bytes": 10,
    "high_bytes": 10,
    "evidence": "",
    "advice": "",
}
