"""R13: Next.js answers from its standalone output, which holds the packages that it traced and no others.

NEXT_PRIVATE_STANDALONE stands for `output: "standalone"` where the configuration sets no output: Next.js 12.3 to 16.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any

from imgopt_pipeline.dockerfiles.copied_paths import Copied, owner_in
from imgopt_pipeline.dockerfiles.drafts import NOTHING, Draft, Proposal, Rule, Step
from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.facts import ByteRange
from imgopt_pipeline.dockerfiles.final_stages import last_builder, needs_of
from imgopt_pipeline.dockerfiles.models import Instruction
from imgopt_pipeline.dockerfiles.node_builds import NodeBuild, manifest_of, node_build, scripts_of, start_command
from imgopt_pipeline.dockerfiles.runs import Call, runs
from imgopt_pipeline.dockerfiles.splitting import Plan, split
from imgopt_pipeline.units import format_bytes

_SWITCH = "NEXT_PRIVATE_STANDALONE=true"
_OLDEST = (12, 3)
_NEWEST = 16
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - as `next start` listens
_START = re.compile(r"(?:NODE_ENV=production\s+)?(?:npx\s+)?(?:[\w./]*/)?next\s+start\s*(?P<options>.*)")
_PORT = re.compile(r"(?:-p|--port)[ =](\d+)")
_HOST = re.compile(r"(?:-H|--hostname)[ =](\S+)")
_SCRIPT = re.compile(r"(?:npm|pnpm|yarn)\s+(?:run(?:-script)?\s+)?([\w:.-]+)")
_FILTERING = ("turbo", "nx", "lerna")


def propose(draft: Draft) -> Proposal:
    """Builds the standalone output, and makes a final stage of it."""
    claimed = draft.claimed("R13")
    if draft.image is None or claimed is None or claimed.high_bytes == 0:
        return NOTHING
    build = node_build(draft, draft.stage)
    if build is None or build.last is None:
        return NOTHING
    app = _application(draft, build)
    if app is None:
        return Proposal(passed_over="it takes the package.json of the Next.js application, which is not known here")
    below, manifest = app
    why_not = _why_not(draft, build, below, manifest)
    if why_not:
        return Proposal(passed_over=why_not)
    call = _building_call(draft, build, manifest)
    command = _starting(draft, below)
    options = _START.fullmatch(start_command(draft, manifest if below else build.manifest)) or _START.fullmatch(
        start_command(draft, build.manifest)
    )
    if call is None or options is None or command is None:
        return Proposal(passed_over="it is not built by `next build` and started by `next start`")
    if (last_builder(draft) or build.last.instruction).start > call.command.end:
        return Proposal(passed_over="something else is built after the application")
    last = build.last.instruction
    plan = Plan(
        last,
        needs_of(draft, last, trims="none"),
        copies=_copies(draft, build, below),
        covered=(build.folder,),
        edits=(Edit(call.command.start, call.command.start, f"{_SWITCH} "),),
        made=all(draft.step(one) is not None for one in draft.stage.body if one.keyword == "RUN"),
        settings=_settings(draft, options["options"]),
    )
    parted = split(draft, plan)
    if parted.unclear:
        return Proposal(passed_over=parted.unclear)
    server = posixpath.join(below, "server.js") if below else "server.js"
    starts = Edit(command.start, command.end, f'CMD ["node", "{server}"]')
    edits = tuple(edit for edit in parted.edits if not edit.start <= command.start < edit.end)
    if len(edits) < len(parted.edits) or command.start < last.start:
        return Proposal(passed_over="its CMD stands before the build")
    size = format_bytes(claimed.likely_bytes or claimed.high_bytes)
    reason = (
        f"Next.js runs from its standalone output, without the {size} of node_modules that it does not use; the"
        " packages it traced, static files and public are copied into a final stage."
    )
    step = Step((*edits, starts), draft.stage.opening.line, reason)
    replaces = {package.name: "" for package in draft.image.packages if package.ecosystem == "node"}
    # Of node_modules a server traces little; the rest of what is claimed is a guess at the most.
    most = claimed.high_bytes
    expected = ByteRange(most // 2, most * 17 // 20, most)
    return Proposal((step,), explains=("command", "env"), replaces=replaces, expected=expected)


def _application(draft: Draft, build: NodeBuild) -> tuple[str, Mapping[str, Any]] | None:
    """Where the Next.js application lies below the folder of the install, and its package.json."""
    if _depends_on_next(build.manifest):
        return "", build.manifest
    root = posixpath.dirname(build.manifest_path)
    found = [
        (posixpath.relpath(posixpath.dirname(path), root or "."), manifest)
        for path, text in (draft.context.texts.items() if draft.context is not None else ())
        if posixpath.basename(path) == "package.json" and path != build.manifest_path
        if _depends_on_next(manifest := manifest_of(text))
    ]
    return found[0] if len(found) == 1 and build.workspaces else None


def _depends_on_next(manifest: Mapping[str, Any]) -> bool:
    return any("next" in (manifest.get(kind) or {}) for kind in ("dependencies", "devDependencies"))


def _why_not(draft: Draft, build: NodeBuild, below: str, manifest: Mapping[str, Any]) -> str:
    assert draft.context is not None and draft.image is not None
    version = _version(draft, manifest)
    if version is None or version < _OLDEST or version[0] > _NEWEST:
        return "of its version of Next.js it is not known whether it makes a standalone output so"
    folder = posixpath.normpath(posixpath.join(posixpath.dirname(build.manifest_path), below))
    for path, text in draft.context.texts.items():
        if posixpath.basename(path).startswith("next.config.") and posixpath.normpath(posixpath.dirname(path)) in (
            folder,
            ".",
        ):
            if re.search(r"[\"']?\boutput[\"']?\s*:", text):
                return "the configuration of Next.js sets its output itself"
            if re.search(r"distDir|outputFileTracingRoot", text):
                return "the configuration of Next.js moves its output"
    commands = " ".join(scripts_of(build.manifest).values())
    if below and any(
        re.search(rf"\b{tool}\b", f"{commands} {' '.join(build.last.instruction.words) if build.last else ''}")
        for tool in _FILTERING
    ):
        return "a build tool of the workspaces would keep the variable from Next.js"
    return ""


def _version(draft: Draft, manifest: Mapping[str, Any]) -> tuple[int, int] | None:
    assert draft.image is not None
    installed = draft.image.of("node").get("next")
    wanted = str((manifest.get("dependencies") or {}).get("next", ""))
    match = re.search(r"(\d+)\.(\d+)", installed.version if installed is not None else wanted)
    return (int(match[1]), int(match[2])) if match is not None else None


def _building_call(draft: Draft, build: NodeBuild, manifest: Mapping[str, Any]) -> Call | None:
    """The call that ends in `next build`."""
    scripts = {**scripts_of(build.manifest), **scripts_of(manifest)}
    found = None
    for run in runs(draft, {draft.stage.number}):
        for call in run.calls:
            line = " ".join(call.command.texts)
            for _ in range(5):
                match = _SCRIPT.match(line)
                if match is None or match[1] not in scripts:
                    break
                line = scripts[match[1]]
            if re.search(r"(^|[\s/])next build\b", line):
                found = call
    return found if found is not None and _SWITCH not in found.command.assignments else None


def _starting(draft: Draft, below: str) -> Instruction | None:
    """The CMD of the final stage, where nothing else says how it starts."""
    commands = [one for one in draft.stage.body if one.keyword == "CMD" and not one.onbuild]
    if any(one.keyword == "ENTRYPOINT" for one in draft.stage.body) or len(commands) != 1:
        return None
    return commands[0]


def _copies(draft: Draft, build: NodeBuild, below: str) -> tuple[Copied, ...]:
    assert draft.context is not None
    folder, owner = build.folder, owner_in(build.install.around)
    app = posixpath.join(folder, below) if below else folder
    copies = [
        Copied(f"{app}/.next/standalone", folder, whole=False, owner=owner),
        Copied(f"{app}/.next/static", f"{app}/.next/static", owner=owner),
    ]
    public = posixpath.join(below, "public") if below else "public"
    if _has_folder(draft, public):
        copies.append(Copied(f"{app}/public", f"{app}/public", owner=owner))
    return tuple(copies)


def _has_folder(draft: Draft, folder: str) -> bool:
    assert draft.context is not None
    names: Sequence[str] = (*draft.context.folders, *draft.context.texts)
    return any(name.rstrip("/") == folder or name.startswith(f"{folder}/") for name in names)


def _settings(draft: Draft, options: str) -> str:
    """The ENV that the server takes instead of the options of `next start`; it listens everywhere as that does."""
    values = {}
    host = _HOST.search(options)
    values["HOSTNAME"] = host[1] if host is not None else _EVERYWHERE
    port = _PORT.search(options)
    if port is not None:
        values["PORT"] = port[1]
    return "ENV " + " ".join(f"{name}={value}" for name, value in values.items())


RULE = Rule(
    technique="R13",
    title="standalone output of Next.js",
    needs="the packages of the image built from it",
    proof="pages, routes and a static file answer as before",
    propose=propose,
)
