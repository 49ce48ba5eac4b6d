"""What nothing uses: dangling and unused images, old versions, volumes, build cache, logs. A few items a host."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from imgopt_pipeline.planning import commands
from imgopt_pipeline.planning.facts import AuditFacts, ImageFacts, VolumeFacts
from imgopt_pipeline.planning.priorities import Item, unread_bytes
from imgopt_pipeline.planning.provenance import repository, telling_digests
from imgopt_pipeline.units import count, format_bytes

LOG_BYTES = 100_000_000
WORTH_BYTES = 1_000_000
"""An image that frees less is not worth removing."""

_NAMES_SHOWN = 5
_LOG_DRIVER = "json-file"
_BUILD_CACHE_RULE = "old-build-cache"


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort of images that nothing uses. In `reason` and `step` stands {them} or {their} for the images."""

    noun: str
    reason: str
    step: str
    decision: str = "optimize"
    risk: str = "low"


_SORTS = {
    "dangling": Sort(
        "dangling image",
        "No tag names {them} and no container uses {them}: what newer builds left behind.",
        "See that nobody means to go back to {them}: only a build from the same sources would make {them} again.",
    ),
    "old": Sort(
        "old version",
        "A newer image has {their} repository's name, no container uses {them}, and a pull brings {them} back.",
        "See that nobody means to go back to {them}: a pull brings {them} back as long as the registry has {them}.",
    ),
    "old build": Sort(
        "old local build",
        "A newer image has {their} repository's name and no container uses {them}; no repository digest says that a"
        " pull brings {them} back.",
        "See that nobody means to go back to {them}, or keep a copy: {program} image save -o FILE NAME.",
        "needs a person",
        "medium",
    ),
    "unused": Sort(
        "unused image",
        "No container uses {them}, running or not, and a pull brings {them} back.",
        "See that nobody means to start {them} again: a pull brings {them} back as long as the registry has {them}.",
    ),
    "unused build": Sort(
        "unused local image",
        "No container uses {them}, running or not; no repository digest says that a pull brings {them} back.",
        "See that nobody means to start {them} again, or keep a copy: {program} image save -o FILE NAME.",
        "needs a person",
        "medium",
    ),
}


def removable_images(facts: AuditFacts) -> dict[str, list[ImageFacts]]:
    """Images that no container uses and whose removal frees something, by sort; empty where no engine keeps them.

    On a host without containers only dangling images and old versions: the others may be kept on purpose.
    """
    if not facts.has_engine:
        return {}
    newest = _newest(facts.images)
    sorts: dict[str, list[ImageFacts]] = {sort: [] for sort in _SORTS}
    for image in facts.images:
        if image.containers:
            continue
        if image.dangling:
            sorts["dangling"].append(image)
        elif all(newest[repository(reference)] != image.image_id for reference in image.references):
            sorts["old" if telling_digests(image) else "old build"].append(image)
        elif facts.usage_known:
            sorts["unused" if telling_digests(image) else "unused build"].append(image)
    ids = {image.image_id for images in sorts.values() for image in images}
    held = _chains(image for image in facts.images if image.image_id not in ids)
    return {sort: [image for image in images if _frees(image, held, facts)] for sort, images in sorts.items()}


def freed_bytes(facts: AuditFacts, leaving: Sequence[ImageFacts]) -> dict[str, int]:
    """What each of the leaving images frees, all of them together: layers that no staying image holds.

    A layer of several leaving images is counted with the first of them.
    """
    ids = {image.image_id for image in leaving}
    held = _chains(image for image in facts.images if image.image_id not in ids)
    freed: dict[str, int] = {}
    for image in leaving:
        chains = _chains([image]) - held
        held |= chains
        freed[image.image_id] = sum(facts.chain_bytes.get(chain, 0) for chain in chains) + unread_bytes(image)
    return freed


def cleaning_items(facts: AuditFacts, removable: dict[str, list[ImageFacts]]) -> list[Item]:
    """Items for all that nothing uses, but for the build cache."""
    items = [_images(facts, removable, sort, images) for sort, images in removable.items() if images]
    volumes = [v for v in facts.volumes if v.containers == 0 and v.size_bytes and v.driver in ("local", "")]
    if volumes:
        items.append(_volumes(facts, volumes))
    if any((container.log_bytes or 0) >= LOG_BYTES for container in facts.containers):
        items.append(_logs(facts))
    return items


def _images(facts: AuditFacts, removable: dict[str, list[ImageFacts]], sort: str, images: Sequence[ImageFacts]) -> Item:
    told = _SORTS[sort]
    freed = freed_bytes(facts, [image for others in removable.values() for image in others])
    alone = freed_bytes(facts, images)
    gain = sum(freed[image.image_id] for image in images)
    parts = sorted(images, key=lambda image: (-freed[image.image_id], image.name))
    together = gain > sum(alone.values())
    only = images[0] if len(images) == 1 else None
    them, their = ("it", "its") if only else ("them", "their")
    words = {"them": them, "their": their, "program": commands.program(facts)}
    return _item(
        facts,
        "image" if only else "host",
        only.name if only else count(len(images), told.noun),
        gain,
        image_id=only.image_id if only else None,
        action=f"remove {'an' if told.noun[0] in 'ou' else 'a'} {told.noun}" if only else "remove them",
        size_bytes=sum(image.size_bytes or image.reported_bytes or 0 for image in images),
        decision=told.decision,
        risk=told.risk,
        counted=_listed([f"{image.name} {format_bytes(freed[image.image_id])}" for image in parts])
        + ", in layers that no other image holds.",
        reason=told.reason.format(**words)
        + (" Some of the bytes go only when the other unused images go as well." if together else ""),
        prerequisites=(told.step.format(**words),),
        command=_remove(facts, sort, images),
        subjects={image.image_id for image in images},
    )


def _remove(facts: AuditFacts, sort: str, images: Sequence[ImageFacts]) -> str:
    """`imgopt clean` removes dangling images, unless something may name them by digest, and no others."""
    if facts.optimizes and sort == "dangling" and not any(map(telling_digests, images)):
        return commands.clean(facts, "--images")
    return commands.remove_images(facts, images)


def _volumes(facts: AuditFacts, volumes: Sequence[VolumeFacts]) -> Item:
    parts = sorted(volumes, key=lambda volume: (-(volume.size_bytes or 0), volume.name))
    gain = sum(volume.size_bytes or 0 for volume in volumes)
    them, each = ("it", "it") if len(volumes) == 1 else ("them", "each of them")
    return _item(
        facts,
        "volume" if len(volumes) == 1 else "host",
        volumes[0].name if len(volumes) == 1 else count(len(volumes), "unused volume"),
        gain,
        decision="needs a person",
        action="remove what nobody misses",
        risk="medium",
        counted=_listed([f"{volume.name} {format_bytes(volume.size_bytes)}" for volume in parts]) + ".",
        reason=f"No container mounts {them}, running or not. What is in a volume exists nowhere else: a person has to"
        " say that it can go.",
        prerequisites=(f"Look into {each}, and back up what is worth keeping.",),
        command=commands.remove_volumes(facts, [volume.name for volume in volumes]),
        subjects={volume.name for volume in volumes},
    )


def build_cache_item(facts: AuditFacts) -> Item | None:
    """The item for the build cache; None where nothing of it can go."""
    if not facts.build_cache_reclaimable_bytes:
        return None
    return _item(
        facts,
        "host",
        "build cache",
        facts.build_cache_reclaimable_bytes,
        action="empty it",
        size_bytes=facts.build_cache_bytes,
        counted=f"{format_bytes(facts.build_cache_reclaimable_bytes)} of build cache that no image uses, by the account"
        " of the engine.",
        reason="The next build of each image takes longer once; nothing else needs it.",
        prerequisites=(
            "Rebuild first what is to be rebuilt: without the cache those builds are slow, and they fill it again.",
            *_rest_of_build_cache(facts),
        ),
        command=commands.prune_build_cache(facts),
        subjects={_BUILD_CACHE_RULE},
    )


def _rest_of_build_cache(facts: AuditFacts) -> tuple[str, ...]:
    if not facts.optimizes:
        return ()
    return (
        "After: what the last 7 days used stays, and up to builds.cache_bytes of the rest (10 GB unless the settings"
        " say otherwise); docker builder prune --all removes that as well.",
    )


def _logs(facts: AuditFacts) -> Item:
    logged = [c for c in facts.containers if (c.log_bytes or 0) >= LOG_BYTES]
    logged.sort(key=lambda container: (-(container.log_bytes or 0), container.name))
    json_files = [container.name for container in logged if container.log_driver in (_LOG_DRIVER, "")]
    return _item(
        facts,
        "container" if len(logged) == 1 else "host",
        logged[0].name if len(logged) == 1 else f"logs of {count(len(logged), 'container')}",
        sum(container.log_bytes or 0 for container in logged),
        decision="optimize" if len(json_files) == len(logged) else "needs a person",
        action="limit its log and empty it" if len(logged) == 1 else "limit the logs and empty them",
        counted=_listed([f"log of {c.name} {format_bytes(c.log_bytes)}" for c in logged]) + ".",
        reason="Without a limit they grow until the disk is full.",
        prerequisites=(
            "Set max-size and max-file of the log driver, in the compose file or for the engine, and make the"
            " containers anew: without that they grow again.",
            "Copy what is worth keeping.",
        ),
        command=commands.empty_logs(facts, json_files) if json_files else "",
        subjects={container.name for container in logged},
    )


def _item(
    facts: AuditFacts,
    subject_kind: str,
    subject: str,
    gain_bytes: int,
    *,
    action: str,
    counted: str,
    reason: str,
    command: str,
    subjects: set[str],
    decision: str = "optimize",
    risk: str = "low",
    size_bytes: int | None = None,
    image_id: str | None = None,
    prerequisites: tuple[str, ...] = (),
) -> Item:
    # A finding on the host as a whole is told by its rule, the others by what they are about.
    rules = {
        finding.rule_id
        for finding in facts.findings
        if finding.technique is None
        and finding.high_bytes
        and {finding.subject, finding.image_id, finding.rule_id if finding.subject_kind == "host" else None} & subjects
    }
    return Item(
        subject_kind=subject_kind,
        subject=subject,
        image_id=image_id,
        decision=decision,
        action=action,
        complexity="low",
        risk=risk,
        size_bytes=gain_bytes if size_bytes is None else size_bytes,
        low_bytes=gain_bytes,
        likely_bytes=gain_bytes,
        high_bytes=gain_bytes,
        counted=counted,
        reason=reason,
        rules=tuple(sorted(rules)),
        prerequisites=prerequisites,
        command=command,
    )


def _newest(images: Iterable[ImageFacts]) -> dict[str, str]:
    """The newest image of each repository, of equally old ones one that is used."""
    of_repository: dict[str, list[ImageFacts]] = defaultdict(list)
    for image in images:
        for reference in image.references:
            of_repository[repository(reference)].append(image)
    return {name: max(versions, key=_age).image_id for name, versions in of_repository.items()}


def _age(image: ImageFacts) -> tuple[datetime, bool, str, str]:
    return (image.created_at or datetime.min, bool(image.containers), image.name, image.image_id)


def _chains(images: Iterable[ImageFacts]) -> set[str]:
    return {layer.chain_id for image in images for layer in image.layers}


def _frees(image: ImageFacts, held: set[str], facts: AuditFacts) -> bool:
    """Whether enough of it is held by no staying image; what other leaving images hold too goes with them."""
    own_bytes = sum(facts.chain_bytes.get(chain) or 0 for chain in _chains([image]) - held)
    return unread_bytes(image) + own_bytes >= WORTH_BYTES


def _listed(parts: Sequence[str]) -> str:
    shown = list(parts[:_NAMES_SHOWN])
    if len(parts) > _NAMES_SHOWN:
        shown.append(f"{len(parts) - _NAMES_SHOWN} more")
    return ", ".join(shown)
