"""Paths of an image looked up without running anything in it, so that images without a shell answer too."""

from __future__ import annotations

import io
import posixpath
import tarfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import requests

from imgopt_pipeline.builds.checks.isolation import Isolation, asking
from imgopt_pipeline.names import printable

_LINKS = 20
_HEADERS_BYTES = 64_000
_ACCOUNTS_BYTES = 1_000_000
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Found:
    """What the path `named` leads to, links followed. `beginning`: the first bytes of a file."""

    named: str
    path: str
    mode: int
    uid: int
    gid: int
    folder: bool
    beginning: bytes

    def runs_for(self, uid: int, groups: Sequence[int]) -> bool:
        """Whether a user may execute it."""
        if uid == 0:
            return bool(self.mode & 0o111)
        bit = 0o100 if uid == self.uid else 0o010 if self.gid in groups else 0o001
        return bool(self.mode & bit)


class ImagePaths:
    """The files of a created container."""

    def __init__(self, isolation: Isolation, container: str) -> None:
        self._isolation = isolation
        self._container = container

    def find(self, path: str, *, size_bytes: int = 256) -> Found | None:
        """What stands at an absolute path; None where there is nothing."""
        named = path
        for _ in range(_LINKS):
            first = self._first(path, size_bytes)
            if first is None:
                return None
            member, beginning = first
            if not member.issym():
                return Found(named, path, member.mode, member.uid, member.gid, member.isdir(), beginning)
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), member.linkname))
        return None

    def command(self, word: str, environment: Mapping[str, str], workdir: str) -> Found | None:
        """The file that a command's first word leads to, as execvp looks for it."""
        if "/" in word:
            return self._file(posixpath.join(workdir, word))
        folders = (environment.get("PATH") or _DEFAULT_PATH).split(":")
        places = (posixpath.join(workdir, folder, word) for folder in folders)
        return next((found for place in places if (found := self._file(place))), None)

    def account(self, user: str) -> tuple[int, tuple[int, ...]]:
        """User ID and groups of a `USER`, by the image's own accounts; those of root where it has none."""
        name, _, group = user.partition(":")
        accounts = self._lines("/etc/passwd")
        entry = next((line for line in accounts if name and name in (line[0], line[2])), None)
        uid = int(name) if name.isdecimal() else int(entry[2]) if entry else 0
        gid = int(group) if group.isdecimal() else int(entry[3]) if entry else 0
        groups = self._lines("/etc/group")
        more = (int(line[2]) for line in groups if line[0] == group or (entry and entry[0] in line[3].split(",")))
        return uid, (gid, *more)

    def _first(self, path: str, size_bytes: int) -> tuple[tarfile.TarInfo, bytes] | None:
        """What stands at a path, a link unfollowed, and how the file there begins."""
        client = self._isolation.client
        with asking(f"the engine does not hand out {printable(path)}"):
            answer = client._get(
                client._url("/containers/{0}/archive", self._container),
                params={"path": path},
                headers={"Accept-Encoding": "identity"},
                stream=True,
            )
            with closing(answer):
                if answer.status_code == requests.codes.not_found:
                    return None
                client._raise_for_status(answer)
                data = answer.raw.read(size_bytes + _HEADERS_BYTES)
        try:
            with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
                member = tar.next()
        except tarfile.TarError:
            return None
        if member is None:
            return None
        return member, data[member.offset_data :][: min(member.size, size_bytes)] if member.isreg() else b""

    def _file(self, path: str) -> Found | None:
        found = self.find(path)
        return found if found and not found.folder else None

    def _lines(self, path: str) -> list[list[str]]:
        found = self.find(path, size_bytes=_ACCOUNTS_BYTES)
        text = found.beginning.decode(errors="replace") if found else ""
        lines = (line.split(":") for line in text.splitlines())
        return [
            line for line in lines if len(line) >= 4 and line[2].isdecimal() and (len(line) == 4 or line[3].isdecimal())
        ]
