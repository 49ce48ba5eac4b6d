"""R7: only production's Node packages in the image; those of development stay where the application is built."""

from __future__ import annotations

import re

from imgopt_pipeline.dockerfiles.copied_paths import Copied, owner_in
from imgopt_pipeline.dockerfiles.drafts import NOTHING, Draft, Proposal, Rule, Step
from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.final_stages import last_builder, needs_of
from imgopt_pipeline.dockerfiles.layout import followed_by
from imgopt_pipeline.dockerfiles.models import Stage
from imgopt_pipeline.dockerfiles.node_builds import (
    NodeBuild,
    development_names,
    node_build,
    production_option,
    prune_command,
    started_with,
)
from imgopt_pipeline.dockerfiles.runs import Run
from imgopt_pipeline.dockerfiles.splitting import Plan, split
from imgopt_pipeline.units import format_bytes


def propose(draft: Draft) -> Proposal:
    """Installs without them where nothing is built, else prunes them after the build and copies the rest."""
    claimed = draft.claimed("R7")
    if draft.image is None or claimed is None or claimed.high_bytes == 0:
        return NOTHING
    stage = draft.stage
    build = node_build(draft, stage)
    copied_from = _stage_copied_from(draft)
    size = format_bytes(claimed.likely_bytes or claimed.high_bytes)
    if build is None and copied_from is not None:
        return _pruned_elsewhere(draft, copied_from, size)
    if build is None or build.production:
        return NOTHING
    starter = started_with(draft, build)
    if starter is not None:
        return Proposal(passed_over=f"the application is started with {starter}, a development dependency")
    if build.last is None:
        return _installed_without(draft, build, size)
    return _parted(draft, build, build.last, size)


def _installed_without(draft: Draft, build: NodeBuild, size: str) -> Proposal:
    """Nothing is built: the option on the install is enough."""
    option = production_option(build, draft.lineage[-1].base)
    if option is None or not build.call.command.plain:
        return Proposal(passed_over=f"{build.manager} has no option to install without them")
    word = build.call.action or build.call.first
    text = f" {option}" if build.call.action is not None else f" install {option}"
    reason = f"nothing is built in the image, which runs without the {size} of development dependencies."
    step = Step((Edit(word.end, word.end, text),), build.install.instruction.line, reason)
    return Proposal((step,), replaces=_gone(draft, build))


def _parted(draft: Draft, build: NodeBuild, last: Run, size: str) -> Proposal:
    pruning = _pruning(draft, build, last)
    if isinstance(pruning, str):
        return Proposal(passed_over=pruning)
    last_step = last_builder(draft) or last.instruction
    if last_step.start > last.instruction.start:
        return Proposal(passed_over=f"line {draft.origin(last_step)} builds something else after the application")
    plan = Plan(
        last.instruction,
        needs_of(draft, last.instruction, trims="none"),
        copies=(Copied(build.folder, build.folder, owner=owner_in(build.install.around)),),
        covered=(build.folder,),
        edits=(pruning,),
        made=all(draft.step(one) is not None for one in draft.stage.body if one.keyword == "RUN"),
    )
    parted = split(draft, plan)
    if parted.unclear:
        return Proposal(passed_over=parted.unclear)
    reason = (
        f"the {size} of development dependencies only build: they are pruned after that, and the application is copied"
        " into a final stage."
    )
    return Proposal((Step(parted.edits, draft.stage.opening.line, reason),), replaces=_gone(draft, build))


def _pruned_elsewhere(draft: Draft, stage: Stage, size: str) -> Proposal:
    """The final stage copies node_modules from another one, which is to prune them before."""
    build = node_build(draft, stage)
    if build is None or build.production:
        return NOTHING
    starter = started_with(draft, build)
    if starter is not None:
        return Proposal(passed_over=f"the application is started with {starter}, a development dependency")
    if any(_takes_from(other, stage) for other in draft.document.stages if other is not draft.stage):
        return Proposal(passed_over=f"other stages take from {stage.name or stage.number} too")
    last = build.last or build.install
    pruning = _pruning(draft, build, last)
    if isinstance(pruning, str):
        return Proposal(passed_over=pruning)
    reason = f"the final stage copies {size} of development dependencies, which are pruned after the build."
    return Proposal((Step((pruning,), last.instruction.line, reason),), replaces=_gone(draft, build))


def _pruning(draft: Draft, build: NodeBuild, last: Run) -> Edit | str:
    """The edit that prunes after the last build step, or why not."""
    command = prune_command(build, draft.document.stages[last.instruction.stage].base)
    if command is None:
        return f"{build.manager} cannot remove them after the build"
    if build.manager == "yarn" and _mentions_prisma(draft, build):
        return "yarn would remove what prisma generated"
    if command.split(" --")[0] in " ".join(last.instruction.words):
        return "they are pruned already"
    edit = followed_by(draft.document, last.script, None, command)
    return edit or Edit(last.instruction.end, last.instruction.end, f"\nRUN {command}")


def _mentions_prisma(draft: Draft, build: NodeBuild) -> bool:
    names = set(development_names(draft, build.manifest)) | set(build.manifest.get("dependencies") or ())
    return any("prisma" in name for name in names)


def _stage_copied_from(draft: Draft) -> Stage | None:
    """The stage whose node_modules, or whole application, the final stage copies."""
    for instruction in draft.stage.body:
        name = instruction.flag("from") if instruction.keyword == "COPY" else None
        stage = draft.document.stage_named(name) if name is not None else None
        if stage is None or stage.number >= draft.stage.number:
            continue
        build = node_build(draft, stage)
        sources = [source.rstrip("/") for source in instruction.words[:-1]]
        if build is not None and any(source in (build.folder, f"{build.folder}/node_modules") for source in sources):
            return stage
    return None


def _takes_from(other: Stage, stage: Stage) -> bool:
    names = {name.lower() for name in (stage.name, str(stage.number)) if name}
    if other.base.lower() in names:
        return True
    flags = [flag.lower() for instruction in other.body for flag in instruction.flags]
    return any(re.search(rf"from={re.escape(name)}(,|$)", flag) for flag in flags for name in names)


def _gone(draft: Draft, build: NodeBuild) -> dict[str, str]:
    assert draft.image is not None
    packages = [package for package in draft.image.packages if package.ecosystem == "node"]
    needed = {package.name for package in packages if not package.development}
    return {package.name: "" for package in packages if package.development and package.name not in needed}


RULE = Rule(
    technique="R7",
    title="production dependencies of Node only",
    needs="the packages of the image built from it",
    proof="the direct dependencies resolve, and every route answers as before",
    propose=propose,
)
