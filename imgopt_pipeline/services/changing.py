"""Single requests that change a container: each looks at what stands before, and says why it was refused.

All can be done again. They raise SwitchFailed, or HostUnreachable where the engine is gone. Does not belong here:
which of them make a switch (`recreating`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests

from imgopt_pipeline.errors import HostUnreachable
from imgopt_pipeline.hosts.docker_sdk import APIError, NotFound
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.names import printable
from imgopt_pipeline.redaction import redact_text
from imgopt_pipeline.services.models import SwitchFailed

POLL_SECONDS = 0.1
WAIT_SECONDS = 20.0
_PATIENCE_SECONDS = 1_800
_LONGEST_STOP_SECONDS = 3_600
_HINTS = {
    "port is already allocated": "Something else has taken the port; free it.",
    "address already in use": "Something else has taken the port or address; free it.",
    "is already in use by container": "Rename or remove the container that has the name.",
    "No such image": "Pull or build the image.",
    "bind source path does not exist": "Make the folder, or mount what belongs there.",
    "network": "`docker network ls` shows which networks there are.",
    "volume": "`docker volume ls` shows which volumes there are.",
}


def set_restart_policy(host: EngineHost, container: Mapping[str, Any], policy: Mapping[str, Any]) -> None:
    """Set a restart policy, unless the container has it."""
    if not has_restart_policy(container, policy):
        with switch_errors("its restart policy cannot be set", name_of(container)):
            host.client.update_container(container["Id"], restart_policy=_whole(policy))


def has_restart_policy(container: Mapping[str, Any], policy: Mapping[str, Any]) -> bool:
    """Whether an inspected container has that restart policy."""
    return _whole(container["HostConfig"].get("RestartPolicy") or {}) == _whole(policy)


def stop(host: EngineHost, container: Mapping[str, Any], seconds: int | None) -> None:
    """Stop a container that runs, by its own signal, within `seconds` or its own time."""
    if not container["State"]["Running"]:
        return
    if seconds is None:
        seconds = container["Config"].get("StopTimeout")
    if seconds is not None and seconds < 0:  # for ever, for which no answer can be waited
        seconds = _LONGEST_STOP_SECONDS
    name = name_of(container)
    with switch_errors("it cannot be stopped", name):
        host.client.stop(container["Id"], timeout=seconds)
    if existing(host, container["Id"], name)["State"]["Running"]:
        raise SwitchFailed("it runs on although it was stopped.", subject=printable(name))


def settle_stop(host: EngineHost, container: str, seconds: int | None) -> None:
    """Have a container not run, and no stop of it pending: before it is started where one may have been begun.

    The engine goes on with a stop whose client was killed or interrupted; the container says that it runs until then.
    A second stop ends with the first, or sooner within its own `seconds`. Nothing to do where there is no container.
    """
    found = inspected(host, container)
    if found is not None:
        stop(host, found, seconds)


def start(host: EngineHost, container: Mapping[str, Any]) -> None:
    """Start a container that does not run."""
    name = name_of(container)
    state = existing(host, container["Id"], name)["State"]
    if not state["Running"]:
        with switch_errors("it does not start", name), patience(host):
            host.client.start(container["Id"])


def rename(host: EngineHost, container: Mapping[str, Any], name: str) -> None:
    """Give a container a name, unless it has it."""
    if name_of(container) != name:
        with switch_errors(f"it cannot be renamed to {printable(name)}", name_of(container)):
            host.client.rename(container["Id"], name)


def remove(host: EngineHost, container_id: str, *, volumes: bool) -> None:
    """Remove a container, and wait until it is gone: another request may be removing it."""
    deadline = time.monotonic() + WAIT_SECONDS
    while (found := inspected(host, container_id)) is not None:
        with switch_errors("it cannot be removed", name_of(found)):
            try:
                host.client.remove_container(container_id, v=volumes, force=True)
            except NotFound:
                return
            except APIError as error:
                if error.status_code != requests.codes.conflict or time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)


def inspected(host: EngineHost, container: str) -> Mapping[str, Any] | None:
    """What the engine says of the container of an ID or a name; None where there is none."""
    with switch_errors("the engine does not tell what it is", container):
        try:
            return dict(host.client.inspect_container(container))
        except NotFound:
            return None


def existing(host: EngineHost, container_id: str, name: str) -> Mapping[str, Any]:
    """The same of one that must be there. Raises SwitchFailed where it is not."""
    found = inspected(host, container_id)
    if found is None:
        raise SwitchFailed(
            f"the container {container_id[:12]} is gone: somebody else has removed it.", subject=printable(name)
        )
    return found


def name_of(container: Mapping[str, Any]) -> str:
    """The name of an inspected container."""
    return str(container["Name"]).removeprefix("/")


@contextmanager
def patience(host: EngineHost) -> Iterator[None]:
    """A longer time limit: a volume may be filled from the image before the answer."""
    usual, host.client.timeout = host.client.timeout, _PATIENCE_SECONDS
    try:
        yield
    finally:
        host.client.timeout = usual


@contextmanager
def switch_errors(what: str, name: str) -> Iterator[None]:
    """Turn the engine's refusals into SwitchFailed, and a lost engine into HostUnreachable."""
    with engine_errors(what):
        try:
            yield
        except APIError as error:
            said = printable(redact_text(str(error.explanation or error).strip().rstrip("."))[:400])
            hint = next((hint for words, hint in _HINTS.items() if words in said), "")
            raise SwitchFailed(f"{what} ({said}).", subject=printable(name), hint=hint) from error


@contextmanager
def telling(host: EngineHost, *containers: str) -> Iterator[None]:
    """Add to a failure what stands where."""
    try:
        yield
    except SwitchFailed as failure:
        standing = "; ".join(_standing(host, container) for container in containers)
        raise SwitchFailed(
            failure.message, subject=failure.subject, hint=f"{failure.hint} Now {standing}.".strip()
        ) from failure


def _whole(policy: Mapping[str, Any]) -> dict[str, Any]:
    return {"Name": policy.get("Name") or "no", "MaximumRetryCount": policy.get("MaximumRetryCount") or 0}


def _standing(host: EngineHost, container: str) -> str:
    try:
        found = inspected(host, container)
    except (SwitchFailed, HostUnreachable) as error:
        return f"{printable(container)} cannot be looked at ({error.message.rstrip('.')})"
    if found is None:
        return f"there is no container {printable(container)}"
    return f"{printable(name_of(found))} ({found['Id'][:12]}) is {found['State'].get('Status')}"
