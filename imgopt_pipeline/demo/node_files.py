"""Files of Node projects: package.json, lock files, node_modules, and what Next.js builds.

Sources: npm's documentation, package-lock.json (lockfileVersion 3; the hidden lock file in node_modules); yarn v1's
lock file and its integrity file; yarn berry's lock file; Next.js, `output: standalone` and output file tracing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from imgopt_pipeline.demo.contents import NextBuild, NodePackage, NodeProject
from imgopt_pipeline.demo.files import MadeFile, below, how_many, numbered, spread, text_file, total_bytes
from imgopt_pipeline.errors import SettingsError

_WORDS = "array async buffer cache color date deep error event fetch file glob hash http is json lodash map path proto"
_ENDS = "core util parse merge stream wrap loader types plugin helper"


def project_files(project: NodeProject) -> list[MadeFile]:
    """A project's package.json, lock file and node_modules. Raises SettingsError where a package is too small."""
    packages = _all_packages(project)
    top = [package for package in packages if not any(package.name in other.requires for other in packages)]
    files = [text_file(below(project.at, "package.json"), _json(_package_json(project, top)))]
    for package in packages:
        files += _package_files(below(project.at, f"node_modules/{package.name}"), package, packages)
    development = _development(packages, top)
    if project.lock == "npm":
        lock = _npm_lock(project, packages, top, development)
        hidden = lock | {"packages": {path: entry for path, entry in lock["packages"].items() if path}}
        files.append(text_file(below(project.at, "package-lock.json"), _json(lock)))
        if packages:
            files.append(text_file(below(project.at, "node_modules/.package-lock.json"), _json(hidden)))
    elif project.lock == "yarn":
        files.append(text_file(below(project.at, "yarn.lock"), _yarn_lock(packages)))
        patterns = [f"{package.name}@{package.version}" for package in top]
        integrity = {"systemParams": "linux-x64-115", "modulesFolders": ["node_modules"], "topLevelPatterns": patterns}
        files.append(text_file(below(project.at, "node_modules/.yarn-integrity"), _json(integrity)))
    elif project.lock == "berry":
        files.append(text_file(below(project.at, "yarn.lock"), _berry_lock(project, packages, top)))
    return files


def _all_packages(project: NodeProject) -> list[NodePackage]:
    """Packages named one by one and the many others, each of which some package of its kind requires."""
    packages = list(project.packages)
    names = {package.name for package in packages}
    number = 0
    for others in project.others:
        owners = [
            place for place, package in enumerate(packages) if package.dev is others.dev and package.name in names
        ]
        sizes = [file.size_bytes for file in spread(numbered("*", others.count), others.size)]
        for size in sizes:
            name, number = _invented(number), number + 1
            while name in names:
                name, number = _invented(number), number + 1
            packages.append(
                NodePackage(name=name, version=f"{number % 9 + 1}.{number % 7}.0", size=size, dev=others.dev)
            )
            if owners:
                owner = owners[number % len(owners)]
                before = packages[owner]
                packages[owner] = before.model_copy(update={"requires": (*before.requires, name)})
    return packages


def _invented(number: int) -> str:
    words, ends = _WORDS.split(), _ENDS.split()
    name = f"{words[number % len(words)]}-{ends[number // len(words) % len(ends)]}"
    again = number // (len(words) * len(ends))
    return f"{name}-{again}" if again else name


def _development(packages: Sequence[NodePackage], top: Sequence[NodePackage]) -> set[str]:
    """Names that only development packages lead to."""
    by_name = {package.name: package for package in packages}
    production: set[str] = set()
    waiting = [package.name for package in top if not package.dev]
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in production:
            production.add(name)
            waiting += by_name[name].requires
    return set(by_name) - production


def _package_files(folder: str, package: NodePackage, packages: Sequence[NodePackage]) -> list[MadeFile]:
    versions = {other.name: other.version for other in packages}
    described: dict[str, Any] = {"name": package.name, "version": package.version, "license": "MIT"}
    if package.requires:
        described["dependencies"] = {name: f"^{versions.get(name, '1.0.0')}" for name in package.requires}
    manifest = text_file(f"{folder}/package.json", _json(described))
    left = package.size - manifest.size_bytes
    if left < 0:
        raise SettingsError(
            f"the Node package {package.name} is {package.size:,} bytes, but its package.json takes"
            f" {manifest.size_bytes:,}.",
            hint="Give it a larger size.",
        )
    count = how_many(left, each_bytes=100_000, most=12)
    paths = [f"{folder}/index.js", *numbered(f"{folder}/dist/part*.js", count)][:count]
    return [manifest, *spread(paths, left)]


def _package_json(project: NodeProject, top: Sequence[NodePackage]) -> dict[str, Any]:
    described: dict[str, Any] = {"name": project.name, "version": project.version, "private": True}
    for key, dev in (("dependencies", False), ("devDependencies", True)):
        described[key] = {package.name: f"^{package.version}" for package in top if package.dev is dev}
    return described


def _npm_lock(
    project: NodeProject, packages: Sequence[NodePackage], top: Sequence[NodePackage], development: set[str]
) -> dict[str, Any]:
    versions = {package.name: package.version for package in packages}
    entries: dict[str, Any] = {"": _package_json(project, top)}
    for package in packages:
        entry: dict[str, Any] = {"version": package.version}
        if package.name in development:
            entry["dev"] = True
        if package.requires:
            entry["dependencies"] = {name: f"^{versions.get(name, '1.0.0')}" for name in package.requires}
        entries[f"node_modules/{package.name}"] = entry
    return {
        "name": project.name,
        "version": project.version,
        "lockfileVersion": 3,
        "requires": True,
        "packages": entries,
    }


def _yarn_lock(packages: Sequence[NodePackage]) -> str:
    versions = {package.name: package.version for package in packages}
    parts = ["# THIS IS AN AUTOGENERATED FILE. DO NOT EDIT THIS FILE DIRECTLY.\n# yarn lockfile v1\n\n"]
    for package in sorted(packages, key=lambda item: item.name):
        parts.append(f'\n{_quoted(f"{package.name}@^{package.version}")}:\n  version "{package.version}"\n')
        if package.requires:
            lines = (f'    {_quoted(name)} "^{versions.get(name, "1.0.0")}"\n' for name in package.requires)
            parts.append("  dependencies:\n" + "".join(lines))
    return "".join(parts)


def _berry_lock(project: NodeProject, packages: Sequence[NodePackage], top: Sequence[NodePackage]) -> str:
    versions = {package.name: package.version for package in packages}

    def entry(key: str, version: str, resolution: str, names: Sequence[str], link: str) -> str:
        lines = "".join(f"    {_quoted(name)}: ^{versions.get(name, '1.0.0')}\n" for name in names)
        dependencies = f"  dependencies:\n{lines}" if lines else ""
        return (
            f'\n"{key}":\n  version: {version}\n  resolution: "{resolution}"\n{dependencies}'
            f"  languageName: {'unknown' if link == 'soft' else 'node'}\n  linkType: {link}\n"
        )

    workspace = f"{project.name}@workspace:."
    entries = [entry(workspace, "0.0.0-use.local", workspace, [package.name for package in top], "soft")]
    entries += [
        entry(
            f"{package.name}@npm:^{package.version}",
            package.version,
            f"{package.name}@npm:{package.version}",
            package.requires,
            "hard",
        )
        for package in packages
    ]
    start = '# This file is generated by running "yarn install" inside your project.\n\n__metadata:\n  version: 6\n'
    return start + "".join(sorted(entries))


def next_files(build: NextBuild) -> list[MadeFile]:
    """What `next build` writes; traces of the pages name the packages they need."""
    folder = below(build.at, ".next")
    required = {"version": 1, "config": {"output": "standalone" if build.standalone else None}, "files": []}
    trace = {"version": 1, "files": ["../../node_modules/next/package.json", "../../package.json"]}
    files = [
        text_file(f"{folder}/BUILD_ID", "demo-build\n"),
        text_file(f"{folder}/required-server-files.json", _json(required)),
        text_file(f"{folder}/server/pages/index.js.nft.json", _json(trace)),
    ]
    if build.cache:
        files += spread(numbered(f"{folder}/cache/webpack/server-production/*.pack", 8), build.cache)
    if build.standalone:
        files += [text_file(f"{folder}/standalone/server.js", "require('next')\n")]
        paths = numbered(f"{folder}/standalone/node_modules/next/part*.js", 40)
        files += spread(paths, max(0, build.standalone - files[-1].size_bytes))
    left = build.size - total_bytes(files)
    if left < 0:
        raise SettingsError(
            f"{folder} is {build.size:,} bytes, but its parts take more.", hint="Give it a larger size."
        )
    server = left * 2 // 3
    files += spread(numbered(f"{folder}/server/chunks/*.js", how_many(server, each_bytes=300_000, most=600)), server)
    paths = numbered(f"{folder}/static/chunks/*.js", how_many(left - server, each_bytes=120_000, most=600))
    return files + spread(paths, left - server)


def _quoted(name: str) -> str:
    return f'"{name}"' if name.startswith("@") else name


def _json(value: Any) -> str:
    return json.dumps(value, indent=1) + "\n"
