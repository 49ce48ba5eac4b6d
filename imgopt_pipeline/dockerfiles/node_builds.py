"""How a Dockerfile installs and builds a Node application: its folder, package manager, build steps and start."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imgopt_pipeline.dockerfiles.base_images import reference
from imgopt_pipeline.dockerfiles.build_tools import installs_globally
from imgopt_pipeline.dockerfiles.drafts import Draft
from imgopt_pipeline.dockerfiles.models import Stage
from imgopt_pipeline.dockerfiles.runs import Call, Run, runs
from imgopt_pipeline.dockerfiles.stage_sources import context_file

_INSTALLS = {
    "npm": {"ci", "install", "i", "clean-install"},
    "yarn": {"", "install", "workspaces"},
    "pnpm": {"install", "i"},
}
_PRODUCTION = ("--omit", "--production", "--prod", "-P", "--only", "-p")
#: `pnpm prune` empties the packages of a workspace; without the option, an install keeps for a week what it unlinks.
_PRUNE_PNPM_WORKSPACES = "CI=true pnpm install --prod --offline --ignore-scripts --config.modules-cache-max-age=0"
_RUNNERS = frozenset({"npx", "pnpx", "bunx", "npm", "yarn", "pnpm", "turbo", "nx", "lerna"})
_STARTS = ("npm", "yarn", "pnpm")
_PROGRAM_PACKAGES = {
    "tsc": "typescript",
    "nest": "@nestjs/cli",
    "ng": "@angular/cli",
    "vue-cli-service": "@vue/cli-service",
    "webpack-dev-server": "webpack-dev-server",
    "babel-node": "@babel/node",
    "remix-serve": "@remix-run/serve",
    "react-router-serve": "@react-router/serve",
    "swc-node": "@swc-node/register",
}
"""Packages whose programs go by another name."""


@dataclass(frozen=True, slots=True)
class NodeBuild:
    """What a stage does for a Node application.

    `folder` is absolute. `manager`: npm, pnpm, yarn (its version 1) or berry (later ones). `last`: the last step that
    builds, None where it only installs; `build` the call of that. `manifest`: the package.json, empty if not known.
    """

    folder: str
    manager: str
    install: Run
    call: Call
    last: Run | None
    manifest: Mapping[str, Any]
    manifest_path: str
    workspaces: bool

    @property
    def production(self) -> bool:
        """Whether development dependencies are left out already."""
        return self.call.has(*_PRODUCTION) or self.install.around.values.get("NODE_ENV") == "production"


def node_build(draft: Draft, stage: Stage) -> NodeBuild | None:
    """How a stage installs and builds; None where it installs no application of Node, or several."""
    found: tuple[Run, Call] | None = None
    last: Run | None = None
    for run in runs(draft, {stage.number}):
        for call in run.calls:
            if _is_install(call):
                if found is not None and found[0].around.folder != run.around.folder:
                    return None
                found = (run, call) if found is None else found
            if found is not None and _is_build(call):
                last = run
    if found is None:
        return None
    run, call = found
    folder = _folder(run, call)
    if folder is None:
        return None
    manifest, path = _manifest(draft, run, folder)
    manager = _manager(draft, call, manifest)
    workspaces = bool(manifest.get("workspaces")) or _has_text(draft, "pnpm-workspace.yaml")
    return NodeBuild(folder, manager, run, call, last, manifest, path, workspaces)


def prune_command(build: NodeBuild, base: str) -> str | None:
    """What removes development dependencies after the build; None where the package manager cannot."""
    match build.manager:
        case "npm":
            return "npm prune --production" if npm_is_old(base) else "npm prune --omit=dev"
        case "pnpm":
            return _PRUNE_PNPM_WORKSPACES if build.workspaces else "pnpm prune --prod"
        case "yarn":
            return "yarn install --production --ignore-scripts --prefer-offline"
        case "berry":
            return (
                "yarn workspaces focus --all --production" if build.workspaces else "yarn workspaces focus --production"
            )
    return None


def production_option(build: NodeBuild, base: str) -> str | None:
    """The option that leaves development dependencies out of an install; None where there is none."""
    if build.manager == "npm":
        return "--production" if npm_is_old(base) else "--omit=dev"
    return {"pnpm": "--prod", "yarn": "--production"}.get(build.manager)


def npm_is_old(base: str) -> bool:
    """Whether the base's npm is older than 7, which came with Node 15."""
    parts = reference(base)
    version = re.match(r"(\d+)", parts.tag)
    return parts.official == "node" and version is not None and int(version[1]) < 15


def start_command(draft: Draft, manifest: Mapping[str, Any]) -> str:
    """The command line that the image runs, with the scripts of package.json put in; empty where that is not known."""
    words = start_words(draft)
    line = " ".join(words)
    for _ in range(5):
        match = re.match(
            r"(?:exec\s+)?(npm|yarn|pnpm)\s+(?:run(?:-script)?\s+)?(?:-\S+\s+)*([\w:.-]+)\s*(?:--\s+)?(.*)$", line
        )
        if match is None or match[2] not in scripts_of(manifest):
            return line
        line = f"{scripts_of(manifest)[match[2]]} {match[3]}".strip()
    return line


def start_words(draft: Draft) -> tuple[str, ...]:
    """The words of ENTRYPOINT and CMD of the final stage's lineage."""
    words: dict[str, tuple[str, ...]] = {"ENTRYPOINT": (), "CMD": ()}
    for stage in reversed(draft.lineage):
        for instruction in stage.body:
            if instruction.keyword in words and not instruction.onbuild:
                words[instruction.keyword] = instruction.words
    return (*words["ENTRYPOINT"], *words["CMD"])


def scripts_of(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The scripts of a package.json."""
    scripts = manifest.get("scripts")
    return {str(k): str(v) for k, v in scripts.items()} if isinstance(scripts, Mapping) else {}


def development_names(draft: Draft, manifest: Mapping[str, Any]) -> set[str]:
    """Packages that only development needs, as package.json says, else the image."""
    listed = manifest.get("devDependencies")
    if manifest:
        needed = manifest.get("dependencies")
        return set(listed if isinstance(listed, Mapping) else ()) - set(needed if isinstance(needed, Mapping) else ())
    packages = [] if draft.image is None else [p for p in draft.image.packages if p.ecosystem == "node"]
    needed_names = {package.name for package in packages if not package.development}
    return {package.name for package in packages if package.development} - needed_names


def started_with(draft: Draft, build: NodeBuild) -> str | None:
    """A development dependency that starts the application, None where it starts without."""
    development = development_names(draft, build.manifest)
    line = start_command(draft, build.manifest)
    words: list[str] = re.findall(r"[@\w./:-]+", line)
    for word in words:
        program = posixpath.basename(word)
        for name in (_PROGRAM_PACKAGES.get(program, program), word.split("/register")[0]):
            if name in development:
                return name
    return None


def _is_install(call: Call) -> bool:
    if call.program not in _INSTALLS or installs_globally(call):
        return False
    if call.does not in _INSTALLS[call.program] or call.has("--version", "-v"):
        return False
    if call.does == "workspaces":
        return bool(call.arguments) and call.arguments[0].text == "focus"
    # `npm install NAME` adds to what is installed.
    return not any(not word.text.startswith("-") for word in call.arguments if not _is_value(call, word.text))


def _is_value(call: Call, text: str) -> bool:
    words = [word.text for word in call.arguments]
    before = words[words.index(text) - 1] if words.index(text) else ""
    return (
        before.startswith("--")
        and "=" not in before
        and before
        in (
            "--network-timeout",
            "--registry",
            "--omit",
            "--only",
            "--loglevel",
            "--filter",
            "--store-dir",
            "--cache-folder",
        )
    )


def _is_build(call: Call) -> bool:
    if call.program in ("npm", "pnpm", "yarn"):
        if _is_install(call) or installs_globally(call):
            return False
        return call.does not in (
            "",
            "config",
            "cache",
            "set",
            "version",
            "install",
            "i",
            "ci",
            "fetch",
            "prune",
            "audit",
            "store",
        )
    return call.program in _RUNNERS or call.program in ("tsc", "webpack", "vite", "ng", "nest")


def _folder(run: Run, call: Call) -> str | None:
    for option in (*call.options, *call.arguments):
        if option.text.startswith(("--prefix", "--cwd", "--dir", "-C")):
            return None
    if any(other.program == "cd" for other in run.calls):
        return None
    folder: str | None = run.around.folder
    return None if folder == "/" else folder


def _manifest(draft: Draft, run: Run, folder: str) -> tuple[Mapping[str, Any], str]:
    path = context_file(draft, run.instruction, f"{folder}/package.json")
    if path is None or draft.context is None:
        return {}, ""
    return manifest_of(draft.context.texts[path]), path


def manifest_of(text: str) -> Mapping[str, Any]:
    """A package.json; empty where it is none."""
    try:
        loaded = json.loads(text)
    except ValueError:
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _manager(draft: Draft, call: Call, manifest: Mapping[str, Any]) -> str:
    if call.program != "yarn":
        return call.program
    named = str(manifest.get("packageManager", ""))
    if match := re.match(r"yarn@(\d+)", named):
        return "yarn" if match[1] == "1" else "berry"
    if call.has("--immutable", "--immutable-cache", "--inline-builds") or call.does == "workspaces":
        return "berry"
    if _has_text(draft, ".yarnrc.yml"):
        return "berry"
    lock = draft.context.texts.get("yarn.lock", "") if draft.context is not None else ""
    return "berry" if "__metadata:" in lock else "yarn"


def _has_text(draft: Draft, name: str) -> bool:
    return draft.context is not None and draft.context.has(name)
