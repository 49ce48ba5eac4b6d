"""The filter that a flattened image's tree goes through: what stays is untouched, what goes is named."""

import io
import tarfile
from collections.abc import Callable

import orjson
import pytest

from imgopt_pipeline.builds.builder.flattening import NAMED_PATTERNS, LayerFilter, filtered_tar, flat_config
from imgopt_pipeline.errors import SettingsError, UnreadableLayer

CAPABILITY = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\xff\xfe\x00\x00\x00\x00\x00\x00".decode(
    "utf-8", "surrogateescape"
)
CONFIG = {
    "User": "12:13",
    "ExposedPorts": {"80/tcp": {}},
    "Env": ["A=x y", "B="],
    "Cmd": ["-c", "true"],
    "Healthcheck": {"Test": ["CMD", "true"], "Interval": 3_000_000_000},
    "Volumes": {"/var/lib/x": {}},
    "WorkingDir": "/tmp",
    "Entrypoint": ["/bin/sh"],
    "OnBuild": ["RUN true"],
    "Labels": {"l": "m"},
    "StopSignal": "SIGINT",
    "Shell": ["/bin/sh", "-e", "-c"],
    "SomethingNew": {"kept": True},
}


def test_what_stays_is_what_it_was() -> None:
    members = [
        entry("usr/", tarfile.DIRTYPE, mode=0o755),
        entry("usr/bin/ping", content=b"elf", pax_headers={"SCHILY.xattr.security.capability": CAPABILITY}),
        entry("usr/bin/su", content=b"su", mode=0o4755, uid=3_000_000_000, gid=7),
        entry("usr/bin/su2", tarfile.LNKTYPE, linkname="usr/bin/su"),
        entry("usr/lib", tarfile.SYMTYPE, linkname="../lib"),
        entry("dv", tarfile.CHRTYPE, devmajor=1, devminor=3),
        entry("ff", tarfile.FIFOTYPE),
        entry("x" * 300 + "/ö\udcff", content=b"long"),
        entry("empty"),
    ]
    kept = dict(flattened(members))
    assert list(kept) == [member.name.rstrip("/") for member, _ in members]
    for member, content in members:
        found, data = kept[member.name.rstrip("/")]
        assert data == content
        for name in ("type", "mode", "uid", "gid", "mtime", "linkname", "devmajor", "devminor", "size"):
            assert getattr(found, name) == getattr(member, name), (member.name, name)
    assert kept["usr/bin/ping"][0].pax_headers["SCHILY.xattr.security.capability"] == CAPABILITY


@pytest.mark.parametrize(
    ("pattern", "gone", "stays"),
    [
        ("caches", ["root/.cache/pip/x", "home/app/.cache/x", "var/cache/apt/pkgcache.bin"], ["srv/.cache/x"]),
        ("apt-lists", ["var/lib/apt/lists/deb_Packages"], ["var/lib/dpkg/status"]),
        ("docs", ["usr/share/doc/bash/README"], ["usr/share/doc/bash/copyright", "srv/usr/share/doc/x"]),
        ("man", ["usr/share/man/man1/ls.1.gz", "usr/share/info/x.gz"], ["usr/share/manual"]),
        ("locales", ["usr/share/locale/de/x.mo"], ["usr/share/locale/locale.alias", "usr/lib/locale/C.utf8/x"]),
        ("bytecode", ["srv/app/__pycache__/m.pyc"], ["srv/app/m.py", "srv/app/m.pyc"]),
        ("logs", ["var/log/dpkg.log"], ["srv/log"]),
        ("temporary-files", ["tmp/x", "var/tmp/x"], ["srv/tmp/x"]),
    ],
)
def test_named_patterns(pattern: str, gone: list[str], stays: list[str]) -> None:
    folders = [entry(f"{name.rpartition('/')[0]}/", tarfile.DIRTYPE) for name in gone]
    kept = [name for name, _ in flattened([*folders, *(entry(name) for name in gone + stays)], pattern)]
    assert set(kept) == {folder.name.rstrip("/") for folder, _ in folders} | set(stays)
    assert set(gone) <= {name for name, _ in flattened([entry(name) for name in gone])}


def test_every_pattern_is_tested() -> None:
    assert set(NAMED_PATTERNS) == {
        "caches", "apt-lists", "docs", "man", "locales", "bytecode", "logs", "temporary-files"
    }  # fmt: skip


def test_a_file_that_a_hard_link_needs_stays() -> None:
    members = [
        entry("root/.cache/a", content=b"a"),
        entry("root/.cache/b", content=b"b"),
        entry("srv/a", tarfile.LNKTYPE, linkname="root/.cache/a"),
    ]
    layer_filter = LayerFilter(["caches"])
    list(filtered_tar(packed(members), layer_filter.keeps))
    assert layer_filter.needed == {"root/.cache/a"}
    layer_filter.kept_anyway |= layer_filter.needed
    layer_filter.needed.clear()
    assert [name for name, _ in unpacked(members, layer_filter.keeps)] == ["root/.cache/a", "srv/a"]
    assert not layer_filter.needed


def test_what_the_engine_lays_into_containers_goes() -> None:
    members = [entry(".dockerenv"), entry("etc/hosts"), entry("etc/hostname", content=b"own"), entry("etc/passwd")]
    assert [name for name, _ in flattened(members)] == ["etc/hostname", "etc/passwd"]


def test_folders_the_engine_touched_have_no_time_of_their_own() -> None:
    first, second = (
        b"".join(filtered_tar(packed([entry("etc/", tarfile.DIRTYPE, mtime=now)]), LayerFilter([]).keeps))
        for now in (1_700_000_000, 1_800_000_000)
    )
    assert first == second


def test_cut_off() -> None:
    whole = packed([entry("a", content=b"x" * 5_000)]).getvalue()
    with pytest.raises(UnreadableLayer):
        list(filtered_tar(io.BytesIO(whole[:2_000]), LayerFilter([]).keeps))


def test_an_unknown_pattern() -> None:
    with pytest.raises(SettingsError, match=r"'documents'.*caches"):
        LayerFilter(["documents"])


def test_configuration() -> None:
    inspected = {
        "Id": "sha256:old", "Architecture": "arm64", "Variant": "v8", "Os": "linux", "Author": "", "Config": CONFIG,
        "Created": "2024-01-01T00:00:00Z", "RootFS": {"Layers": ["sha256:a", "sha256:b"]},
    }  # fmt: skip
    document = orjson.loads(flat_config(inspected, "sha256:new", ["man", "docs"], {"more": "1"}))
    assert document.pop("config") == CONFIG | {"Labels": {"l": "m", "more": "1"}}
    step = {"created": "2024-01-01T00:00:00Z", "created_by": "imgopt flatten of sha256:old without docs, man"}
    assert document == {
        "architecture": "arm64", "variant": "v8", "os": "linux", "created": "2024-01-01T00:00:00Z",
        "history": [step], "rootfs": {"type": "layers", "diff_ids": ["sha256:new"]},
    }  # fmt: skip


Member = tuple[tarfile.TarInfo, bytes]


def entry(name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", **attributes: object) -> Member:
    member = tarfile.TarInfo(name)
    member.type, member.size, member.mtime = kind, len(content), 1_600_000_000
    for key, value in attributes.items():
        setattr(member, key, value)
    return member, content


def packed(members: list[Member]) -> io.BytesIO:
    """A tar as Go's archive/tar writes it: extended headers only where they are needed."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    target.seek(0)
    return target


def unpacked(
    members: list[Member], keeps: Callable[[tarfile.TarInfo], bool]
) -> list[tuple[str, tuple[tarfile.TarInfo, bytes]]]:
    layer = io.BytesIO(b"".join(filtered_tar(packed(members), keeps)))
    with tarfile.open(fileobj=layer) as tar:
        found = []
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            found.append((member.name, (member, content.read() if content else b"")))
        return found


def flattened(members: list[Member], *patterns: str) -> list[tuple[str, tuple[tarfile.TarInfo, bytes]]]:
    return unpacked(members, LayerFilter(patterns).keeps)
