"""Under which conditions a candidate was checked: where they are the same again, its checks need not be repeated."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from imgopt_pipeline import __version__
from imgopt_pipeline.builds.checks.subjects import CheckContext
from imgopt_pipeline.settings import TargetSettings

FILE_NAME = "check-conditions"
"""In the folder of a build: those of the candidate that was kept."""


def check_conditions(context: CheckContext) -> str:
    """A digest of everything besides the two images that checks depend on, but for values of variables."""
    builds = context.builds
    told: dict[str, Any] = asdict(context) | {
        "target": _without_values(context.target),
        "builds": [builds.soak_seconds, builds.start_seconds, builds.check_memory_bytes],
        "container": (context.container or {}).get("Id"),
        "version": __version__,
    }
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()


def read_conditions(folder: Path) -> str:
    """What an earlier build wrote; empty where its folder is gone."""
    try:
        return (folder / FILE_NAME).read_text()
    except OSError:
        return ""


def _without_values(target: TargetSettings) -> dict[str, Any]:
    told: dict[str, Any] = target.model_dump(mode="json")
    for given in (told, *told["doubles"].values()):
        given["environment"] = sorted(given["environment"])
    return told
