"""The decision on each image that stays: optimize, accept, or leave it to a person."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from imgopt_pipeline.planning import commands
from imgopt_pipeline.planning.cases import WORTHWHILE_BYTES, WORTHWHILE_SHARE, Case, cases
from imgopt_pipeline.planning.estimates import counted
from imgopt_pipeline.planning.facts import AuditFacts, ImageFacts
from imgopt_pipeline.planning.gpu_words import gpu_sentences, says_slim
from imgopt_pipeline.planning.priorities import Item
from imgopt_pipeline.planning.provenance import BUILT_HERE, THIRD_PARTY
from imgopt_pipeline.planning.techniques import RISKS, TECHNIQUES
from imgopt_pipeline.units import count, format_bytes, format_percent

_NAMES_SHOWN = 3


def image_items(facts: AuditFacts, leaving: Collection[str], leftovers: Collection[str] = ()) -> list[Item]:
    """An item for each image but those whose IDs are `leaving`, one for all images of equal content."""
    return [
        _item(case, facts) if case.image.size_bytes is not None else _unread(case.image)
        for case in cases(facts, leaving, leftovers)
    ]


def _item(case: Case, facts: AuditFacts) -> Item:
    if case.image.gpu.verdict == "broken":
        return _broken(case, facts)
    if not case.worthwhile:
        return _undecided(case, facts) if case.undecided and case.origin.origin != THIRD_PARTY else _small(case, facts)
    if case.origin.origin == BUILT_HERE:
        return _rebuild(case, facts)
    if case.origin.origin != THIRD_PARTY:
        return _whose(case, facts)
    by_run = case.copied_bytes * 2 < case.estimate.likely_bytes
    return _third_party_build(case, facts) if by_run else _leave(case, facts)


def _rebuild(case: Case, facts: AuditFacts) -> Item:
    return _made(
        case,
        facts,
        decision="optimize",
        action=f"rebuild {case.means}",
        why=f"{case.gain} would go.",
        prerequisites=_steps(case, facts, case.edits),
        command=_build(case, facts),
    )


def _build(case: Case, facts: AuditFacts) -> str:
    if facts.optimizes:
        return commands.optimize(facts, case.image, case.level)
    return commands.build(facts, case.image, case.origin.service)


def _undecided(case: Case, facts: AuditFacts) -> Item:
    without = case.without_gpu
    built_here = case.origin.origin == BUILT_HERE
    find = [] if built_here else ["Find its Dockerfile, or its maker."]
    watch = "Try it without a GPU, or watch nvidia-smi or rocm-smi while it works: a person has to say what it needs."
    rest = _steps(case, facts, without.edits) if built_here else without.edits
    return _made(
        without,
        facts,
        decision="needs a person",
        action="decide whether it needs its GPU build",
        complexity=TECHNIQUES["R1"].complexity,
        risk="medium",
        priority="low",
        why=f"Of the rest {case.gain} could go.",
        prerequisites=[watch, *find, *rest],
        command=_build(case, facts) if built_here else "",
    )


def _small(case: Case, facts: AuditFacts) -> Item:
    third_party = case.origin.origin != BUILT_HERE
    return _made(
        case,
        facts,
        decision="accept",
        action="leave it as it is",
        complexity="high" if third_party else None,
        risk="high" if third_party else None,
        priority="none",
        why=f"{case.gain} could go, which is under {format_bytes(WORTHWHILE_BYTES)} or"
        f" {format_percent(WORTHWHILE_SHARE)}: not worth a change.",
    )


def _whose(case: Case, facts: AuditFacts) -> Item:
    return _made(
        case,
        facts,
        decision="needs a person",
        action=f"find who builds it; a rebuild {case.means} would pay",
        risk=_at_least(case.risk, "medium"),
        priority="low",
        why=f"{case.gain} would go if it can be rebuilt here.",
        prerequisites=["Find its Dockerfile, or its maker.", *case.edits],
    )


def _third_party_build(case: Case, facts: AuditFacts) -> Item:
    slim = ", although its name says slim already" if says_slim(case.image) else ""
    return _made(
        case,
        facts,
        decision="needs a person",
        action=f"only if rebuilt {case.means}",
        complexity="high",
        risk="high",
        priority="low",
        why=f"{case.gain} would go{slim}, but only if it were rebuilt: most of that lies in layers made by RUN, which"
        " a build of one's own from the published Dockerfile could change. Every new version would have to be built"
        " and tested here.",
        prerequisites=["Decide whether to build every version of it here, from its published Dockerfile.", *case.edits],
    )


def _leave(case: Case, facts: AuditFacts) -> Item:
    return _made(
        case,
        facts,
        decision="accept",
        action="leave it as it is; avoid a custom image",
        complexity="high",
        risk="high",
        priority="low",
        why=f"{case.gain} could go, but most of that lies in what its maker built and copied in: a custom image costs"
        " more than it gives, at every new version. Avoid one; look for a smaller tag of its maker instead.",
    )


def _broken(case: Case, facts: AuditFacts) -> Item:
    return _made(
        case,
        facts,
        decision="needs a person",
        action="give it a GPU, or let its code run without one",
        risk=_at_least(case.risk, "medium"),
        priority=None if case.worthwhile else "low",
        why=f"{case.gain} could go without touching its GPU code.",
        prerequisites=case.edits if case.worthwhile else [],
    )


def _unread(image: ImageFacts) -> Item:
    reason = f" ({image.problem.rstrip('.')})" if image.problem else ""
    return Item(
        subject_kind="image",
        subject=image.name,
        image_id=image.image_id,
        decision="needs a person",
        action="see why its layers could not be read, then audit again",
        complexity="low",
        risk="low",
        priority="none",
        size_bytes=image.reported_bytes or 0,
        low_bytes=0,
        likely_bytes=0,
        high_bytes=0,
        counted="Nothing: its layers could not be read.",
        reason=f"Its layers could not be read{reason}, so that nothing is known of what fills it.",
    )


def _made(
    case: Case,
    facts: AuditFacts,
    *,
    decision: str,
    action: str,
    why: str,
    complexity: str | None = None,
    risk: str | None = None,
    priority: str | None = None,
    prerequisites: Sequence[str] = (),
    command: str = "",
) -> Item:
    image, estimate = case.image, case.estimate
    techniques = {part.technique for part in estimate.parts}
    ids = {image.image_id, *(one.image_id for one in case.equals)}
    return Item(
        subject_kind="image",
        subject=image.name,
        image_id=image.image_id,
        decision=decision,
        action=action,
        complexity=complexity or case.complexity,
        risk=risk or case.risk,
        priority=priority,
        size_bytes=image.size_bytes or 0,
        low_bytes=estimate.low_bytes,
        likely_bytes=estimate.likely_bytes,
        high_bytes=estimate.high_bytes,
        counted=counted(estimate),
        reason=" ".join(_sentences(case, facts, why)),
        techniques=tuple(sorted(techniques, key=lambda technique: int(technique[1:]))),
        rules=tuple(sorted({f.rule_id for f in facts.findings if f.image_id in ids and f.technique in techniques})),
        prerequisites=tuple(prerequisites),
        command=command,
    )


def _sentences(case: Case, facts: AuditFacts, why: str) -> list[str]:
    image = case.image
    evidence = case.origin.evidence
    sentences = [evidence[0].upper() + evidence[1:] + ".", _use(case, facts)]
    sentences += gpu_sentences(image, facts, cpu_only=case.cpu_only)
    if case.undecided and case.origin.origin != THIRD_PARTY:
        unknown = next((one.gpu.explanation for one in (image, *case.equals) if one.gpu.verdict == "unknown"), "")
        free = f"A CPU-only build would free another {format_bytes(case.undecided_bytes)} if it needs no GPU."
        sentences += filter(None, (free, unknown))
    sentences.append(why)
    if case.often_dropped:
        sentences.append(f"Earlier builds mostly had to go without {_names(case.often_dropped)}.")
    if case.shared_bytes >= WORTHWHILE_BYTES:
        sentences.append(
            f"{format_bytes(case.shared_bytes)} more lie in layers that it shares with {_names(case.sharers)}, and"
            " go only when that is rebuilt or removed as well."
        )
    if case.equals:
        sentences.append(f"Of the same content: {_names([one.name for one in case.equals])}.")
    return sentences


def _use(case: Case, facts: AuditFacts) -> str:
    containers = [container for one in (case.image, *case.equals) for container in one.containers]
    if not containers:
        return "No container uses it." if facts.usage_known else "Whether containers use it is not known."
    running = sum(container.running for container in containers)
    return f"{count(len(containers), 'container')} of it, {running} running."


def _steps(case: Case, facts: AuditFacts, edits: Sequence[str]) -> list[str]:
    """What keeps a way back, where imgopt does not by itself, the edits, and what has to follow the build."""
    by_hand = _deployed(case, facts) is None
    steps = [f"Keep a way back: {commands.keep_image(facts, case.image)}"] if by_hand and case.image.references else []
    steps += [f"By the command, which shows it first: {edit}" for edit in edits] if facts.optimizes else edits
    service = case.origin.service
    known = service is not None and (service.compose_config_files or service.compose_working_dir)
    if not known and facts.optimizes:
        steps.append("Where nothing says what it is built from, name it with --dockerfile and --context.")
    elif not known:
        steps.append(f"Run the command in the folder of its {'Dockerfile' if service is None else 'compose file'}.")
    if case.leftovers:
        holds = "it holds" if len(case.leftovers) == 1 else "they hold"
        steps.append(f"Remove {_names(case.leftovers)}, as another row says: {holds} some of the same layers.")
    return [*steps, _after(case, facts)]


def _after(case: Case, facts: AuditFacts) -> str:
    """What frees the bytes: nothing does as long as a container or a name holds the old image."""
    image = case.image
    holders = [*image.references[1:], *(one.name for one in case.equals)]
    also = f" {_names(holders)} {'holds' if len(holders) == 1 else 'hold'} them as well." if holders else ""
    if unit := _deployed(case, facts):
        return (
            f"After: put it in the place of what runs ({commands.deploy(facts.host, unit)}), which is watched, and put"
            f" back if it fails; housekeeping removes the old image a week later: only that frees the bytes.{also}"
        )
    remove = f"remove the old image ({commands.remove_kept(facts, image)})"
    return f"After: {_recreate(case, facts)} and try it; then {remove}: only that frees the bytes.{also}"


def _deployed(case: Case, facts: AuditFacts) -> str | None:
    """What `imgopt deploy` is to be told; None where nothing runs it, or imgopt cannot build there."""
    return commands.unit_of(case.image, case.image.containers) if facts.optimizes else None


def _recreate(case: Case, facts: AuditFacts) -> str:
    """By hand: what has the new image run."""
    image, service = case.image, case.origin.service
    containers = [container for one in (image, *case.equals) for container in one.containers]
    take = ""
    if facts.optimizes and image.references:
        take = f"let the optimized image take its name ({commands.take_candidate(facts, image)}), "
    if service is not None and (service.compose_config_files or service.compose_working_dir):
        mine = (service.compose_project, service.compose_service)
        others = [one.name for one in containers if (one.compose_project, one.compose_service) != mine]
        also = f", recreate {_names(others)} as well" if others else ""
        return f"{take}recreate it ({commands.recreate(facts, image, service)}){also}"
    return take + ("recreate its containers" if containers else "start what uses it")


def _names(names: Sequence[str]) -> str:
    shown = list(names[:_NAMES_SHOWN])
    if len(names) > _NAMES_SHOWN:
        shown.append(f"{len(names) - _NAMES_SHOWN} more")
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _at_least(risk: str, least: str) -> str:
    return max(risk, least, key=RISKS.index)
