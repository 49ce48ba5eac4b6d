"""The same GETs to what runs and to the candidate in isolation, before anything is switched.

The candidate has no volumes and no network there. Where it answers otherwise, the image in use is tried in the same
isolation: what that answers otherwise too proves nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from imgopt_pipeline.builds.checks.application import memory_limit, usage_of
from imgopt_pipeline.builds.checks.isolation import Isolation, Refused
from imgopt_pipeline.builds.checks.probing import Answer, probe_of
from imgopt_pipeline.builds.checks.session import Session, run_session
from imgopt_pipeline.builds.checks.starting import judged_probe
from imgopt_pipeline.builds.checks.subjects import CheckContext, Subject
from imgopt_pipeline.errors import ImageNotFound
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.services.models import FAILED, PASSED, UNVERIFIED, GateCheck, Running, Unit
from imgopt_pipeline.services.watching.probes import Asker
from imgopt_pipeline.services.watching.states import state_of
from imgopt_pipeline.settings import ProbeSettings, Settings, TargetSettings

CHECK = "shadow"


def shadow_checks(
    host: EngineHost, unit: Unit, candidate_image_id: str, target: TargetSettings, settings: Settings
) -> tuple[GateCheck, ...]:
    """Ask for the `shadow` paths of the settings; nothing where there are none.

    Raises HostUnreachable, ImageNotFound.
    """
    if not target.shadow:
        return ()
    container = next((one for one in unit.containers if state_of(one).runs), None)
    if container is None:
        return (GateCheck(CHECK, UNVERIFIED, "not running", "", "It does not run; there is nothing to ask."),)
    try:
        return (_compared(host, container, candidate_image_id, target, settings),)
    except Refused as error:
        return (GateCheck(CHECK, UNVERIFIED, "", "", error.message),)


def _compared(
    host: EngineHost, container: Running, candidate_image_id: str, target: TargetSettings, settings: Settings
) -> GateCheck:
    ports = Asker(host, container).ports()
    port = next((probe.port for probe in target.probes if probe.port is not None), next(iter(ports), None))
    if port is None:
        return GateCheck(CHECK, UNVERIFIED, "no open port", "", "It opens no port that could be asked.")
    probes = tuple(ProbeSettings(path=path, port=port) for path in target.shadow)
    asked = target.model_copy(update={"probes": probes, "smoke": None, "soak_seconds": 0.0})
    context = CheckContext(
        reference=container.reference, target=asked, builds=settings.builds, container=container.inspected
    )
    old, new = _subject(host, container.image_id), _subject(host, candidate_image_id)
    with engine_errors("the engine does not say what it is"):
        machine_bytes = int(host.client.info().get("MemTotal") or 0)
    usage = usage_of(old, context)
    with Isolation(host.client) as isolation:

        def isolated(subject: Subject) -> Session:
            memory_bytes = memory_limit(usage, context, machine_bytes)
            return run_session(
                isolation, subject, usage, context, memory_bytes=memory_bytes, dropped=False, local=host.facts().local
            )

        running = _running_session(host, isolation, container, probes)
        candidate = isolated(new)
        result = judged_probe(running, candidate, context)
        if result.outcome == FAILED:
            same = judged_probe(isolated(old), candidate, context)
            if same.outcome != FAILED:
                detail = f"In isolation the image in use answers otherwise too: {result.detail}"
                return GateCheck(CHECK, UNVERIFIED, result.old, result.new, detail)
    detail = "" if result.outcome == PASSED else result.detail
    return GateCheck(CHECK, result.outcome, result.old, result.new, detail)


def _running_session(
    host: EngineHost, isolation: Isolation, container: Running, probes: Sequence[ProbeSettings]
) -> Session:
    """What runs, as if it had been run to be checked."""
    state = container.inspected.get("State") or {}
    probe = probe_of(isolation, container.container_id, state, local=host.facts().local)
    answers: list[Answer] = []
    for asked in probes:
        first, second = (probe.ask(asked.port or 0, asked.path) for _ in range(2))
        same = (first.status, first.content_type) == (second.status, second.content_type)
        answers.append(replace(first, steady=same))
        time.sleep(probe.poll_seconds)
    return Session(ready_seconds=0.0, answers=tuple(answers))


def _subject(host: EngineHost, image_id: str) -> Subject:
    with engine_errors("an image is gone", missing=ImageNotFound):
        inspected = host.client.inspect_image(image_id)
    return Subject(image_id, inspected.get("Config") or {}, (), int(inspected.get("Size") or 0))
