"""Which directories in the folder of a compose project are worth a row: large ones of one kind, as a person names them.

Media and models: the largest folder that holds nothing of an application. Modules and build output: the application's
folder that they lie in. What else is large stands as a whole, less what was chosen inside.
"""

from __future__ import annotations

from imgopt_pipeline.hosts.directory_contents import MEDIA, REBUILDABLE
from imgopt_pipeline.hosts.directory_walk import Folder

DEPTH = 3


def chosen_folders(project: Folder, minimum_bytes: int) -> list[Folder]:
    """Directories below the project's folder, which itself is never one, that hold that much."""
    return [chosen for folder in project.folders for chosen in _choose(folder, minimum_bytes)]


def _choose(folder: Folder, minimum_bytes: int) -> list[Folder]:
    tally = folder.total()
    size_bytes = tally.size_bytes
    if size_bytes < minimum_bytes:
        return []
    if not folder.folders or folder.context.kind is not None:
        return [folder]
    if tally.of(MEDIA) * 2 >= size_bytes and not any(_is_application(inner) for inner in folder.all()):
        return [folder]
    if _own(folder) * 2 >= size_bytes:
        return [folder]
    chosen = [one for inner in folder.folders for one in _choose(inner, minimum_bytes)]
    rest_bytes = size_bytes - sum(one.total().size_bytes for one in chosen)
    return [*chosen, folder] if rest_bytes >= minimum_bytes else chosen


def _is_application(folder: Folder) -> bool:
    return folder.application or (folder.context.kind is None and "source" in folder.tally.by_kind)


def _own(folder: Folder) -> int:
    """Bytes of modules and build output directly in a folder."""
    return sum(inner.total().size_bytes for inner in folder.folders if inner.context.kind in REBUILDABLE)
