"""Images that hold every kind of entry a layer can hold, built by an engine or put together by hand.

Belongs here: what the images are made of. Does not belong here: what readers should make of them
(`oracle.py`) and the comparison (`test_readers.py`).
"""

import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .daemons import MTIME, Daemon

BUILT = "specimen:built"
FOREIGN = "specimen:foreign"
CARELESS = "specimen:careless"
SPARSE = "specimen:sparse"
FINE_TIME = "specimen:fine-time"
LARGE_ID = (1 << 21) + 5
#: Longer than the 100 bytes of a tar header, and than 256 bytes for the path, but not for its parts.
LONG_NAME = "n" * 180
LONG_PATH = "/".join(["d" * 120] * 3 + ["file"])

#: One step per kind of change; busybox has all the programs.
DOCKERFILE = rf"""
FROM busybox:test
ADD kinds.tar /kinds/
COPY --chown={LARGE_ID}:{LARGE_ID + 1} plain /copied/plain
COPY plain /copied/plain
COPY plain /copied/plain
WORKDIR /made/by/workdir
RUN mkdir -p /made/lower/deep /made/opaque/below /made/file2dir /made/dir2file /made/dir2link /made/gone/deep \
 && for d in lower lower/deep opaque opaque/below dir2file dir2link gone gone/deep; do echo $d > /made/$d/file; done \
 && rmdir /made/file2dir && echo file > /made/file2dir \
 && echo linked > /made/lower/b && ln /made/lower/b /made/lower/a && ln /made/lower/b /made/z \
 && mkfifo /made/pipe && ln -s ../nowhere/at/all /made/dangling && ln -s /made/z /made/absolute \
 && printf 'sparse' | dd of=/made/sparse bs=1 seek=3000000 2>/dev/null \
 && echo x > /made/setuid && chmod 6755 /made/setuid && mkdir -m 1777 /made/sticky \
 && echo x > /made/owned && chown {LARGE_ID}:{LARGE_ID} /made/owned \
 && touch -d '1960-05-04 03:02:01' /made/before && touch -d '2060-05-04 03:02:01' /made/after \
 && touch "$(printf '/made/bad\377\033[31mname')" "$(printf '/made/two\nlines')" '/made/back\slash' '/made/ space ' \
 && echo m > /made/mode && echo o > /made/owner && echo t > /made/time
RUN rm /made/owned /made/lower/file && rm -r /made/gone && rm "$(printf '/made/bad\377\033[31mname')"
RUN rm -r /made/opaque && mkdir /made/opaque && echo new > /made/opaque/new
RUN rm -r /made/dir2file && echo file > /made/dir2file && rm -r /made/dir2link && ln -s lower /made/dir2link \
 && rm /made/file2dir && mkdir /made/file2dir && echo inside > /made/file2dir/inside
RUN rm -r /made/lower/deep && mkdir /made/lower/deep
RUN echo more >> /made/lower/b
RUN ln /made/time /made/time.link && ln /made/mode /made/a.mode && chmod 755 /made/a.mode
RUN chmod 600 /made/mode
RUN chown 7:8 /made/owner
RUN touch -d '2001-02-03 04:05:06' /made/time
RUN chmod 700 /made/lower
RUN true
RUN true
RUN rm -r /kinds/tree/hidden && echo back > /kinds/tree/hidden
"""


def build_specimen(daemon: Daemon) -> None:
    """Build the image `BUILT` on a daemon, on a base of its own."""
    daemon.import_busybox("busybox:test")
    daemon.build(DOCKERFILE, {"kinds.tar": kinds_tar(), "plain": b"plain\n" * 100}, BUILT)


def kinds_tar() -> bytes:
    """Every kind of entry that `ADD` unpacks and a shell has trouble making."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("tree", "tree/hidden", "tree/empty", "tree/" + "/".join("deep" * 8)):
            _add(tar, name, tarfile.DIRTYPE, mode=0o755)
        _add(tar, "tree/hidden/file", content=b"hidden")
        _add(tar, "tree/empty.file")
        _add(tar, f"tree/{LONG_NAME}", content=b"long name")
        _add(tar, f"tree/{LONG_PATH}", content=b"long path")
        for number, name in enumerate(_odd_names()):
            _add(tar, name, content=b"odd" * number)
            _add(tar, name + ".link", tarfile.SYMTYPE, target=name)
        _add(tar, "tree/sub-second", content=b"time", mtime=1_500_000_000.987654321)
        _add(tar, "tree/before-epoch", content=b"time", mtime=-1_234_567.75)
        _add(tar, "tree/epoch", content=b"time", mtime=0)
        _add(tar, "tree/far", content=b"time", mtime=9_000_000_000)
        _add(tar, "tree/owned", content=b"owner", uid=LARGE_ID, gid=LARGE_ID + 7)
        _add(tar, "tree/setuid", content=b"mode", mode=0o4755)
        _add(tar, "tree/no-mode", content=b"mode", mode=0)
        _add(tar, "tree/sticky", tarfile.DIRTYPE, mode=0o1777)
        _add(tar, "tree/pipe", tarfile.FIFOTYPE)
        _add(tar, "tree/device", tarfile.CHRTYPE, device=(1, 3))
        _add(tar, "tree/disk", tarfile.BLKTYPE, device=(7, 0))
        # The name written first is not the first of a sorted walk.
        _add(tar, "tree/link-m", content=b"hard link")
        for name in ("tree/link-z", "tree/link-a", "tree/empty/link"):
            _add(tar, name, tarfile.LNKTYPE, target="tree/link-m")
        _add(tar, "tree/absolute", tarfile.SYMTYPE, target="/bin/busybox")
        _add(tar, "tree/relative", tarfile.SYMTYPE, target="../bin/../bin/busybox")
        _add(tar, "tree/long-target", tarfile.SYMTYPE, target=LONG_PATH)
        _add(tar, "tree/link-to-link", tarfile.LNKTYPE, target="tree/absolute")
    return packed.getvalue()


def foreign_image() -> bytes:
    """An image no engine made: another dialect of tar per layer, layers that repeat, empty ones."""
    layers = (_gnu_layer(), _empty_layer(), _pax_layer(), _empty_layer(), _gnu_layer(), _removing_layer())
    return archive_of(FOREIGN, layers)


def careless_image() -> bytes:
    """Layers as simple builders write them: parents left out, markers for nothing, markers beside new files.

    A file system cannot hold all of that, so what an engine unpacks has other entries than the tar.
    """
    layers = (
        layer_of(("a/b/c", b"parents"), ("/absolute/file", b"leading slash"), ("d/x", b"old"), ("e/y", b"kept")),
        layer_of(("d/.wh.x", b""), ("d/x", b"removed and there again")),
        layer_of(("e/.wh.nothing", b""), ("nowhere/.wh.nothing", b""), ("void/.wh..wh..opq", b"")),
        layer_of(("a/.wh..wh..opq", b""), ("a/new", b"all else below is gone")),
        layer_of(("e", b"a file in the place of a directory")),
        layer_of(("e/y", b"and a directory again")),
    )
    return archive_of(CARELESS, layers, with_history=False)


def sparse_image() -> bytes:
    """A layer in PAX's sparse form, which the classic store takes in, but cannot give out again."""
    with tempfile.TemporaryDirectory() as folder:
        with Path(folder, "sparse").open("wb") as file:
            file.truncate(10_000_000)
        command = ["tar", f"--directory={folder}", "--create", "--sparse", "--format=pax", "--file=-", "sparse"]
        layer = subprocess.run(command, check=True, capture_output=True).stdout
    return archive_of(SPARSE, (layer,))


def fine_time_image(seconds: str) -> bytes:
    """An image of one file whose time is written just so."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, "file", content=b"time", pax={"mtime": seconds})
    return archive_of(FINE_TIME, (packed.getvalue(),))


def archive_of(tag: str, layers: Sequence[bytes], *, with_history: bool = True) -> bytes:
    """An image of these layers in the form that `docker load` takes."""
    config: dict[str, object] = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2020-01-01T00:00:00Z",
        "config": {"Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer) for layer in layers]},
    }
    if with_history:
        config["history"] = [{"created_by": f"layer {number}"} for number in range(len(layers))]
    files = {f"layer{number}.tar": layer for number, layer in enumerate(layers)}
    manifest = [{"Config": "config.json", "RepoTags": [tag], "Layers": list(files)}]
    files |= {"config.json": json.dumps(config).encode(), "manifest.json": json.dumps(manifest).encode()}
    return layer_of(*files.items())


def _odd_names() -> Sequence[str]:
    raw = (b"tree/not\xffutf8", b"tree/esc\x1b[31mape", b"tree/two\nlines", b"tree/tab\t", b"tree/ space ")
    more = (
        b"tree/back\\slash",
        b"tree/\xc3\xbcml\xc3\xa4ut",
        b"tree/'\"quotes",
        b"tree/...",
        b"tree/.whatever",
    )
    return [name.decode("utf-8", "surrogateescape") for name in (*raw, *more)]


def _gnu_layer() -> bytes:
    """GNU tar's own forms: `./` names, long names, large numbers in base 256."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in (".", "./gnu", "./gnu/below"):
            _add(tar, name, tarfile.DIRTYPE, mode=0o755)
        _add(tar, f"./gnu/{LONG_NAME}", content=b"gnu")
        _add(tar, "./gnu/long-link", tarfile.SYMTYPE, target=LONG_PATH)
        _add(tar, "./gnu/owned", content=b"owner", uid=LARGE_ID, gid=LARGE_ID)
        _add(tar, "./gnu/before-epoch", content=b"time", mtime=-86_400)
        _add(tar, "./gnu/below/file", content=b"below" * 1000)
        _add(tar, "./gnu/link", tarfile.LNKTYPE, target="./gnu/below/file")
    return packed.getvalue()


def _pax_layer() -> bytes:
    """PAX with a global header, fractions of seconds, and a file that replaces a directory."""
    packed = io.BytesIO()
    headers = {"comment": "global"}
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT, pax_headers=headers) as tar:
        _add(tar, "pax/", tarfile.DIRTYPE, mode=0o755)
        _add(tar, "pax/sub-second", content=b"time", mtime=1_600_000_000.5)
        _add(tar, "pax/before-epoch", content=b"time", mtime=-0.5)
        _add(tar, "pax/capable", content=b"attribute", pax={"SCHILY.xattr.user.note": "kept"})
        _add(tar, "gnu", tarfile.DIRTYPE, mode=0o700)
        _add(tar, "gnu/.wh.owned")
        _add(tar, "gnu/below", content=b"a file now")
    return packed.getvalue()


def _removing_layer() -> bytes:
    """Markers of removal: an opaque directory whose marker comes last, and a whiteout of a directory."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        _add(tar, ".wh.pax")
        _add(tar, "gnu", tarfile.DIRTYPE, mode=0o755)
        _add(tar, "gnu/new", content=b"new")
        _add(tar, "gnu/.wh..wh..opq")
    return packed.getvalue()


def layer_of(*files: tuple[str, bytes]) -> bytes:
    """A tar of these files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files:
            _add(tar, name, content=content)
    return packed.getvalue()


def _empty_layer() -> bytes:
    return bytes(1024)


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _add(
    tar: tarfile.TarFile,
    name: str,
    kind: bytes = tarfile.REGTYPE,
    *,
    content: bytes = b"",
    mode: int = 0o644,
    uid: int = 0,
    gid: int = 0,
    mtime: float = MTIME,
    target: str = "",
    device: tuple[int, int] = (0, 0),
    pax: dict[str, str] | None = None,
) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.uid, entry.gid = kind, mode, uid, gid
    entry.linkname, entry.size = target, len(content)
    entry.mtime = mtime  # PAX takes fractions
    entry.devmajor, entry.devminor = device
    entry.pax_headers = dict(pax or {})
    tar.addfile(entry, io.BytesIO(content))
