"""What an engine's machine has for GPUs: devices, driver, container runtimes, and which processes use a GPU.

Looked at straight on the disk where the engine's files are this machine's, else through the helper
containers of `engine_files`, which tell whether a known path exists and list nothing. What a container
was given stands in `gpu_settings`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from imgopt_pipeline.errors import UnreadableLayer
from imgopt_pipeline.hosts.engine_files import EngineFiles, engine_errors
from imgopt_pipeline.hosts.models import HostGpu
from imgopt_pipeline.names import printable

_SINGLE_DEVICES = ("kfd", "dxg", "nvmap")
_NUMBERED_DEVICES = (
    (("nvidiactl", "nvidia0"), tuple(f"nvidia{number}" for number in range(16))),
    (("dri",), tuple(f"dri/renderD{number}" for number in range(128, 136))),
)
# Below /dev: NVIDIA, AMD's compute driver, Windows' subsystem for Linux, Jetson, and any graphics card.

UNKNOWN_VERSION = "unknown"
"""A driver is there, and its version cannot be read from here."""

_VERSION_FILE = "driver/nvidia/version"
# NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.14  Release Build  (…)
_DRIVER = re.compile(r"\s(\d{2,4}(?:\.\d+)+)\s", re.ASCII)
_PROGRAM = "nvidia-smi"
_PROGRAM_SECONDS = 10
_PROCESSES = 1_000

_FIRST_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO in Linux, include/linux/proc_ns.h

Exists = Callable[[str], bool]
"""Whether there is such a path, from the machine's root without the leading slash."""


def host_gpu(info: Mapping[str, Any], exists: Exists | None, driver_text: str | None = None, how: str = "") -> HostGpu:
    """What the machine has.

    `info` is the answer of `GET /info`; `exists` is None where the machine's files cannot be seen.
    `driver_text` is the content of /proc/driver/nvidia/version where that can be read; `how` says how the
    machine was looked at.
    """
    runtimes = info.get("Runtimes")
    names = tuple(sorted(printable(str(name)) for name in runtimes)) if isinstance(runtimes, dict) else ()
    default = printable(str(info.get("DefaultRuntime") or ""))
    announced = _announced(info.get("DiscoveredDevices"))
    devices = _devices(exists) if exists else ()
    version = _driver_version(driver_text)
    if version is None and exists and exists(f"proc/{_VERSION_FILE}"):
        version = UNKNOWN_VERSION
    runtime_words = f"the engine knows the runtimes {', '.join(names)}" if names else "the engine names no runtimes"
    evidence = [f"{runtime_words}; the default is {default or 'not said'}"]
    if announced:
        evidence.append(f"the engine announces {', '.join(announced)}")
    if exists is None:
        evidence.append("its devices and driver cannot be seen from here")
    else:
        evidence.append(
            f"devices {', '.join(devices)}" if devices else "no /dev/nvidia*, /dev/kfd or /dev/dri/renderD*"
        )
        evidence.append(f"NVIDIA driver {version}" if version else "no NVIDIA driver is loaded (/proc/driver/nvidia)")
    if exists and how:
        evidence.append(how)
    return HostGpu(
        known=exists is not None or bool(announced),
        devices=(*devices, *announced),
        driver_version=version,
        runtimes=names,
        default_runtime=default,
        evidence=tuple(evidence),
    )


def runs_here(local: bool, root_dir: str, root: Path = Path("/")) -> bool:
    """Whether an engine with that data folder runs on the very machine that this process sees.

    A socket may be bound into a container or lead into a virtual machine, whose devices are others.
    """
    marked = any((root / name).exists() for name in (".dockerenv", "run/.containerenv"))
    # A virtual machine made from a container image keeps the mark, and has the first namespace all the same.
    in_container = marked and not _in_first_namespace(root)
    return local and not in_container and bool(root_dir) and os.path.exists(root_dir)


def _in_first_namespace(root: Path) -> bool:
    try:
        return os.stat(root / "proc/self/ns/pid").st_ino == _FIRST_PID_NAMESPACE
    except OSError:
        return False


def look_for_gpus(info: Mapping[str, Any], here: bool, files: Callable[[str], EngineFiles]) -> HostGpu:
    """What an engine's machine has; `here`: it is this one. `files`: those of the engine's machine below a folder."""
    if here:
        return host_gpu(info, local_exists(), local_driver_text(), "looked at on this machine")
    return host_gpu(info, engine_exists(files), how="looked at through the engine")


def local_exists(root: Path = Path("/")) -> Exists:
    """Looks on this machine."""

    def exists(path: str) -> bool:
        return (root / path).exists()

    return exists


def engine_exists(files: Callable[[str], EngineFiles]) -> Exists | None:
    """Looks on the engine's machine; None where the engine does not let that be. `files`: those below a folder."""
    try:
        below = {folder: files(f"/{folder}") for folder in ("dev", "proc")}
    except UnreadableLayer:
        return None

    def exists(path: str) -> bool:
        folder, _, name = path.partition("/")
        return below[folder].size_bytes(name) is not None

    return exists


def local_driver_text(root: Path = Path("/")) -> str | None:
    """What /proc/driver/nvidia/version says, None where there is no driver."""
    try:
        with (root / "proc" / _VERSION_FILE).open(errors="replace") as file:
            return file.read(4_096)
    except OSError:
        return None


def local_gpu_processes() -> dict[int, str] | None:
    """PIDs with their programs that NVIDIA's own program lists on this machine; None where it cannot be asked."""
    program = shutil.which(_PROGRAM)
    if program is None:
        return None
    query = [program, "--query-compute-apps=pid,process_name", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, timeout=_PROGRAM_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_gpu_processes(answer.stdout.decode(errors="replace")) if answer.returncode == 0 else None


def parse_gpu_processes(text: str) -> dict[int, str]:
    """`4321, python3` per line; other lines are passed over."""
    found: dict[int, str] = {}
    for line in text.splitlines()[:_PROCESSES]:
        pid, _, program = line.partition(",")
        if pid.strip().isascii() and pid.strip().isdigit() and len(pid) < 12:
            found[int(pid)] = printable(program.strip()[:200])
    return found


def container_processes(
    client: Any, inspected: Mapping[str, Any], on_gpu: Mapping[int, str] | None
) -> tuple[str, ...] | None:
    """A container's processes among those that a GPU lists (`on_gpu`); None where that cannot be told."""
    if not on_gpu or not (inspected.get("State") or {}).get("Running"):
        return None if on_gpu is None else ()
    with suppress(UnreadableLayer), engine_errors("it stopped while it was being read"):
        return processes_of(client.top(inspected["Id"]), on_gpu)
    return None


def processes_of(top: Mapping[str, Any], gpu_processes: Mapping[int, str]) -> tuple[str, ...]:
    """Those of a container's processes (`GET /containers/{id}/top`) that a GPU lists."""
    titles: Sequence[Any] = top.get("Titles") or []
    if "PID" not in titles:
        return ()
    column = titles.index("PID")
    rows = [row for row in top.get("Processes") or [] if isinstance(row, list) and len(row) > column]
    pids = [int(row[column]) for row in rows if str(row[column]).isascii() and str(row[column]).isdigit()]
    return tuple(f"{gpu_processes[pid]} (PID {pid})" for pid in pids if pid in gpu_processes)


def _devices(exists: Exists) -> tuple[str, ...]:
    """GPU devices. Where their first sign is missing the numbered ones are not asked for one by one."""
    names = [name for name in _SINGLE_DEVICES if exists(f"dev/{name}")]
    for signs, numbered in _NUMBERED_DEVICES:
        if any(exists(f"dev/{sign}") for sign in signs):
            names += [name for name in numbered if exists(f"dev/{name}")]
    return tuple(f"/dev/{name}" for name in names)


def _driver_version(text: str | None) -> str | None:
    if text is None:
        return None
    match = _DRIVER.search(text)
    return match[1] if match else UNKNOWN_VERSION


def _announced(devices: object) -> tuple[str, ...]:
    """GPUs among the devices that the engine found in CDI files (Engine API 1.50, `DiscoveredDevices`)."""
    ids = (
        [str(device.get("ID") or "") for device in devices if isinstance(device, dict)]
        if isinstance(devices, list)
        else []
    )
    return tuple(printable(f"CDI {name[:200]}") for name in ids if "/gpu=" in name)[:64]
