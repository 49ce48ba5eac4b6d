"""What makes the same container on another image, from the inspection of the one that runs.

Pure: an inspection in, the body of the API's `POST /containers/create` out. Whatever the API knows or will know is
handed on as it is; only what must differ is named here. Does not belong here: asking an engine (`recreating`).

The engine mixes the image's configuration into that of a container when it makes it (`merge` in its daemon/commit.go)
and does not say what came from where. What equals the old image's is taken for the image's and left to the new one.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from imgopt_pipeline.names import printable
from imgopt_pipeline.services.models import Refused

_FROM_IMAGE = ("User", "WorkingDir", "StopSignal", "ArgsEscaped")
_TABLES_FROM_IMAGE = ("ExposedPorts", "Labels", "Volumes")
_MERGED = frozenset({*_FROM_IMAGE, *_TABLES_FROM_IMAGE, "Env", "Cmd", "Entrypoint", "Healthcheck"})
_ADDRESSES = ("IPAddress", "IPPrefixLen", "GlobalIPv6Address", "GlobalIPv6PrefixLen", "Gateway", "IPv6Gateway")
_STATE_OF_ENDPOINT = frozenset({"NetworkID", "EndpointID", "DNSNames", *_ADDRESSES})
_PROPAGATIONS = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
_CONSISTENCIES = frozenset({"consistent", "cached", "delegated"})
_SHORT_ID = 12


@dataclass(frozen=True, slots=True)
class Creation:
    """The body of a request that creates a container. It holds values of environment variables: for memory only."""

    body: Mapping[str, Any] = field(repr=False)

    @property
    def restart_policy(self) -> Mapping[str, Any]:
        """Name and MaximumRetryCount; nothing in it is secret."""
        return self.body["HostConfig"].get("RestartPolicy") or {}

    @property
    def first_network(self) -> str:
        """The name of the network that it is made in."""
        mode = str(self.body["HostConfig"].get("NetworkMode") or "")
        return "bridge" if mode in ("", "default") else mode

    @property
    def endpoints(self) -> Mapping[str, Mapping[str, Any]]:
        """The networks that it is in, by name, with what was asked for there."""
        return self.body["NetworkingConfig"]["EndpointsConfig"]  # type: ignore[no-any-return]

    def without_network(self, network: str) -> Creation:
        """The same without anything asked for in a network."""
        endpoints = {name: endpoint for name, endpoint in self.endpoints.items() if name != network}
        return Creation({**self.body, "NetworkingConfig": {"EndpointsConfig": endpoints}})


def creation_of(
    inspected: Mapping[str, Any],
    old_image_config: Mapping[str, Any],
    *,
    image: str,
    mounts: Mapping[str, str] | None = None,
    joined: Mapping[str, str] | None = None,
) -> Creation:
    """What makes an inspected container again on `image`, a reference or ID.

    `old_image_config`: the `Config` of the image that it runs on; empty where that image is gone, then all that the
    container has is kept. `mounts`: new folders of the host, by the place where the container sees them. `joined`: the
    IDs of containers that it shares a namespace or volumes with, old to new. Raises Refused where it removes itself
    when it stops, so that there would be no way back.
    """
    host: dict[str, Any] = dict(inspected["HostConfig"])
    if host.get("AutoRemove"):
        raise Refused(
            "it removes itself when it is stopped (--rm), so that it could not be put back.",
            subject=printable(str(inspected["Name"]).removeprefix("/")),
            hint="Stop it and run it again on the new image, or make it without --rm.",
        )
    joined = joined or {}
    networks: Mapping[str, Any] = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    host |= _mounted(inspected, mounts or {})
    for key in ("NetworkMode", "IpcMode", "PidMode", "Cgroup"):
        if str(host.get(key) or "").startswith("container:"):
            host[key] = f"container:{_successor(host[key].partition(':')[2], joined)}"
    host["NetworkMode"] = _network_mode(str(host.get("NetworkMode") or ""), networks)
    if host.get("VolumesFrom"):
        host["VolumesFrom"] = [_volumes_from(source, joined) for source in host["VolumesFrom"]]
    if host.get("Links"):
        host["Links"] = [_link(link) for link in host["Links"]]
    endpoints = {
        name: _endpoint(endpoint, inspected["Id"])
        for name, endpoint in networks.items()
        if name not in ("host", "none")  # there is nothing to ask for
    }
    config = _config(inspected, old_image_config)
    return Creation(
        config | {"Image": image, "HostConfig": host, "NetworkingConfig": {"EndpointsConfig": endpoints}},
    )


def _config(inspected: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    given: Mapping[str, Any] = inspected["Config"]
    host: Mapping[str, Any] = inspected["HostConfig"]
    config = {name: value for name, value in given.items() if name not in _MERGED}
    others_network = str(host.get("NetworkMode") or "").startswith("container:")
    # The engine fills in a host name, and refuses one that is given together with somebody else's.
    if given.get("Hostname") == inspected["Id"][:_SHORT_ID] or others_network or host.get("UTSMode") == "host":
        config.pop("Hostname", None)
    if others_network:
        config.pop("Domainname", None)
    kept: dict[str, Any] = {name: given.get(name) for name in _FROM_IMAGE if given.get(name) != old.get(name)}
    for name in _TABLES_FROM_IMAGE:
        kept[name] = _other_entries(given.get(name) or {}, old.get(name) or {})
    # A port is published only if it is exposed too, which the new image may not do.
    published = {port for port in host.get("PortBindings") or {} if port in (given.get("ExposedPorts") or {})}
    kept["ExposedPorts"] = {} if others_network else kept["ExposedPorts"] | {port: {} for port in published}
    of_image = frozenset(old.get("Env") or [])
    kept["Env"] = [entry for entry in given.get("Env") or [] if entry not in of_image]
    kept["Healthcheck"] = _other_entries(given.get("Healthcheck") or {}, old.get("Healthcheck") or {})
    return config | {name: value for name, value in kept.items() if value} | _command(given, old)


def _command(given: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """Entrypoint and Cmd as the user gave them. Whoever gives an entrypoint gets none of the image's Cmd."""
    entrypoint, command = given.get("Entrypoint") or [], given.get("Cmd") or []
    same_entrypoint, same_command = entrypoint == (old.get("Entrypoint") or []), command == (old.get("Cmd") or [])
    if same_entrypoint and same_command:
        return {}
    if same_entrypoint and command:
        return {"Cmd": command}
    # An entrypoint of one empty word is what the engine takes for none at all.
    return {"Entrypoint": entrypoint or [""], "Cmd": command}


def _other_entries(given: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in old or old[name] != value}


def _mounted(inspected: Mapping[str, Any], moved: Mapping[str, str]) -> dict[str, Any]:
    """Binds and Mounts: as they were, anonymous volumes by their names, and what was moved from its new place."""
    host = inspected["HostConfig"]
    volumes = {mount["Destination"]: mount for mount in inspected.get("Mounts") or [] if mount.get("Type") == "volume"}
    places = {posixpath.normpath(place): folder for place, folder in moved.items()}
    binds: list[str] = []
    mounts: list[Mapping[str, Any]] = []
    explicit = set()
    for bind in host.get("Binds") or []:
        _, _, rest = bind.partition(":")
        if not rest:
            continue  # an anonymous volume, which comes below
        place, _, modes = rest.partition(":")
        explicit.add(place := posixpath.normpath(place))
        if place in places:
            mounts.append(_bind_mount(places.pop(place), place, modes.split(",")))
        else:
            binds.append(bind)
    for mount in host.get("Mounts") or []:
        explicit.add(place := posixpath.normpath(mount["Target"]))
        if place in places:
            mounts.append(_repointed(mount, places.pop(place)))
        elif mount.get("Type") == "volume" and not mount.get("Source") and place in volumes:
            options = {**(mount.get("VolumeOptions") or {}), "NoCopy": True}
            mounts.append({**mount, "Source": volumes[place]["Name"], "VolumeOptions": options})
        else:
            mounts.append(mount)
    # Those of other containers come with them; where they lie over one of its own, its own name is as good.
    own = (inspected["Config"].get("Volumes") or {}) if host.get("VolumesFrom") else volumes
    declared = {posixpath.normpath(place) for place in own}
    for place, volume in volumes.items():
        if place in declared - explicit - places.keys():
            mounts.append(_volume_mount(volume))
    mounts += [_bind_mount(folder, place, []) for place, folder in places.items()]
    return {"Binds": binds or None, "Mounts": mounts}


def _volume_mount(volume: Mapping[str, Any]) -> dict[str, Any]:
    # Without a copy: a volume that was left empty shall not be filled from the new image.
    spec = {"Type": "volume", "Source": volume["Name"], "Target": volume["Destination"]}
    return spec | {"VolumeOptions": {"NoCopy": True}} | ({} if volume.get("RW", True) else {"ReadOnly": True})


def _bind_mount(folder: str, place: str, modes: Iterable[str]) -> dict[str, Any]:
    """A folder of the host. By Mounts, for a bind of Binds would make a folder that is missing.

    The relabelling of SELinux (z, Z) has no counterpart there: another file system has its label from its mount.
    """
    spec: dict[str, Any] = {"Type": "bind", "Source": folder, "Target": place}
    for mode in modes:
        if mode == "ro":
            spec["ReadOnly"] = True
        elif mode in _PROPAGATIONS:
            spec["BindOptions"] = {"Propagation": mode}
        elif mode in _CONSISTENCIES:
            spec["Consistency"] = mode
    return spec


def _repointed(mount: Mapping[str, Any], folder: str) -> dict[str, Any]:
    options = mount.get("BindOptions") if mount.get("Type") == "bind" else None
    kept = {name: value for name, value in (options or {}).items() if name != "CreateMountpoint"}
    spec = {name: value for name, value in mount.items() if name in ("Target", "ReadOnly", "Consistency")}
    return {"Type": "bind", "Source": folder} | spec | ({"BindOptions": kept} if kept else {})


def _network_mode(mode: str, networks: Mapping[str, Any]) -> str:
    """The mode, or a network that the container is in where it has been taken out of the one it was made in."""
    if mode in ("host", "none") or mode.startswith("container:"):
        return mode
    name = "bridge" if mode in ("", "default") else mode
    if name in networks or (name == "bridge" and not networks):
        return mode
    by_id = (known for known, endpoint in networks.items() if str(endpoint.get("NetworkID") or "").startswith(name))
    return next(by_id, next(iter(networks), "none"))


def _endpoint(endpoint: Mapping[str, Any], container_id: str) -> dict[str, Any]:
    kept = {name: value for name, value in endpoint.items() if name not in _STATE_OF_ENDPOINT}
    aliases = endpoint.get("Aliases")
    if aliases:  # engines before API 1.45 add the short ID
        kept["Aliases"] = [alias for alias in aliases if alias != container_id[:_SHORT_ID]]
    if not endpoint.get("MacAddress") or _made_from_address(endpoint):
        kept.pop("MacAddress", None)
    return kept


def _made_from_address(endpoint: Mapping[str, Any]) -> bool:
    """Whether the engine made the hardware address from the IP address: kept, it would meet another's some day."""
    numbers = str(endpoint.get("IPAddress") or "").split(".")
    made = ":".join(["02", "42", *(f"{int(number):02x}" for number in numbers if number.isdigit())])
    return str(endpoint["MacAddress"]).lower() == made


def _volumes_from(source: str, joined: Mapping[str, str]) -> str:
    name, separator, mode = source.partition(":")
    return f"{_successor(name, joined)}{separator}{mode}"


def _successor(name: str, joined: Mapping[str, str]) -> str:
    """The container to join instead: its ID may be written short."""
    if name in joined:
        return joined[name]
    found = (new for old, new in joined.items() if len(name) >= _SHORT_ID and old.startswith(name))
    return next(found, name)


def _link(link: str) -> str:
    """`/db:/web/database`, as the engine tells a link, as `db:database`, as it was given."""
    target, _, alias = link.partition(":")
    return f"{target.removeprefix('/')}:{posixpath.basename(alias)}"
