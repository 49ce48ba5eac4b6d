"""Node packages by their package.json, and whom of them only development needs.

A package owns its folder if it lies right in a node_modules, or if the folder bears the package's version, as
tools that come as an archive do (`opt/yarn-v1.22.22`). What a module carries within its own files, such as
`next/dist/compiled/…`, is a package too, but its bytes are the module's, which alone can be removed. Any
other package.json belongs to an application or a part of one: it is a package at its folder, but owns only
its package.json, so that the application's files stay the application's.
"""

from __future__ import annotations

from collections.abc import Mapping

from imgopt_pipeline.contents.models import Package, PackagesFound
from imgopt_pipeline.contents.node_projects import Standing, standings
from imgopt_pipeline.contents.npm_manifests import Manifest, parse_manifest
from imgopt_pipeline.contents.tree_view import Tree
from imgopt_pipeline.names import printable

_UNKNOWN = Standing()
_NESTING = 200


def node_packages(documents: Mapping[str, bytes], tree: Tree) -> PackagesFound:
    """Every package.json that states a name and a version."""
    found = PackagesFound()
    manifests: dict[str, Manifest] = {}
    for path in sorted(path for path in documents if path == "package.json" or path.endswith("/package.json")):
        if path.count("/") > _NESTING:
            found.warnings.append(f"{path} is nested too deeply; passed over")
            continue
        manifest = parse_manifest(path, documents[path])
        if isinstance(manifest, str):
            found.warnings.append(manifest)
        else:
            manifests[manifest.folder] = manifest
    known = standings(manifests, documents, found.warnings)
    for folder, manifest in manifests.items():
        if manifest.name and manifest.version:
            found.packages.append(_package(manifest, known.get(folder, _UNKNOWN)))
    return found


def _package(manifest: Manifest, standing: Standing) -> Package:
    folder = manifest.folder
    document = f"{folder}/package.json" if folder else "package.json"
    owns = not manifest.vendored if manifest.installed else folder.rpartition("/")[2].endswith(manifest.version)
    return Package(
        ecosystem="node",
        name=manifest.name,
        version=manifest.version,
        document=document,
        location=folder,
        files=() if manifest.vendored else (document,),
        folders=(folder,) if owns and folder else (),
        requires=tuple(dict.fromkeys(map(printable, manifest.dependencies))),
        requested=standing.requested,
        development=standing.development,
    )
