"""From declared contents to the files of a layer, given what the layers below it hold.

Nothing is written here; `layer_blobs` and `host_folder` do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from imgopt_pipeline.demo.contents import Contents
from imgopt_pipeline.demo.declaration import Layer
from imgopt_pipeline.demo.declared import path_fault
from imgopt_pipeline.demo.distribution_files import Installed, alpine_files, debian_files
from imgopt_pipeline.demo.files import MadeFile, pattern_files, text_file, total_bytes
from imgopt_pipeline.demo.node_files import next_files, project_files
from imgopt_pipeline.demo.other_files import cache_files, git_files
from imgopt_pipeline.demo.python_files import environment_files
from imgopt_pipeline.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Tree:
    """What an image shows at some layer: files by path, and what its package databases list."""

    files: Mapping[str, MadeFile] = field(default_factory=dict)
    installed: Installed = field(default_factory=Installed)


@dataclass(frozen=True, slots=True)
class PlannedLayer:
    """What a layer stores: files, paths it deletes, folders it makes opaque."""

    files: tuple[MadeFile, ...]
    deleted: tuple[str, ...]
    opaque: tuple[str, ...]

    @property
    def file_bytes(self) -> int:
        """The size that engines state."""
        return total_bytes(self.files)


def contents_files(contents: Contents, installed: Installed) -> tuple[list[MadeFile], Installed]:
    """The files that contents declare, each path once, and what package databases list then.

    Raises SettingsError where two of them claim one path, or a package is too small for its own metadata.
    """
    files = pattern_files(contents.files)
    files += [text_file(path, text) for path, text in contents.text.items()]
    for environment in contents.python:
        files += environment_files(environment)
    for project in contents.node:
        files += project_files(project)
    for build in contents.next:
        files += next_files(build)
    for git in contents.git:
        files += git_files(git)
    files += cache_files([(str(name), size) for name, size in contents.caches.items()])
    if contents.debian is not None:
        own, installed = debian_files(contents.debian, installed)
        files += own
    if contents.alpine:
        own, installed = alpine_files(contents.alpine, installed)
        files += own
    seen: set[str] = set()
    for file in files:
        # Names of packages and of their modules become paths too.
        if fault := path_fault(file.path):
            raise SettingsError(f"{fault}.", hint="Give the package or file another name.")
        if file.path in seen:
            raise SettingsError(f"two of its parts hold the file {file.path}.", hint="Give one another name or folder.")
        seen.add(file.path)
    for path in seen:
        folder = path
        while folder := folder.rpartition("/")[0]:
            if folder in seen:
                raise SettingsError(f"{folder} is a file and a folder at once.", hint="Give one another name.")
    return files, installed


def plan_layer(layer: Layer, below: Tree) -> tuple[PlannedLayer, Tree]:
    """What a layer stores on top of a tree, exactly `layer.size` bytes where that is given, and the tree then.

    Raises SettingsError where its contents take more than that.
    """
    files, installed = contents_files(layer, below.installed)
    own = {file.path for file in files}
    for folder in layer.chown:
        again = [file for path, file in below.files.items() if path.startswith(f"{folder}/") and path not in own]
        if not again:
            raise SettingsError(f"chown: no lower layer holds anything in {folder}.")
        files += again
    for path in (*layer.delete, *layer.opaque):
        if not any(held == path or held.startswith(f"{path}/") for held in below.files):
            raise SettingsError(f"delete: no lower layer holds {path}.")
    if layer.size is not None:
        left = layer.size - total_bytes(files)
        if left < 0:
            raise SettingsError(f"its size is {layer.size:,} bytes, but its contents take {layer.size - left:,}.")
        if left:
            if layer.rest_path in own:
                raise SettingsError(f"rest: the file {layer.rest_path} is among its contents already.")
            files.append(MadeFile(layer.rest_path, left))
    hidden = tuple(f"{path}/" for path in (*layer.delete, *layer.opaque))
    kept = below.files
    if hidden:
        kept = {path: file for path, file in kept.items() if path not in layer.delete and not path.startswith(hidden)}
    planned = PlannedLayer(tuple(files), layer.delete, layer.opaque)
    return planned, replace(below, files={**kept, **{file.path: file for file in files}}, installed=installed)
