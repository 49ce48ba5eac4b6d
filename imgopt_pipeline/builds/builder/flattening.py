"""An image's merged tree as one layer: without the bytes that no file system shows, and without named files.

For images whose Dockerfile is not at hand. The tree comes from a container that is never started and goes, filtered,
to the engine's own loader together with the image's configuration: twice, as its digest must be known beforehand.
Nothing is kept on this machine's disk, and no more than a piece of it in memory.
"""

from __future__ import annotations

import copy
import hashlib
import tarfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

import orjson
from pathspec import PathSpec
from pathspec.pattern import Pattern

from imgopt_pipeline import progress
from imgopt_pipeline.errors import HostUnreachable, ImageNotFound, LimitExceeded, SettingsError, UnreadableLayer
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import LOST_CONNECTION, HelperFiles, engine_errors
from imgopt_pipeline.hosts.models import Image
from imgopt_pipeline.hosts.read_ahead import ReadAhead
from imgopt_pipeline.names import printable

NAMED_PATTERNS: Mapping[str, tuple[str, ...]] = {
    "caches": (
        "/root/.cache/",
        "/home/*/.cache/",
        "/root/.npm/_cacache/",
        "/home/*/.npm/_cacache/",
        "/usr/local/share/.cache/",
        "/var/cache/apt/",
        "/var/cache/apk/",
        "/var/cache/dnf/",
        "/var/cache/yum/",
        "/var/cache/debconf/*-old",
    ),
    "apt-lists": ("/var/lib/apt/lists/",),
    "logs": ("/var/log/",),
    "temporary-files": ("/tmp/", "/var/tmp/"),  # noqa: S108  (of the image)
    # Licences ask to stay with what they are for.
    "docs": ("/usr/share/doc/", "!copyright", "!LICENSE*", "!NOTICE*", "/usr/share/gtk-doc/"),
    "man": ("/usr/share/man/", "/usr/local/share/man/", "/usr/share/info/"),
    "locales": ("/usr/share/locale/", "!/usr/share/locale/locale.alias", "!/usr/share/locale/C*/", "/usr/share/i18n/"),
    "bytecode": ("__pycache__/",),
}
"""What can be left out of an image by name, in the form of .gitignore. Folders themselves stay."""

_CHUNK_BYTES = 1 << 20
_PASSES = 4
_PATIENCE_SECONDS = 3_600
_ENTRIES = 10_000_000
# The engine lays these into every container; where they are empty, no image needs them.
_ENGINE_FILES = frozenset({".dockerenv", "etc/hostname", "etc/hosts", "etc/resolv.conf", "dev/console"})
# These it makes or changes there: their time is the container's, and would make every flattened image another.
_ENGINE_TOUCHED = frozenset({"", "etc", "etc/mtab", "dev", "dev/pts", "dev/shm", "proc", "sys"})
_COPIED = ("architecture", "os", "variant", "author", "created")


@dataclass(slots=True)
class LayerFilter:
    """Which entries of a tree stay. `needed` gathers what was left out although a hard link that stays leads to it."""

    pattern_names: Sequence[str]
    kept_anyway: set[str] = field(default_factory=set)
    needed: set[str] = field(default_factory=set)
    _left_out: set[str] = field(default_factory=set)
    _spec: PathSpec[Pattern] = field(init=False)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.pattern_names) - set(NAMED_PATTERNS))
        if unknown:
            raise SettingsError(
                f"there is no prune pattern {unknown[0]!r}.", hint=f"There are {', '.join(NAMED_PATTERNS)}."
            )
        lines = [line for name in NAMED_PATTERNS if name in self.pattern_names for line in NAMED_PATTERNS[name]]
        self._spec = PathSpec.from_lines("gitignore", lines)

    def keeps(self, member: tarfile.TarInfo) -> bool:
        """Whether an entry stays."""
        name = member.name.strip("/")
        if name in _ENGINE_FILES and not member.size and member.isreg():
            return False
        if not member.isdir() and name not in self.kept_anyway and self._spec.match_file(name):
            self._left_out.add(name)
            return False
        target = member.linkname.strip("/") if member.islnk() else ""
        if target in self._left_out and target not in self.kept_anyway:
            self.needed.add(target)
        return True


def filtered_tar(stream: BinaryIO, keeps: Callable[[tarfile.TarInfo], bool]) -> Iterator[bytes]:
    """A tar with the entries that stay, each with all its attributes. Raises UnreadableLayer where it is cut off."""
    try:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 18) as tar:
            for _ in range(_ENTRIES):
                member = tar.next()
                if member is None:
                    break
                cast(Any, tar).members = []  # kept for nothing, they would fill memory
                if not keeps(member):
                    continue
                if member.name.strip("/") in _ENGINE_TOUCHED:
                    member.mtime = 0
                    member.pax_headers = {key: value for key, value in member.pax_headers.items() if key != "mtime"}
                yield member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
                content = tar.extractfile(member) if member.isreg() else None
                if content is not None:
                    yield from _pieces(content)
                    yield bytes(-member.size % tarfile.BLOCKSIZE)
            else:
                raise LimitExceeded(f"its tree has more than {_ENTRIES:,} entries.")
    except tarfile.TarError as error:
        raise UnreadableLayer("the engine sent the image's tree cut off.") from error
    yield bytes(2 * tarfile.BLOCKSIZE)


def flatten(
    host: EngineHost,
    image: Image,
    prune_patterns: Sequence[str],
    tag: str,
    *,
    labels: Mapping[str, str] | None = None,
) -> str:
    """Make an image of one layer from another and tag it; its ID. `prune_patterns` are names of NAMED_PATTERNS.

    Raises ImageNotFound, HostUnreachable, UnreadableLayer, SettingsError.
    """
    layer_filter = LayerFilter(prune_patterns)
    with engine_errors(f"there is no image {image.name} on this host", missing=ImageNotFound):
        inspected = dict(host.client.inspect_image(image.image_id))
    volumes = [path for path in (inspected.get("Config") or {}).get("Volumes") or {} if path.strip("/.")]
    tree = _Tree(host.client, image.image_id, None, volumes=volumes)
    try:
        progress.current().start(f"Reading the files of {image.name}", image.size_bytes)
        digest, size_bytes = _measured(tree, layer_filter)
        progress.current().start(f"Making {tag} of them", size_bytes)
        config = flat_config(inspected, f"sha256:{digest}", prune_patterns, labels or {})
        layer = _layer(tree, layer_filter)
        _load(host, _archive(config, tag, _exactly(layer, size_bytes), size_bytes))
    finally:
        tree.remove()
    with engine_errors("the engine did not keep what it loaded", missing=ImageNotFound):
        image_id = str(host.client.inspect_image(tag)["Id"])
        repository, _, version = tag.rpartition(":")
        host.client.tag(image_id, repository, version)  # loading leaves no time of its tag, which sweeping goes by
    return image_id


def flat_config(
    inspected: Mapping[str, Any], diff_id: str, prune_patterns: Sequence[str], labels: Mapping[str, str]
) -> bytes:
    """The configuration of the flattened image: all of the old one's, with a history of one step."""
    config = copy.deepcopy(dict(inspected.get("Config") or {}))
    config["Labels"] = dict(sorted({**(config.get("Labels") or {}), **labels}.items()))
    pruned = f" without {', '.join(sorted(prune_patterns))}" if prune_patterns else ""
    document = {key: value for key in _COPIED if (value := inspected.get(key.capitalize()))}
    step = {"created": inspected.get("Created"), "created_by": f"imgopt flatten of {inspected['Id']}{pruned}"}
    document |= {"config": config, "history": [step], "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    if version := inspected.get("OsVersion"):
        document["os.version"] = version
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


class _Tree(HelperFiles):
    """The merged tree of an image."""

    @contextmanager
    def export(self) -> Iterator[BinaryIO]:
        url = self._client._url("/containers/{0}/export", self._name)
        with engine_errors("the engine does not hand out the image's tree"):
            answer = self._client._get(url, stream=True, timeout=_PATIENCE_SECONDS)
            self._client._raise_for_status(answer)

        def receive(size_bytes: int) -> bytes:
            try:
                return bytes(answer.raw.read(size_bytes, decode_content=False))
            except LOST_CONNECTION as error:
                raise HostUnreachable(
                    "the engine went away while it was sending.", hint="Start it and try again."
                ) from error

        with closing(answer), closing(ReadAhead(receive)) as stream:
            yield cast(BinaryIO, stream)


def _layer(tree: _Tree, layer_filter: LayerFilter) -> Generator[bytes, None, None]:
    with tree.export() as stream:
        done_bytes = 0
        for piece in filtered_tar(stream, layer_filter.keeps):
            yield piece
            done_bytes += len(piece)
            progress.current().advance(done_bytes)


def _measured(tree: _Tree, layer_filter: LayerFilter) -> tuple[str, int]:
    """Digest and size of the layer; looked at again where a hard link shows that a file must stay."""
    for _ in range(_PASSES):
        digest, size_bytes = hashlib.sha256(), 0
        with closing(_layer(tree, layer_filter)) as pieces:
            for piece in pieces:
                digest.update(piece)
                size_bytes += len(piece)
        if not layer_filter.needed:
            return digest.hexdigest(), size_bytes
        layer_filter.kept_anyway |= layer_filter.needed
        layer_filter.needed.clear()
    raise UnreadableLayer("its hard links lead in circles.", hint="The image is corrupt.")


def _archive(config: bytes, tag: str, layer: Iterable[bytes], layer_bytes: int) -> Iterator[bytes]:
    """The image as `docker save` would write it."""
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = orjson.dumps([{"Config": config_name, "RepoTags": [tag], "Layers": ["layer.tar"]}])
    yield from _member(config_name, [config], len(config))
    yield from _member("manifest.json", [manifest], len(manifest))
    yield from _member("layer.tar", layer, layer_bytes)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _member(name: str, content: Iterable[bytes], size_bytes: int) -> Iterator[bytes]:
    header = tarfile.TarInfo(name)
    header.size = size_bytes
    yield header.tobuf(tarfile.GNU_FORMAT)
    yield from content
    yield bytes(-size_bytes % tarfile.BLOCKSIZE)


def _exactly(pieces: Iterator[bytes], size_bytes: int) -> Iterator[bytes]:
    """The pieces, unless they turn out to be more or less than was measured."""
    seen_bytes = 0
    for piece in pieces:
        seen_bytes += len(piece)
        if seen_bytes > size_bytes:
            break
        yield piece
    if seen_bytes != size_bytes:
        raise UnreadableLayer("the engine sent another tree the second time.", hint="Try again.")


def _load(host: EngineHost, archive: Iterator[bytes]) -> None:
    """Hand an archive to the engine as it is made. Raises UnreadableLayer where it is not taken."""
    with engine_errors("the engine does not take the flattened image"):
        answer = host.client._post(
            host.client._url("/images/load"), data=archive, params={"quiet": "1"}, timeout=_PATIENCE_SECONDS
        )
        said = host.client._result(answer)
    for line in str(said).splitlines():
        try:
            document = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(document, dict) and "error" in document:
            raise UnreadableLayer(
                f"the engine does not take the flattened image ({printable(str(document['error']))}).",
                hint="Is there enough disk space?",
            )


def _pieces(content: Any) -> Iterator[bytes]:
    while piece := content.read(_CHUNK_BYTES):
        yield piece
