"""The GPU verdicts of an audit, from the rows that the warehouse holds of its images, containers and host.

How a single container or image is judged stands in `judgement`, whose functions are handed on from here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import duckdb

from imgopt_pipeline.gpu.evidence import Evidence
from imgopt_pipeline.gpu.image import ImageGpu
from imgopt_pipeline.gpu.judgement import GpuCheck, check_container, check_image, worth_saying
from imgopt_pipeline.hosts.models import ContainerGpu, HostGpu
from imgopt_pipeline.warehouse.store import fetch_rows

__all__ = ["GpuCheck", "check_container", "check_image", "gpu_check_rows", "gpu_checks", "worth_saying"]

Row = Mapping[str, Any]
_EVIDENCE = 60


def gpu_checks(connection: duckdb.DuckDBPyConnection, host_name: str, audit_id: str) -> list[dict[str, Any]]:
    """Rows of `gpu_checks` for an audit whose inventory and contents are stored."""
    fetched = {
        name: fetch_rows(connection, _sql(f"select_{name}.sql"), audit_id=audit_id)
        for name in ("images", "evidence", "containers", "hosts")
    }
    return gpu_check_rows(
        host_name,
        audit_id,
        images=fetched["images"],
        evidence=fetched["evidence"],
        containers=fetched["containers"],
        hosts=fetched["hosts"],
    )


def gpu_check_rows(
    host_name: str,
    audit_id: str,
    *,
    images: Sequence[Row],
    evidence: Sequence[Row],
    containers: Sequence[Row],
    hosts: Sequence[Row],
) -> list[dict[str, Any]]:
    """Rows of `gpu_checks`: each image with its containers, unless there is nothing to say about any of them.

    `images`: rows of image_gpu with the image's name; `evidence`: of gpu_evidence; `containers`: of
    container_gpus with name and image_id; `hosts`: of host_gpus, none where the host was not looked at.
    """
    host = _host(hosts)
    pieces: dict[str, list[Evidence]] = defaultdict(list)
    for row in evidence:
        fields = ("aspect", "statement", "source", "weight", "value")
        pieces[row["image_id"]].append(Evidence(**{field: row[field] for field in fields}))
    of_image: dict[str, list[Row]] = defaultdict(list)
    for row in containers:
        of_image[row["image_id"]].append(row)
    rows: list[dict[str, Any]] = []
    for row in images:
        image = _image(row, pieces[row["image_id"]])
        own = [
            (item, check_container(image, _container(item), host, name=item["name"]))
            for item in of_image[row["image_id"]]
        ]
        checks = [check for _, check in own]
        whole = check_image(image, checks, host, name=row["name"])
        if any(worth_saying(check, image.environment) for check in (whole, *checks)):
            rows.append(_row(host_name, audit_id, row, None, row["name"], whole))
            rows += [_row(host_name, audit_id, row, item["container_id"], item["name"], check) for item, check in own]
    return rows


def _row(
    host_name: str, audit_id: str, image: Row, container_id: str | None, subject: str, check: GpuCheck
) -> dict[str, Any]:
    row = check.row()
    return {
        "audit_id": audit_id,
        "host": host_name,
        "image_id": image["image_id"],
        "container_id": container_id,
        "subject": subject,
        **row,
        "evidence": row["evidence"][:_EVIDENCE],
    }


def _image(row: Row, evidence: Sequence[Evidence]) -> ImageGpu:
    return ImageGpu(
        build=row["build"],
        versions=tuple(row["versions"]),
        gpu_bytes=row["gpu_bytes"],
        need=row["need"],
        environment=dict(row["environment"] or {}),
        evidence=tuple(evidence),
    )


def _container(row: Row) -> ContainerGpu:
    return ContainerGpu(
        runtime=row["runtime"] or "",
        requests=tuple(row["requests"] or ()),
        environment=dict(row["environment"] or {}),
        arguments=tuple(row["arguments"] or ()),
        processes=None if row["processes"] is None else tuple(row["processes"]),
    )


def _host(rows: Sequence[Row]) -> HostGpu:
    if not rows:
        return HostGpu()
    row = rows[0]
    return HostGpu(
        known=row["known"],
        devices=tuple(row["devices"]),
        driver_version=row["driver_version"],
        runtimes=tuple(row["runtimes"]),
        default_runtime=row["default_runtime"],
        evidence=tuple(row["evidence"]),
    )


def _sql(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text()
