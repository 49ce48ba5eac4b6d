"""Conda packages: records of a prefix, with files below it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imgopt_pipeline.contents.conda_packages import conda_packages
from tests.contents.no_tree import NoTree

RECORD: dict[str, Any] = {
    "name": "numpy",
    "version": "2.1.0",
    "build": "py311_0",
    "size": 7_000_000,
    "depends": ["python >=3.11,<3.12.0a0", "libblas", "libblas >=3"],
    "files": ["lib/python3.11/site-packages/numpy/__init__.py", "bin/f2py", "../../etc/passwd", "/etc/x", 3],
    "paths_data": {"paths": [{"size_in_bytes": 100}, {"size_in_bytes": 23}, {"_path": "link"}], "paths_version": 1},
    "requested_spec": "numpy",
}


def test_a_record_is_a_package() -> None:
    path = "opt/conda/conda-meta/numpy-2.1.0-py311_0.json"
    (package,) = conda_packages({path: json.dumps(RECORD).encode()}, NoTree()).packages
    assert (package.name, package.version, package.location) == ("numpy", "2.1.0", "opt/conda")
    assert package.files == (
        "opt/conda/lib/python3.11/site-packages/numpy/__init__.py",
        "opt/conda/bin/f2py",
        "etc/passwd",
        path,
    )
    assert package.requires == ("python", "libblas")
    assert package.installed_bytes == 123
    assert package.requested is True


@pytest.mark.parametrize(
    ("fields", "requested"),
    [
        ({"requested_spec": "None"}, False),
        ({"requested_spec": ""}, False),
        ({"requested_specs": ["a"]}, True),
        ({}, None),
    ],
)
def test_requests(fields: dict[str, Any], requested: bool | None) -> None:
    record = {"name": "a", "version": "1"} | fields
    (package,) = conda_packages({"conda-meta/a.json": json.dumps(record).encode()}, NoTree()).packages
    assert (package.location, package.requested) == ("", requested)


def test_broken_records_cost_only_themselves() -> None:
    found = conda_packages(
        {
            "conda-meta/a.json": b"{",
            "conda-meta/b.json": b"[]",
            "conda-meta/c.json": b'{"name": 1, "version": "1"}',
            "conda-meta/d.json": b'{"name": "d", "version": "1", "files": {"a": 1}, "depends": [1, ""]}',
            "my-conda-meta/e.json": b"{}",
        },
        NoTree(),
    )
    assert [package.name for package in found.packages] == ["d"]
    assert [warning.split()[0] for warning in found.warnings] == [
        "conda-meta/a.json",
        "conda-meta/b.json",
        "conda-meta/c.json",
    ]
