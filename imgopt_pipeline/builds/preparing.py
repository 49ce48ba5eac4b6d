"""Everything that is known and intended before the first build: the image, its Dockerfile, the rewritten one.

Reads only; nothing is built, started or changed.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from imgopt_pipeline import progress
from imgopt_pipeline.builds.builder.capabilities import BuilderCapabilities, capabilities
from imgopt_pipeline.builds.image_facts import claim_groups, image_facts, reachable_claims
from imgopt_pipeline.builds.measuring import expected_gains, total
from imgopt_pipeline.builds.models import Source
from imgopt_pipeline.builds.past import Past
from imgopt_pipeline.builds.sources.finding import find_source, target_of
from imgopt_pipeline.builds.sources.history_steps import history_steps
from imgopt_pipeline.dockerfiles.context import read_context
from imgopt_pipeline.dockerfiles.drafts import Rule
from imgopt_pipeline.dockerfiles.facts import BuilderFacts, ByteRange, ContextFacts, ImageFacts, PackageSources
from imgopt_pipeline.dockerfiles.files import read_dockerfile
from imgopt_pipeline.dockerfiles.rewriting import Applied, Rewrite, chosen_rules, rewrite
from imgopt_pipeline.errors import ImageNotFound, ImgoptError, SettingsError
from imgopt_pipeline.examining import Examination
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.hosts.models import Container, Image
from imgopt_pipeline.hosts.opening import AnyHost
from imgopt_pipeline.names import printable
from imgopt_pipeline.planning.candidates import SET_ASIDE, SOURCE_LABEL
from imgopt_pipeline.planning.facts import ClaimGroup
from imgopt_pipeline.planning.techniques import LEVELS
from imgopt_pipeline.settings import Settings, TargetSettings

LEAST_GAIN_BYTES = 1_000_000
LEAST_GAIN_SHARE = 0.01
"""A likely gain under either of them is not worth a build."""


class NotItsDockerfile(ImgoptError):
    """The Dockerfile is likely that of another image."""

    kind = "another Dockerfile"


class NotBuildable(ImgoptError):
    """Nothing can be built for it: the host has no builder, or the image cannot be had by a build."""

    kind = "not buildable"


@dataclass(frozen=True, slots=True)
class Options:
    """What a person asked for. `rules` and `without` are IDs; `budget` bounds the builds, None as in the settings.

    `argument_names`: build arguments whose values stand in the environment. `anyway`: also by a Dockerfile that is
    likely another image's. `write`: put what was kept in the place of the user's files.
    """

    level: str = "safe"
    rules: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    dockerfile: str | None = None
    context: str | None = None
    stage: str | None = None
    argument_names: tuple[str, ...] = ()
    budget: int | None = None
    anyway: bool = False
    write: bool = False

    @property
    def level_name(self) -> str:
        """The level, or `chosen` where rules were named."""
        return "chosen" if self.rules else self.level


@dataclass(frozen=True, slots=True)
class InUse:
    """The image in use as its engine tells it: `config` is `Config` of its inspection, `containers` run it."""

    image: Image
    config: Mapping[str, Any] = field(repr=False)
    history: Sequence[Mapping[str, Any]] = field(repr=False)
    containers: tuple[Container, ...]


@dataclass(frozen=True, slots=True)
class Preparation:
    """What an optimization starts from. `gains` are expected by rule, `remarks` worth telling a person.

    `beyond`: rules that a further level would use, with what they would free besides.
    """

    in_use: InUse
    target: TargetSettings
    source: Source
    original: str
    facts: ImageFacts
    examination: Examination = field(repr=False)
    context: ContextFacts = field(repr=False)
    builder: BuilderCapabilities
    rules: tuple[Rule, ...]
    rewritten: Rewrite
    gains: Mapping[str, ByteRange]
    past: Past
    options: Options
    sources: PackageSources
    beyond: tuple[tuple[Applied, ByteRange], ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def image(self) -> Image:
        """The image in use."""
        return self.in_use.image

    @property
    def expected(self) -> ByteRange:
        """What all rules together are expected to free."""
        return total(self.gains.values())

    @property
    def worthwhile(self) -> bool:
        """Whether there is something worth a build."""
        if not self.rewritten.applied:
            return False
        least = max(LEAST_GAIN_BYTES, LEAST_GAIN_SHARE * self.facts.size_bytes)
        return bool(self.options.rules) or self.expected.likely_bytes >= least

    @property
    def claims(self) -> list[ClaimGroup]:
        """What could be removed from the image by a change of its Dockerfile."""
        return reachable_claims(claim_groups(self.examination), self.facts.base_position)

    def rewritten_by(self, techniques: frozenset[str], packages: Sequence[str] = ()) -> Rewrite:
        """The Dockerfile rewritten by some of the rules."""
        return rewrite(
            self.original,
            [rule for rule in self.rules if rule.technique in techniques],
            name=str(self.source.dockerfile),
            stage=self.source.stage,
            image=self.facts,
            context=self.context,
            builder=builder_facts(self.builder),
            sources=self.sources,
            packages=packages,
        )


def engine_of(host: AnyHost) -> EngineHost:
    """The host as an engine. Raises NotBuildable for folders of archives and the demo fleet."""
    if not isinstance(host, EngineHost):
        raise NotBuildable(
            "it holds image archives; nothing can be built or started there.",
            subject=host.name,
            hint="Name an engine with --host, and an image that it has.",
        )
    return host


def look_up(host: EngineHost, target: str) -> InUse:
    """The image that a reference, an ID, a container or a compose service names.

    Raises ImageNotFound, also where the service runs several, and HostUnreachable.
    """
    containers = host.containers()
    try:
        image = host.image(target)
    except ImageNotFound:
        image_id = image_run_by(target, containers)
        if image_id is None:
            raise
        image = host.image(image_id)
    asked = [one for one in image.references if target in (one, one.removesuffix(":latest"))]
    others = [one for one in image.references if one not in asked]
    image = replace(image, references=(*asked, *others))
    with engine_errors("the engine does not describe it", missing=ImageNotFound):
        inspected = host.client.inspect_image(image.image_id)
        history = host.client.history(image.image_id) or []
    running = sorted(
        (one for one in containers if one.image_id == image.image_id), key=lambda one: (not one.running, one.name)
    )
    return InUse(image, dict(inspected.get("Config") or {}), history, tuple(running))


def image_run_by(name: str, containers: Sequence[Container]) -> str | None:
    """The ID of the image that a container, `service` or `project/service` runs; None where there is none such."""
    for one in containers:
        if name in (one.name, one.container_id):
            return one.image_id
    replicas = [
        one
        for one in containers
        if one.compose_service
        and name in (one.compose_service, f"{one.compose_project}/{one.compose_service}")
        and SET_ASIDE not in one.name
    ]
    by_image = {one.image_id: one for one in sorted(replicas, key=lambda one: one.name, reverse=True) if one.running}
    by_image = by_image or {one.image_id: one for one in replicas}
    if len(by_image) > 1:
        listed = sorted(f"{one.image_reference} (container {one.name})" for one in by_image.values())
        raise ImageNotFound(
            f"that service runs several images: {', '.join(listed)}.",
            subject=printable(name),
            hint="Name an image, or one of these containers.",
        )
    return next(iter(by_image), None)


def prepare(settings: Settings, host: EngineHost, in_use: InUse, options: Options, past: Past) -> Preparation:
    """Find the Dockerfile of an image and rewrite it by the facts of the image.

    Raises SourceNotFound, NotBuildable, DockerfileError, SettingsError, HostUnreachable, ImgoptError for an
    unreadable layer.
    """
    image = in_use.image
    rules = chosen_rules(options.level, options.rules, options.without)
    builder = capabilities(host)
    if builder.builder == "none":
        raise NotBuildable(builder.reason, subject=host.name, hint="Install Docker's command with buildx there.")
    target = target_of(image.references, settings.targets) or TargetSettings()
    progress.current().start(f"looking for the Dockerfile of {image.name}")
    source, comparison = find_source(
        image,
        in_use.containers,
        target,
        history=history_steps(in_use.history, len(image.layers)),
        config=in_use.config,
        dockerfile=Path(options.dockerfile) if options.dockerfile else None,
        context=Path(options.context) if options.context else None,
        stage=options.stage,
        arguments=_arguments(options.argument_names),
        base_layers=_base_layers(host, image),
        local=host.facts().local,
    )
    original = read_dockerfile(source.dockerfile)
    progress.current().start(f"examining {image.name}")
    facts, examination = image_facts(
        host,
        image,
        in_use.containers,
        settings.paths.layers,
        verify_bytes=settings.limits.verify_bytes,
        steps=comparison.layers,
    )
    remembered = {} if options.rules else past.dropped
    unwanted = {*target.without, *remembered}
    prepared = Preparation(
        in_use=in_use,
        target=target,
        source=source,
        original=original,
        facts=facts,
        examination=examination,
        context=read_context(source.context, str(source.dockerfile)),
        builder=builder,
        rules=tuple(rule for rule in rules if rule.technique not in unwanted),
        rewritten=Rewrite(original, original, (), (), {}),
        gains={},
        past=past,
        options=options,
        sources=PackageSources(settings.builds.cpu_index, settings.builds.find_links),
        remarks=_remarks(image, source, builder, [rule for rule in rules if rule.technique in unwanted], remembered),
    )
    whole = prepared.rewritten_by(frozenset(rule.technique for rule in prepared.rules))
    gains = expected_gains(prepared.claims, whole.applied, past.records)
    prepared = replace(prepared, rewritten=whole, gains=gains)
    return replace(prepared, beyond=_beyond(prepared, unwanted))


def _beyond(prepared: Preparation, unwanted: Collection[str]) -> tuple[tuple[Applied, ByteRange], ...]:
    """What the furthest level would do besides."""
    if prepared.options.rules:
        return ()
    unwanted = {*unwanted, *prepared.options.without}
    furthest = tuple(rule for rule in chosen_rules(LEVELS[-1]) if rule.technique not in unwanted)
    whole = replace(prepared, rules=furthest).rewritten_by(frozenset(rule.technique for rule in furthest))
    gains = expected_gains(prepared.claims, whole.applied, prepared.past.records)
    used = prepared.rewritten.techniques
    return tuple((rule, gains[rule.technique]) for rule in whole.applied if rule.technique not in used)


def builder_facts(builder: BuilderCapabilities) -> BuilderFacts:
    """What rules want to know of a builder."""
    return BuilderFacts(
        cache_mounts=builder.cache_mounts,
        heredocs=builder.heredocs,
        copy_chmod=builder.copy_chmod,
        named_contexts=builder.named_contexts,
    )


def _arguments(names: Sequence[str]) -> dict[str, str]:
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise SettingsError(
            f"the environment has no {missing[0]!r}, which --build-arg names.", hint="Set it before the command."
        )
    return {name: os.environ[name] for name in names}


def _base_layers(host: EngineHost, image: Image) -> dict[str, tuple[str, ...]]:
    """Diff IDs of the host's other images by reference."""
    return {
        reference: tuple(layer.diff_id for layer in other.layers)
        for other in host.images()
        if other.image_id != image.image_id
        for reference in other.references
    }


def _remarks(
    image: Image, source: Source, builder: BuilderCapabilities, unwanted: Sequence[Rule], remembered: Mapping[str, str]
) -> tuple[str, ...]:
    remarks = [*source.remarks]
    if SOURCE_LABEL in image.labels:
        remarks.insert(
            0, "imgopt made this image itself; your Dockerfile is another still, unless you had it written (--write)."
        )
    elif not source.agrees:
        remarks.insert(0, "This is likely not the Dockerfile of this image.")
    if builder.reason:
        remarks.append(f"The builder lacks something: {builder.reason}")
    for rule in unwanted:
        why = remembered.get(rule.technique)
        remarks.append(
            f"{rule.technique} ({rule.title}) is left out: "
            + (
                f"an earlier build had to drop it ({why.rstrip('.')}); `--rules {rule.technique}` tries it again."
                if why
                else "the settings of this target say so."
            )
        )
    return tuple(remarks)
