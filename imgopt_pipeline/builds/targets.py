"""The steps of an optimization by the names that a person uses: a host, and an image on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from imgopt_pipeline.builds.flat_builds import flatten_rows
from imgopt_pipeline.builds.optimizing import optimize
from imgopt_pipeline.builds.past import load_past
from imgopt_pipeline.builds.preparing import Options, Preparation, engine_of, look_up, prepare
from imgopt_pipeline.builds.rows import Rows, build_rows
from imgopt_pipeline.errors import SettingsError
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.opening import open_host
from imgopt_pipeline.planning.commands import PROGRAM
from imgopt_pipeline.settings import Settings

SEPARATOR = "|"


def target_key(host_name: str, reference: str) -> str:
    """The name of a target: `web-1|shop-web:latest`."""
    return f"{host_name}{SEPARATOR}{reference}"


def split_target(key: str) -> tuple[str, str]:
    """The host and the reference of a target. Raises SettingsError."""
    host_name, separator, reference = key.partition(SEPARATOR)
    if not separator or not host_name or not reference:
        raise SettingsError(f"{key!r} names no target.", hint="A target is written `host|image`.")
    return host_name, reference


def planned_targets(settings: Settings, host_name: str, plan: Sequence[Mapping[str, Any]]) -> list[str]:
    """The targets that a plan (rows of optimization_plan) would optimize on an engine; none elsewhere."""
    host = settings.hosts.get(host_name)
    if host is None or host.engine is None:
        return []
    wanted = (row for row in plan if row["decision"] == "optimize" and row["subject_kind"] == "image")
    return [target_key(host_name, row["subject"]) for row in wanted if row["command"].startswith(PROGRAM)]


@contextmanager
def prepared_target(
    settings: Settings, host_name: str, reference: str, options: Options
) -> Iterator[tuple[EngineHost, Preparation]]:
    """What an optimization of an image would start from. Raises as `preparing.prepare` does."""
    with open_host(settings, host_name) as opened:
        host = engine_of(opened)
        in_use = look_up(host, reference)
        past = load_past(settings.paths.database, host_name, in_use.image.image_id)
        yield host, prepare(settings, host, in_use, options, past)


def optimize_target(settings: Settings, key: str, options: Options, build_id: str) -> Rows:
    """Build, check and keep an optimized image; rows of the tables about builds."""
    host_name, reference = split_target(key)
    with prepared_target(settings, host_name, reference, options) as (host, prepared):
        return build_rows(host_name, optimize(settings, host, prepared, build_id))


def flatten_target(settings: Settings, key: str, patterns: Sequence[str], build_id: str) -> Rows:
    """The same for an image whose Dockerfile is not at hand."""
    host_name, reference = split_target(key)
    with open_host(settings, host_name) as opened:
        host = engine_of(opened)
        return flatten_rows(settings, host, look_up(host, reference), patterns, build_id)
