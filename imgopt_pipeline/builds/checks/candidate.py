"""All checks of one candidate, each against the image in use doing the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from imgopt_pipeline import progress
from imgopt_pipeline.builds.checks import (
    configuration,
    entry_point,
    gpu_use,
    node_modules,
    packages,
    python_modules,
    secret_files,
    shared_libraries,
    smaller,
    starting,
)
from imgopt_pipeline.builds.checks.application import usage_of
from imgopt_pipeline.builds.checks.isolation import Isolation
from imgopt_pipeline.builds.checks.side_by_side import SideBySide
from imgopt_pipeline.builds.checks.subjects import CheckContext, Subject
from imgopt_pipeline.builds.models import CheckResult
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors

CHECKS = {
    "smaller": "The candidate is smaller than the image in use.",
    "configuration": "Its configuration is that of the image in use, but for what the rules say they change.",
    "packages": "Packages that went or changed are those that the rules account for.",
    "entry-point": "Its entry point resolves.",
    "secrets": "It brings no file, variable or build step that looks like a secret.",
    "shared-libraries": "Shared libraries that were found are found.",
    "python-modules": "Python modules that could be imported can be imported.",
    "node-modules": "Node modules that could be loaded can be loaded.",
    "gpu": "What uses a GPU still does; what has none brings no CUDA.",
    "start": "It starts in isolation and stays up, as the image in use does.",
    "probe": "It answers as the image in use does.",
    "smoke": "The smoke command of the settings ends as with the image in use.",
}
"""Every check there is; an image without Python, say, has none of its modules checked."""


def check_candidate(host: EngineHost, old: Subject, new: Subject, context: CheckContext) -> list[CheckResult]:
    """Check a candidate against the image in use; nothing is left on the host.

    Raises HostUnreachable, ImageNotFound, and Refused where the engine lets no container be made.
    """
    with engine_errors("the engine does not say what it is"):
        machine_bytes = int(host.client.info().get("MemTotal") or 0)
    usage = usage_of(old, context)
    results: list[CheckResult] = []
    with Isolation(host.client) as isolation:
        pair = SideBySide(isolation)
        steps: list[tuple[str, Callable[[], CheckResult]]] = [
            ("smaller", lambda: smaller.check_smaller(old, new)),
            ("configuration", lambda: configuration.check_configuration(old, new, context)),
            ("packages", lambda: packages.check_packages(old, new, context)),
            ("entry-point", lambda: entry_point.check_entry_point(isolation, old, new, usage, context)),
            ("secrets", lambda: secret_files.check_secrets(isolation, pair, old, new, context)),
            ("shared-libraries", lambda: shared_libraries.check_shared_libraries(isolation, pair, old, new, context)),
        ]
        if _has(old, "python"):
            steps.append(
                (
                    "python-modules",
                    lambda: python_modules.check_python_modules(isolation, pair, old, new, usage, context),
                )
            )
        if _has(old, "node"):
            steps.append(
                ("node-modules", lambda: node_modules.check_node_modules(isolation, pair, old, new, usage, context))
            )
        steps.append(("gpu", lambda: gpu_use.check_gpu(isolation, pair, old, new, usage, context)))
        results = list(_timed(steps))
        progress.current().start("check start and probe")
        local = host.facts().local
        results += starting.check_application(
            isolation, pair, old, new, usage, context, machine_bytes=machine_bytes, local=local
        )
    return results


def _timed(steps: list[tuple[str, Callable[[], CheckResult]]]) -> Iterator[CheckResult]:
    for name, check in steps:
        progress.current().start(f"check {name}")
        began = time.monotonic()
        result = check()
        yield replace(result, seconds=time.monotonic() - began)


def _has(subject: Subject, ecosystem: str) -> bool:
    return any(row["ecosystem"] == ecosystem for row in subject.packages)
