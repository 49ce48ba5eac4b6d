"""Everything on a host that can go, and what stays, by what a person chose."""

from __future__ import annotations

from imgopt_pipeline.cleaning.build_cache import find_build_cache
from imgopt_pipeline.cleaning.containers import find_containers, named_container
from imgopt_pipeline.cleaning.directories import audited_directories, find_directories, named_directories
from imgopt_pipeline.cleaning.images import find_images
from imgopt_pipeline.cleaning.in_use import Users
from imgopt_pipeline.cleaning.models import (
    BUILD_CACHE,
    CONTAINER,
    DIRECTORY,
    IMAGE,
    KINDS,
    Found,
    Item,
    Plan,
    Selection,
)
from imgopt_pipeline.cleaning.standing import Standing, standing
from imgopt_pipeline.cleaning.volumes import named_volume, unused_volumes
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.host_gpus import runs_here
from imgopt_pipeline.hosts.opening import AnyHost
from imgopt_pipeline.services.models import Refused
from imgopt_pipeline.settings import Settings


def plan_cleaning(settings: Settings, host: AnyHost, selection: Selection) -> Plan:
    """Look at a host; nothing is changed.

    Raises SubjectNotFound and Refused for what was named and is not there or must stay, HostUnreachable.
    """
    engine = engine_of(host)
    seen = standing(engine)
    found = _containers(engine, seen, selection)
    if selection.wants(IMAGE):
        leaving = {item.key for item in found.items}
        found += find_images(engine, seen, leaving=leaving, older_than_days=selection.older_than_days)
    if selection.wants(BUILD_CACHE):
        found += find_build_cache(
            engine,
            seen,
            older_than_days=selection.older_than_days,
            kept_bytes=settings.builds.cache_bytes,
        )
    found += Found(tuple(named_volume(engine, seen, name) for name in dict.fromkeys(selection.volumes)))
    if selection.everything:
        found += unused_volumes(engine, seen)
    found += _directories(settings, engine, seen, selection)
    return Plan(host.name, _in_order(found), selection.older_than_days, settings.builds.cache_bytes)


def users_of(host: EngineHost, seen: Standing) -> Users | None:
    """Who uses the directories of a host; None where it is another machine."""
    facts = host.facts()
    return Users(seen) if runs_here(facts.local, facts.root_dir) else None


def engine_of(host: AnyHost) -> EngineHost:
    """The host as an engine. Raises Refused for folders of archives and the demo fleet."""
    if not isinstance(host, EngineHost):
        raise Refused(
            "it holds image archives; there is nothing to clean.", subject=host.name, hint="Name an engine with --host."
        )
    return host


def _containers(host: EngineHost, seen: Standing, selection: Selection) -> Found:
    named = tuple(named_container(host, seen, name) for name in selection.containers)
    if not selection.wants(CONTAINER):
        return Found(tuple(dict.fromkeys(named)))
    found = find_containers(host, seen, older_than_days=selection.older_than_days)
    keys = {item.key for item in named}
    return Found(
        (*dict.fromkeys(named), *(item for item in found.items if item.key not in keys)),
        tuple(left for left in found.left if left.key not in keys),
    )


def _directories(settings: Settings, host: EngineHost, seen: Standing, selection: Selection) -> Found:
    if not selection.directories and not selection.wants(DIRECTORY):
        return Found()
    found = find_directories(audited_directories(settings, host.name), users_of(host, seen))
    if selection.wants(DIRECTORY):
        return found
    items: dict[str, Item] = {}
    for name in selection.directories:
        items |= {item.key: item for item in named_directories(found, name)}
    return Found(tuple(items.values()))


def _in_order(found: Found) -> Found:
    return Found(
        tuple(sorted(found.items, key=lambda item: KINDS.index(item.kind))),
        tuple(sorted(found.left, key=lambda left: KINDS.index(left.kind))),
    )
