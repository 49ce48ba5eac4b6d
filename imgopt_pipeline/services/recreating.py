"""Putting a new container in the place of a single one, and back: in steps that can each be done again.

The old container is kept beside, stopped, with its writable layer and a name that tells the action: it is the way
back. Every step looks at what stands before it changes it, so that it goes on from wherever a crash left it. Does not
belong here: what the new container is made of (`creation`), and when to go back.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import requests

from imgopt_pipeline.hosts.docker_sdk import APIError
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.interrupts import interrupts_deferred
from imgopt_pipeline.names import printable
from imgopt_pipeline.planning.candidates import SET_ASIDE
from imgopt_pipeline.services.changing import (
    POLL_SECONDS,
    WAIT_SECONDS,
    existing,
    has_restart_policy,
    inspected,
    name_of,
    patience,
    remove,
    rename,
    set_restart_policy,
    settle_stop,
    start,
    stop,
    switch_errors,
    telling,
)
from imgopt_pipeline.services.creation import Creation
from imgopt_pipeline.services.models import Refused

_DEFAULT_NETWORK = "bridge"
_NEVER: Mapping[str, Any] = {"Name": "no", "MaximumRetryCount": 0}
_ALL_NETWORKS_AT_ONCE = (1, 44)


def aside_name(name: str, action_id: str) -> str:
    """What the old container of that name is called while it is kept."""
    return f"{name}{SET_ASIDE}{action_id}-old"


def beside_name(name: str, action_id: str) -> str:
    """What the new container of that name is called until it takes the place."""
    return f"{name}{SET_ASIDE}{action_id}-new"


def create_beside(host: EngineHost, creation: Creation, name: str) -> str:
    """Make the new container under a name of its own and do not start it; its ID. One that is there is taken.

    Raises SwitchFailed where the engine refuses: no such image, network or volume.
    """
    with telling(host, name):
        if _DEFAULT_NETWORK in creation.endpoints and not _has_default_network(host, name):
            creation = creation.without_network(_DEFAULT_NETWORK)
        for network in creation.endpoints:
            # The engine itself would say so only at the start, when the old one has been stopped.
            with switch_errors(f"there is no network {printable(network)} to join", name):
                host.client.inspect_network(network)
        container = inspected(host, name) or _created(host, creation, name)
        there = container["NetworkSettings"]["Networks"] or {}
        for network in creation.endpoints.keys() - there.keys():
            with switch_errors(f"the new container cannot join the network {printable(network)}", name):
                _connect(host, container["Id"], network, creation.endpoints[network])
        return str(container["Id"])


def take_over(
    host: EngineHost,
    old_id: str,
    new_id: str,
    *,
    name: str,
    aside: str,
    was_running: bool,
    stop_seconds: int | None = None,
) -> None:
    """Stop the old container, put it aside, give the new one its name, and start that if the old one ran.

    The engine does not start the old one again by itself. It is stopped by its own signal, within `stop_seconds` or
    its own time. Raises SwitchFailed, with what stands where, and leaves it so: `put_back` goes back from there.
    """
    with telling(host, old_id, new_id):
        old, new = existing(host, old_id, name), existing(host, new_id, name)
        set_restart_policy(host, old, _NEVER)
        stop(host, old, stop_seconds)
        rename(host, old, aside)
        _take_name(host, new, name, run=was_running)


def finish_taking_over(host: EngineHost, new_id: str, *, name: str, start: bool) -> None:
    """Give the new container the name, and start it if so asked, where the old one is gone or aside already."""
    with telling(host, new_id):
        _take_name(host, existing(host, new_id, name), name, run=start)


def put_back(
    host: EngineHost,
    *,
    old_id: str,
    new_id: str | None,
    name: str,
    beside: str,
    restart_policy: Mapping[str, Any],
    was_running: bool,
    stop_seconds: int | None = None,
    stop_begun: bool = True,
) -> None:
    """Remove the new container and have the old one as it was, from any state between.

    `new_id` is None where it is not known whether the new one was made: then it is looked for by its name `beside`.
    `stop_begun`: whether a stop of the old one may have been begun; one that still runs is then stopped to the end
    first, unless its restart policy shows that it was left alone. Volumes that only the new one had go with it.
    Raises SwitchFailed, with what stands where; nothing is removed where the old container is gone.
    """
    with telling(host, old_id, new_id or beside):
        old = existing(host, old_id, name)
        # Whoever stops it takes its restart policy from it before.
        if stop_begun and has_restart_policy(old, _NEVER):
            settle_stop(host, old_id, stop_seconds)
        new = inspected(host, new_id or beside)
        if new is not None:
            stop(host, new, stop_seconds)
            remove(host, new["Id"], volumes=True)
        rename(host, old, name)
        set_restart_policy(host, old, restart_policy)
        if was_running:
            start(host, old)


def remove_aside(host: EngineHost, container_id: str) -> bool:
    """Remove a container that was put aside; whether there was one. Its volumes stay: the new one has them.

    Raises Refused where it runs or has a name of its own again.
    """
    found = inspected(host, container_id)
    if found is None:
        return False
    name = name_of(found)
    if SET_ASIDE not in name or found["State"]["Running"]:
        raise Refused(
            "it is in use again and is not removed.",
            subject=printable(name),
            hint="`docker rm` removes it if it is not wanted.",
        )
    remove(host, found["Id"], volumes=False)
    return True


def _take_name(host: EngineHost, new: Mapping[str, Any], name: str, *, run: bool) -> None:
    rename(host, new, name)
    if run:
        start(host, new)


def _has_default_network(host: EngineHost, name: str) -> bool:
    """Whether there is the network that containers say they are in even where an engine is run without it."""
    with switch_errors("the engine does not list its networks", name):
        return any(found["Name"] == _DEFAULT_NETWORK for found in host.client.networks())


def _created(host: EngineHost, creation: Creation, name: str) -> Mapping[str, Any]:
    body, endpoints = dict(creation.body), creation.endpoints
    if _api_version(host) < _ALL_NETWORKS_AT_ONCE:
        first = {network: endpoints[network] for network in endpoints if network == creation.first_network}
        body["NetworkingConfig"] = {"EndpointsConfig": first}  # the others are joined afterwards
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        # An interrupt would leave it open whether there is one now.
        with interrupts_deferred(), switch_errors("the engine does not create the new container", name):
            try:
                # The whole body at once: the SDK's usual call knows only some of the fields.
                with patience(host):
                    host.client.create_container_from_config(body, name)
            except APIError as error:
                # The name may be that of one that a request cut off by a crash is still making.
                if error.status_code != requests.codes.conflict or time.monotonic() > deadline:
                    raise
        if (found := inspected(host, name)) is not None:
            return found
        time.sleep(POLL_SECONDS)


def _connect(host: EngineHost, container_id: str, network: str, endpoint: Mapping[str, Any]) -> None:
    addresses = endpoint.get("IPAMConfig") or {}
    host.client.connect_container_to_network(
        container_id,
        network,
        ipv4_address=addresses.get("IPv4Address"),
        ipv6_address=addresses.get("IPv6Address"),
        link_local_ips=addresses.get("LinkLocalIPs"),
        aliases=endpoint.get("Aliases"),
        links=[tuple(link.split(":", 1)) for link in endpoint.get("Links") or []],
        driver_opt=endpoint.get("DriverOpts"),
        mac_address=endpoint.get("MacAddress"),
    )


def _api_version(host: EngineHost) -> tuple[int, ...]:
    return tuple(int(part) for part in str(host.client.api_version).split("."))
