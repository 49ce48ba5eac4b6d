"""Figures: one image on an engine with the containerd store, through the API alone and as root on its machine."""

from __future__ import annotations

from pathlib import Path

from benchmarks.classic_store import PEAK_MEGABYTES, readers
from benchmarks.ground import IMAGE, Ground
from benchmarks.measuring import Command, side_by_side
from benchmarks.report import Figure

TIMES_FASTER = 5
ROOT_SECONDS = 2
_HIDE = 'for folder in $HIDDEN; do mount -t tmpfs none "$folder"; done; exec "$@"'


def measure(ground: Ground) -> list[Figure]:
    """`docker save` is what everybody else reads this store by."""
    engine = ground.containerd
    direct = ground.imgopt("inspect", "--layers-only", "--no-cache", "--json", IMAGE, engine=engine)
    save = Command(["docker", "save", IMAGE], engine.environment, keep_output=False)
    found = side_by_side(ground.runs, {"root": direct, "api": without_files(direct, engine.root), "save": save})
    root, api, saved = found["root"], found["api"], found["save"]
    ratio = saved.seconds / api.seconds
    return [
        Figure(
            f"`imgopt inspect --layers-only {IMAGE}`, containerd store, through the API alone",
            f"≥ {TIMES_FASTER} × faster than `docker save` there; peak < {PEAK_MEGABYTES} MB",
            f"{ratio:.1f} × ({api.seconds:.1f} s against {saved.seconds:.1f} s); {api.peak_megabytes:.0f} MB",
            ratio >= TIMES_FASTER and api.peak_megabytes < PEAK_MEGABYTES,
            f"the engine's data folder hidden from imgopt by a mount of its own ({readers(api)}).",
        ),
        Figure(
            f"`imgopt inspect --layers-only {IMAGE}`, containerd store, as root on the host",
            f"< {ROOT_SECONDS} s",
            f"{root.seconds:.2f} s; {root.peak_megabytes:.0f} MB",
            root.seconds < ROOT_SECONDS,
            f"the same command with the folder in sight ({readers(root)}).",
        ),
    ]


def without_files(command: Command, root: Path) -> Command:
    """The command as it runs where the engine's files are out of reach, though this is its machine."""
    folders = [folder for folder in (root, Path("/var/lib/containerd")) if folder.is_dir()]
    hidden = {"HIDDEN": " ".join(map(str, folders))}
    words = ["unshare", "--mount", "sh", "-euc", _HIDE, "sh", *command.words]
    return Command(words, {**command.environment, **hidden}, command.keep_output)
