"""One attempt: the Dockerfile rewritten by some rules, built, and checked against the image in use."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from imgopt_pipeline import progress
from imgopt_pipeline.builds.builder.building import BuildFailed, build
from imgopt_pipeline.builds.builder.labels import candidate_labels, inherited_labels
from imgopt_pipeline.builds.checks.candidate import check_candidate
from imgopt_pipeline.builds.checks.conditions import check_conditions
from imgopt_pipeline.builds.checks.subjects import CheckContext, Subject
from imgopt_pipeline.builds.image_facts import claim_groups, reachable_claims, stored_bytes
from imgopt_pipeline.builds.models import FAILED, BuildRequest, Built, CheckResult
from imgopt_pipeline.builds.preparing import Preparation
from imgopt_pipeline.builds.sources.history_match import compare_history
from imgopt_pipeline.builds.sources.history_steps import history_steps
from imgopt_pipeline.dockerfiles.parsing import parse
from imgopt_pipeline.dockerfiles.rewriting import Rewrite
from imgopt_pipeline.errors import ImageNotFound
from imgopt_pipeline.examining import Examination, examine_image
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.hosts.models import Image
from imgopt_pipeline.planning.facts import ClaimGroup
from imgopt_pipeline.redaction import redact_text
from imgopt_pipeline.settings import Settings

_OTHER_BASE = ("R8", "R16", "R18")


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one build ended. `detail` says what failed; `suspects` are rules that this points at.

    `packages`: packages of the distribution whose absence explains the failure. `claims`: what the candidate still
    holds that could be removed. `conditions`: those of the checks, see `check_conditions`.
    """

    number: int
    rewritten: Rewrite
    tag: str
    log_file: Path
    image_id: str | None = None
    size_bytes: int | None = None
    checks: tuple[CheckResult, ...] = ()
    conditions: str = ""
    detail: str = ""
    suspects: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    build_seconds: float = 0.0
    check_seconds: float = 0.0
    claims: tuple[ClaimGroup, ...] = field(default=(), repr=False)

    @property
    def failed_checks(self) -> tuple[str, ...]:
        """Names of the checks that failed."""
        return tuple(check.check for check in self.checks if check.outcome == FAILED)

    @property
    def passed(self) -> bool:
        """Whether it was built and no check failed."""
        return self.image_id is not None and not self.failed_checks

    @property
    def outcome(self) -> str:
        """As the table `build_attempts` has it."""
        return "passed" if self.passed else "build failed" if self.image_id is None else "check failed"


def try_rewrite(
    settings: Settings,
    host: EngineHost,
    prepared: Preparation,
    rewritten: Rewrite,
    *,
    number: int,
    tag: str,
    folder: Path,
    old: Subject,
) -> Attempt:
    """Build a rewritten Dockerfile and check what comes of it.

    Raises HostUnreachable, ContextUnreadable, LimitExceeded; a build or a check that fails is an attempt that failed.
    """
    log_file = folder / f"build-{number}.log"
    (folder / f"Dockerfile.{number}").write_text(redact_text(rewritten.text))
    started = Attempt(number, rewritten, tag, log_file)
    request = _request(settings, prepared, rewritten, tag, log_file)
    progress.current().start(f"building {prepared.image.name} (build {number})")
    try:
        built = build(host, request, builder=prepared.builder)
    except BuildFailed as error:
        return replace(started, detail=error.message, suspects=_blamed(error, rewritten))
    return _checked(settings, host, prepared, started, built, old)


def subject_of(host: EngineHost, image_id: str, examination: Examination) -> Subject:
    """An examined image as the checks want it."""
    with engine_errors("the engine does not describe it", missing=ImageNotFound):
        inspected = host.client.inspect_image(image_id)
    return Subject(
        image_id, dict(inspected.get("Config") or {}), examination.contents.packages, stored_bytes(examination)
    )


def check_context(settings: Settings, host: EngineHost, prepared: Preparation, rewritten: Rewrite) -> CheckContext:
    """What the checks of a candidate may count on."""
    container = next(iter(prepared.in_use.containers), None)
    inspected = None
    if container is not None:
        with engine_errors("the container is gone", missing=ImageNotFound):
            inspected = host.client.inspect_container(container.container_id)
    gpus = host.gpus()
    return CheckContext(
        reference=prepared.image.name,
        rules=rewritten.techniques,
        target=prepared.target,
        builds=settings.builds,
        container=inspected,
        gpu_verdict=prepared.facts.gpu_verdict,
        host_gpu=bool(gpus.devices),
        cpu_replacements={old: new for old, new in rewritten.replaces.items() if new},
        removed_packages=tuple(old for old, new in rewritten.replaces.items() if not new),
        explained_config=rewritten.explains,
    )


def _request(settings: Settings, prepared: Preparation, rewritten: Rewrite, tag: str, log_file: Path) -> BuildRequest:
    source, builds = prepared.source, settings.builds
    secrets = {name: str(file) for name, file in builds.secrets.items()} | dict(source.secrets)
    return BuildRequest(
        dockerfile_text=rewritten.text,
        context=source.context,
        tag=tag,
        log_file=log_file,
        ignore_text=ignore_text(prepared, rewritten.ignore_lines),
        arguments=source.arguments,
        stage=source.stage,
        platform=source.platform,
        network=source.network if builds.network == "default" else builds.network,
        contexts={**source.contexts, **rewritten.contexts},
        secrets=secrets,
        labels={
            **inherited_labels(prepared.in_use.config.get("Labels") or {}),
            **candidate_labels(
                prepared.image.image_id, rewritten.techniques, base_reference=_base(rewritten, source.stage)
            ),
        },
        time_limit_seconds=builds.time_limit_seconds,
        memory_bytes=builds.memory_bytes,
    )


def ignore_text(prepared: Preparation, lines: Sequence[str] = ()) -> str | None:
    """The .dockerignore of the build, with lines added; None where the context has none and needs none."""
    own = prepared.context.ignored
    if own is None and not lines:
        return None
    # Before the author's own: the last line that matches a path decides, and theirs has the last word.
    return "\n".join([*lines, *(own or ())]) + "\n"


def _base_position(
    host: EngineHost, image: Image, rewritten: Rewrite, prepared: Preparation, new: Subject
) -> int | None:
    """The highest layer of a candidate that its Dockerfile did not make; None where its history does not tell."""
    document = parse(rewritten.text)
    stage = document.stage_named(prepared.source.stage) or document.stages[-1]
    with engine_errors("the engine does not tell its history", missing=ImageNotFound):
        history = host.client.history(image.image_id) or []
    steps = history_steps(history, len(image.layers))
    layers = compare_history(document, stage, steps, new.config, arguments=prepared.source.arguments).layers
    return min(layers.values()) - 1 if layers else None


def _base(rewritten: Rewrite, stage_name: str | None) -> str | None:
    """The image that the final stage stands on."""
    document = parse(rewritten.text)
    stage = document.stage_named(stage_name) or document.stages[-1]
    return (document.ancestors(stage) or (stage,))[-1].base


def _checked(
    settings: Settings, host: EngineHost, prepared: Preparation, started: Attempt, built: Built, old: Subject
) -> Attempt:
    begun = time.monotonic()
    progress.current().start(f"checking the candidate (build {started.number})")
    image, rewritten = host.image(built.image_id), started.rewritten
    examination = examine_image(
        host,
        image,
        settings.paths.layers,
        verify_bytes=settings.limits.verify_bytes,
        removable=True,
    )
    new = subject_of(host, built.image_id, examination)
    done = replace(
        started,
        image_id=built.image_id,
        size_bytes=new.size_bytes,
        build_seconds=built.seconds,
        claims=tuple(
            reachable_claims(claim_groups(examination), _base_position(host, image, rewritten, prepared, new))
        ),
    )
    context = check_context(settings, host, prepared, rewritten)
    conditions = check_conditions(context)
    checks = prepared.past.told(built.image_id, conditions) or check_candidate(host, old, new, context)
    failed = [check for check in checks if check.outcome == FAILED]
    return replace(
        done,
        checks=tuple(checks),
        conditions=conditions,
        detail="; ".join(f"{check.check}: {check.detail}" for check in failed),
        suspects=tuple(dict.fromkeys(suspect for check in failed for suspect in check.suspects)),
        packages=tuple(dict.fromkeys(package for check in failed for package in check.packages)),
        check_seconds=time.monotonic() - begun,
    )


def _blamed(error: BuildFailed, rewritten: Rewrite) -> tuple[str, ...]:
    """Rules that a failed build points at."""
    said = "\n".join((error.message, error.step, *error.lines))
    if error.reason == "base missing":
        return _OTHER_BASE
    if "+cpu" in said or any(name and name in said for name in rewritten.replaces.values()):
        return ("R1",)
    return ()
