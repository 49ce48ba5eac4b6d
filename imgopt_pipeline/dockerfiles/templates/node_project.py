"""Answers for a Node project: what the user chose, else what its package.json and lock files say, else a default."""

from __future__ import annotations

import re
from typing import Any

from imgopt_pipeline.contents.npm_manifests import text_map
from imgopt_pipeline.dockerfiles.templates.answers import Choices, NodeAnswers, NodeManager, TemplateRefused
from imgopt_pipeline.dockerfiles.templates.bases import check_base, compiled
from imgopt_pipeline.dockerfiles.templates.node_serving import next_serving, node_serving
from imgopt_pipeline.dockerfiles.templates.project_files import ProjectFolder
from imgopt_pipeline.names import printable

_VERSION = "24"
_LOCKFILES: dict[str, NodeManager] = {
    "pnpm-lock.yaml": "pnpm",
    "yarn.lock": "yarn",
    "package-lock.json": "npm",
    "npm-shrinkwrap.json": "npm",
}
_PNPM = {"": "10.34.8", "6": "8.15.9", "5": "7.33.7"}
_YARN = {"": "4.18.1", "6": "3.8.7"}
"""Versions by the format of their lock files; '' is the newest format."""

_BESIDE = (".npmrc", ".yarnrc", ".yarnrc.yml", ".pnpmfile.cjs", "pnpm-workspace.yaml")
_FOLDERS = ("patches", "prisma", ".yarn/releases", ".yarn/plugins", ".yarn/patches")
_INSTALL_SCRIPTS = ("preinstall", "install", "postinstall", "prepare", "prepublish", "preprepare", "postprepare")
_NEXT_CONFIGURATION = ("next.config.js", "next.config.mjs", "next.config.ts", "next.config.cjs")
_PUBLIC = re.compile(r"^\s*(?:export\s+)?(NEXT_PUBLIC_\w+)\s*=", re.MULTILINE)


def node_answers(choices: Choices, project: ProjectFolder | None, remarks: list[str]) -> NodeAnswers:
    """The answers for `nodejs`. Raises TemplateRefused where they cannot be had, or do not fit."""
    if project is None:
        return _assumed(choices, remarks)
    if not project.has("package.json"):
        raise TemplateRefused("there is no package.json.", subject=str(project.root), hint="`npm init` writes one.")
    manifest = project.json("package.json")
    production = frozenset([*text_map(manifest.get("dependencies")), *text_map(manifest.get("optionalDependencies"))])
    development = frozenset(text_map(manifest.get("devDependencies")))
    scripts = text_map(manifest.get("scripts"))
    _refuse_workspaces(project, manifest)
    check_base(choices.base, "node", production, choices.packages)
    if choices.base == "alpine" and compiled(production | development, "node"):
        remarks.append("native modules need builds for musl (prebuilt ones mostly exist): this base has no compiler")
    manager, lockfile = _manager(choices, project, manifest, remarks)
    secret = "_authToken" in (npmrc := project.text(".npmrc")) or "_password" in npmrc
    beside = (name for name in _BESIDE if project.has(name) and not (secret and name == ".npmrc"))
    follows_next = "next" in production | development and not choices.command
    build = "build" if "build" in scripts else None
    if follows_next and build is None:
        raise TemplateRefused("package.json has no build script.", hint='Next.js needs "build": "next build".')
    next_folder, sets_standalone = _next(project, remarks) if follows_next else (None, False)
    return NodeAnswers(
        serving=(
            next_serving(choices, project, remarks)
            if follows_next
            else node_serving(choices, project, manifest, production, remarks)
        ),
        base=choices.base,
        version=_version(choices, project, manifest, remarks),
        manager=manager,
        manager_version=_manager_version(manager, project, manifest, remarks),
        files=("package.json", *([lockfile] if lockfile else []), *beside),
        folders=tuple(name for name in _FOLDERS if project.has_folder(name)),
        locked=lockfile is not None,
        depends=bool(production),
        build_script=build,
        needs_development=bool(development) and (build is not None or not scripts.keys().isdisjoint(_INSTALL_SCRIPTS)),
        next_folder=next_folder,
        sets_standalone=sets_standalone,
        build_arguments=_public_variables(project, remarks) if follows_next else (),
        secret_npmrc=secret,
        compiles=compiled(production | development, "node"),
        packages=choices.packages,
    )


def _assumed(choices: Choices, remarks: list[str]) -> NodeAnswers:
    """For a project that was not read."""
    if choices.manager not in (None, "npm"):
        raise TemplateRefused(f"how {choices.manager} is used is read from a project.", hint="Give it with --from DIR.")
    check_base(choices.base, "node", (), choices.packages)
    remarks.append("npm with a package-lock.json, no build step assumed; --from DIR reads a project")
    return NodeAnswers(
        serving=node_serving(choices, None, {}, frozenset(), remarks),
        base=choices.base,
        version=_version(choices, None, {}, remarks),
        packages=choices.packages,
    )


def _refuse_workspaces(project: ProjectFolder, manifest: dict[str, Any]) -> None:
    packages = re.search(r"^packages:", project.text("pnpm-workspace.yaml"), re.MULTILINE)
    if "workspaces" in manifest or packages:
        raise TemplateRefused(
            "it is a workspace of several packages, for which there is no template.",
            subject=str(project.root),
            hint="Let `turbo prune` or `pnpm deploy` write out the package to run, and name its folder.",
        )


def _manager(
    choices: Choices, project: ProjectFolder, manifest: dict[str, Any], remarks: list[str]
) -> tuple[NodeManager, str | None]:
    """The package manager, and its lock file where there is one."""
    if choices.manager not in (None, "npm", "pnpm", "yarn"):
        raise TemplateRefused(f"{choices.manager!r} does not install Node packages.", hint="Use npm, pnpm or yarn.")
    stated = str(manifest.get("packageManager", "")).partition("@")[0]
    wanted = choices.manager or (stated if stated in ("npm", "pnpm", "yarn") else None)
    present = [name for name in _LOCKFILES if project.has(name)]
    lockfile = next((name for name in present if wanted in (None, _LOCKFILES[name])), None)
    if lockfile is None:
        if present:
            raise TemplateRefused(f"{present[0]} is not a lock file of {wanted}.", hint="Which one is in use?")
        if project.first("bun.lock", "bun.lockb"):
            raise TemplateRefused(
                "Bun is not handled.", hint="`npm install --package-lock-only` writes a lock file of npm."
            )
        remarks.append("no lock file: what is installed changes from build to build; the package manager writes one")
    elif len(present) > 1:
        remarks.append(f"{lockfile} taken, of several lock files ({', '.join(present)}); --package-manager")
    known: dict[str, NodeManager] = {name: name for name in _LOCKFILES.values()}
    manager = _LOCKFILES[lockfile] if lockfile else known.get(wanted or "npm", "npm")
    if manager == "yarn" and lockfile and "__metadata:" in project.text(lockfile):
        if not re.search(r"^nodeLinker:\s*[\"']?node-modules", project.text(".yarnrc.yml"), re.MULTILINE):
            raise TemplateRefused(
                "Yarn's Plug'n'Play is not handled.",
                hint="`yarn config set nodeLinker node-modules`, then `yarn install`.",
            )
        manager = "yarn-berry"
    return manager, lockfile


def _manager_version(
    manager: NodeManager, project: ProjectFolder, manifest: dict[str, Any], remarks: list[str]
) -> str | None:
    if manager not in ("pnpm", "yarn-berry"):
        return None
    name = manager.removesuffix("-berry")
    stated = re.match(rf"{name}@(\d+\.\d+\.\d+)", str(manifest.get("packageManager", "")))
    committed = re.search(r"^yarnPath:.*yarn-(\d+\.\d+\.\d+)\.c?js", project.text(".yarnrc.yml"), re.MULTILINE)
    if stated or (name == "yarn" and committed):
        return (stated or committed)[1]  # type: ignore[index]
    if name == "pnpm":
        lock, versions = (
            re.search(r"^lockfileVersion:\s*['\"]?(\d+)", project.text("pnpm-lock.yaml"), re.MULTILINE),
            _PNPM,
        )
    else:
        lock, versions = re.search(r"^ +version:\s*(\d+)", project.text("yarn.lock"), re.MULTILINE), _YARN
    version = versions.get(lock[1] if lock else "", versions[""])
    remarks.append(f"{name} {version} assumed by its lock file; packageManager in package.json says which")
    return version


def _version(choices: Choices, project: ProjectFolder | None, manifest: dict[str, Any], remarks: list[str]) -> str:
    if choices.base == "wolfi":
        remarks.append("the Node version is the newest that Chainguard gives away")
        return _VERSION
    if choices.version is not None:
        return choices.version
    if project is not None:
        for name in (".nvmrc", ".node-version"):
            if match := re.match(r"v?(\d+)", project.text(name).strip()):
                return match[1]
        stated = str(text_map(manifest.get("engines")).get("node", ""))
        if match := re.search(r"(\d+)", stated):
            # `>=18` admits the default, `^20` and `20.x` do not.
            return _VERSION if ">" in stated and "<" not in stated and int(match[1]) <= int(_VERSION) else match[1]
    remarks.append(f"Node {_VERSION} assumed; --node VERSION")
    return _VERSION


def _next(project: ProjectFolder, remarks: list[str]) -> tuple[str, bool]:
    """Where Next.js builds to, and whether it has to be told to build a standalone server."""
    text = project.text(project.first(*_NEXT_CONFIGURATION) or "")
    text = re.sub(r"/\*.*?\*/|(?<!:)//[^\n]*", "", text, flags=re.DOTALL)
    output = re.search(r"\boutput['\"]?\s*:\s*['\"](\w+)['\"]", text)
    if output and output[1] == "export":
        raise TemplateRefused(
            "next.config exports static files.", hint="Any web server's image serves its folder `out`."
        )
    standalone = output is not None and output[1] == "standalone"
    if not standalone:
        remarks.append('next.config does not say `output: "standalone"`: the build sets it by an undocumented variable')
    folder = re.search(r"\bdistDir['\"]?\s*:\s*['\"]([^'\"]+)['\"]", text)
    return (folder[1].removeprefix("./").rstrip("/") if folder else ".next"), not standalone


def _public_variables(project: ProjectFolder, remarks: list[str]) -> tuple[str, ...]:
    """Names, never values, of variables that Next.js writes into pages while it builds."""
    files = (".env", ".env.production", ".env.local", ".env.production.local", ".env.example", ".env.sample")
    names = sorted({name for file in files for name in _PUBLIC.findall(project.text(file))})
    if names:
        shown = printable(", ".join(names))
        remarks.append(f"Next.js reads {shown} while it builds, and .env files stay out: give them as build arguments")
    return tuple(names)
