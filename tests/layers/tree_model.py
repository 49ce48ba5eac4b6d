"""A naive account of an image: layers applied one by one to a dictionary of paths, as the OCI specification says.

Belongs here: what is right, in the plainest form, after OCI image-spec layer.md ("Changeset", "Whiteouts",
"Hardlinks") and dive's filetree/efficiency.go. It shares nothing with the package but `names.printable`,
and may be as slow as it likes.

Conventions where the specification leaves a choice:

- Entries of one layer apply in their order; a whiteout hides lower layers only, whatever its place.
- A hard link binds to what its target names when it is read: an earlier entry of its layer, else a file that
  the lower layers show. A link to a directory or to nothing binds to nothing.
- The reason of a hidden path: what stands at the path itself comes before what stands above it; above it, a
  whiteout comes before an opaque marker, and that before something that is no directory.
- Content with several names dies with the last; of several that go with the same layer, the reason is that of
  the name which stands for the content, else that of the lowest layer's first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from imgopt_pipeline.names import printable

Parts = tuple[bytes, ...]


@dataclass(frozen=True)
class Item:
    """An entry as a test means it: `path` is what it is about, `spelling` what the tar calls it."""

    kind: str
    path: Parts
    spelling: bytes = b""
    content: bytes = b""
    mtime: int = 0
    target: Parts = ()


@dataclass(frozen=True)
class Dead:
    """Content that the final tree does not show."""

    position: int
    path: str
    size_bytes: int
    killed_by: int
    reason: str


@dataclass(frozen=True)
class Dive:
    efficiency: float
    size_bytes: int
    user_size_bytes: int
    wasted_bytes: int
    user_wasted_percent: float


@dataclass(frozen=True)
class Expected:
    live_bytes: int
    dead_bytes: int
    live_files: int
    shown: tuple[tuple[int, int, frozenset[str]], ...]
    layers: tuple[tuple[int, int], ...]
    dead: tuple[Dead, ...]
    dive: Dive


@dataclass(eq=False)
class _Inode:
    layer: int
    content: bytes | None
    mtime: int
    written_names: list[Parts] = field(default_factory=list)
    deaths: list[tuple[int, int, Parts, str]] = field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        return len(self.content or b"")


@dataclass
class _Layer:
    """What one layer says: its tree (None is a directory), and what it hides."""

    number: int
    tree: dict[Parts, _Inode | None] = field(default_factory=dict)
    written_directories: set[Parts] = field(default_factory=set)
    whiteouts: set[Parts] = field(default_factory=set)
    opaques: set[Parts] = field(default_factory=set)
    inodes: list[_Inode] = field(default_factory=list)
    marker_contents: list[tuple[Parts, int]] = field(default_factory=list)

    def own_names(self, inode: _Inode) -> list[Parts]:
        return sorted((path for path, held in self.tree.items() if held is inode), key=_walk_order)

    def name_of(self, inode: _Inode) -> Parts:
        """The name that stands for a content: the first that a walk of the layer's tree meets."""
        return min(self.own_names(inode) or inode.written_names, key=_walk_order)


def expected(image: Sequence[Sequence[Item]], *, contents_known: bool) -> Expected:
    """What the layers of an image amount to. `contents_known`: equal contents can be told from others."""
    visible: dict[Parts, tuple[int, _Inode | None]] = {}
    layers: list[_Layer] = []
    for number, items in enumerate(image):
        layer = _read(number, items, {path: inode for path, (_, inode) in visible.items()})
        for path, (since, inode) in list(visible.items()):
            if inode is None and not _hides(layer, path, directory=True):
                continue
            reason = _reason(layer, path, since, inode, contents_known=contents_known)
            if reason is not None:
                del visible[path]
                if inode is not None:
                    inode.deaths.append((number, since, path, reason))
        for path, inode in layer.tree.items():
            visible[path] = (number, inode)
        layers.append(layer)
    alive = {id(inode) for _, inode in visible.values()}
    dead = [*_dead(layers, alive)]
    stored = [
        sum(inode.size_bytes for inode in layer.inodes) + sum(size for _, size in layer.marker_contents)
        for layer in layers
    ]
    lost = [sum(item.size_bytes for item in dead if item.position == layer.number) for layer in layers]
    files = [inode for layer in layers for inode in layer.inodes if inode.content is not None]
    return Expected(
        live_bytes=sum(stored) - sum(lost),
        dead_bytes=sum(lost),
        live_files=sum(id(inode) in alive for inode in files),
        shown=tuple(_shown(visible)),
        layers=tuple((whole - gone, gone) for whole, gone in zip(stored, lost, strict=True)),
        dead=tuple(dead),
        dive=_dive(layers, stored),
    )


def _shown(visible: dict[Parts, tuple[int, _Inode | None]]) -> Iterator[tuple[int, int, frozenset[str]]]:
    """Layer, size and all visible names of each content that the final tree shows."""
    names: dict[int, tuple[_Inode, set[str]]] = {}
    for path, (_, inode) in visible.items():
        if inode is not None and inode.content is not None:
            names.setdefault(id(inode), (inode, set()))[1].add(_text(path))
    for inode, known in names.values():
        yield inode.layer, inode.size_bytes, frozenset(known)


def contradicts(items: Sequence[Item]) -> bool:
    """Whether an entry stands below something that its own layer says is no directory: no engine takes that."""
    tree: dict[Parts, bool] = {}
    for item in items:
        if any(tree.get(above) is False for above in _above(item.path)):
            return True
        if item.kind in ("whiteout", "opaque"):
            continue
        tree |= dict.fromkeys(_above(item.path), True)
        if item.kind != "dir":
            tree = {path: value for path, value in tree.items() if item.path not in _above(path)}
        tree[item.path] = item.kind == "dir"
    markers = [item for item in items if item.kind in ("whiteout", "opaque")]
    return any(tree.get(above) is False for item in markers for above in _above(item.path))


def _read(number: int, items: Iterable[Item], lower: dict[Parts, _Inode | None]) -> _Layer:
    layer = _Layer(number)
    for item in items:
        if item.kind in ("whiteout", "opaque"):
            (layer.whiteouts if item.kind == "whiteout" else layer.opaques).add(item.path)
            for path in (*_above(item.path), *([item.path] if item.kind == "opaque" else [])):
                layer.tree.setdefault(path, None)
            if item.content:
                layer.marker_contents.append((item.path, len(item.content)))
            continue
        for above in _above(item.path):
            layer.tree.setdefault(above, None)
        if item.kind == "dir":
            layer.tree[item.path] = None
            layer.written_directories.add(item.path)
            continue
        if item.kind == "hardlink":
            inode = layer.tree[item.target] if item.target in layer.tree else lower.get(item.target)
            if inode is None:
                inode = _Inode(number, None, item.mtime)
            elif inode.layer == number:
                inode.written_names.append(item.path)
        else:
            inode = _Inode(number, item.content if item.kind == "file" else None, item.mtime, [item.path])
            layer.inodes.append(inode)
        for below in [path for path in layer.tree if item.path in _above(path)]:
            del layer.tree[below]
        layer.tree[item.path] = inode
    return layer


def _reason(layer: _Layer, path: Parts, since: int, inode: _Inode | None, *, contents_known: bool) -> str | None:
    """Why a layer hides a path of the layers below it; None where it does not."""
    if path in layer.tree:
        new = layer.tree[path]
        if inode is None or new is None or new.layer != layer.number or inode.layer != since:
            return "overwritten"
        if inode.content is None or new.content is None or inode.size_bytes != new.size_bytes:
            return "overwritten"
        if contents_known and inode.content:
            return "metadata" if inode.content == new.content else "overwritten"
        return "metadata" if inode.mtime == new.mtime else "overwritten"
    return _hides(layer, path, directory=inode is None)


def _hides(layer: _Layer, path: Parts, *, directory: bool) -> str | None:
    above = _above(path)
    if path in layer.whiteouts or any(parent in layer.whiteouts for parent in above):
        return "deleted"
    if any(parent in layer.opaques for parent in above):
        return "opaque"
    if any(layer.tree.get(parent) is not None for parent in above) or (directory and layer.tree.get(path) is not None):
        return "overwritten"
    return None


def _dead(layers: Sequence[_Layer], alive: set[int]) -> Iterator[Dead]:
    for layer in layers:
        for path, size in layer.marker_contents:
            yield Dead(layer.number, _text(path), size, layer.number, "deleted")
        for inode in layer.inodes:
            if inode.content is None or id(inode) in alive:
                continue
            name = layer.name_of(inode)
            if inode.deaths:
                last = max(killer for killer, *_ in inode.deaths)
                _, _, _, reason = min(
                    (death for death in inode.deaths if death[0] == last),
                    key=lambda death: (death[1:3] != (layer.number, name), death[1], _text(death[2])),
                )
                yield Dead(layer.number, _text(name), inode.size_bytes, last, reason)
            elif inode.size_bytes:
                yield Dead(layer.number, _text(name), inode.size_bytes, layer.number, "overwritten")


def _dive(layers: Sequence[_Layer], stored: Sequence[int]) -> Dive:
    """dive's figures: leaves of each layer's tree, summed per path; it knows no opaque directories.

    Where dive gives up (the whiteout of nothing) or forgets (that a directory was replaced), we go on, and
    pass over whiteouts of what no other layer names.
    """
    named = Counter(path for layer in layers for path in {*layer.tree, *layer.whiteouts})
    stacked: dict[Parts, int | None] = {}
    sizes: dict[Parts, list[int]] = {}
    for layer in layers:
        own: dict[Parts, int | None] = {
            path: None if inode is None else 0 for path, inode in layer.tree.items() if path
        }
        for inode in layer.inodes:
            for name in layer.own_names(inode)[:1]:
                own[name] = inode.size_bytes
        inner = {above for path in (*own, *layer.whiteouts) for above in _above(path)}
        for path, size in own.items():
            if path not in inner and (size is not None or path in layer.written_directories):
                sizes.setdefault(path, []).append(size or 0)
        for path in (path for path in layer.whiteouts if named[path] > 1):
            below = sum(size or 0 for other, size in stacked.items() if path in _above(other))
            sizes.setdefault(path, []).append(below if stacked.get(path, 0) is None else 0)
        stacked = {
            path: size
            for path, size in stacked.items()
            if not any(hidden in layer.whiteouts or own.get(hidden) is not None for hidden in (path, *_above(path)))
        }
        stacked |= own
    smallest = sum(min(values) for values in sizes.values())
    seen = sum(sum(values) for values in sizes.values())
    wasted = sum(sum(values) for values in sizes.values() if len(values) > 1)
    user = sum(stored[1:])
    return Dive(smallest / seen if seen else 1.0, sum(stored), user, wasted, wasted / user if user else 0.0)


def _above(path: Parts) -> list[Parts]:
    """The directories above a path; the root, (), is above everything else."""
    return [path[:length] for length in range(len(path))]


def _walk_order(path: Parts) -> list[str]:
    return [printable(part) for part in path]


def _text(path: Parts) -> str:
    return printable(b"/".join(path))
