"""Files of an engine's data folder, through its API or straight from the disk.

Through the API: a container that is created, never started and removed again, with the folder bound
read-only, so that single files can be fetched. `Mounts` and not `Binds`: with a missing source they
fail instead of creating it on the host. What the files mean is the business of `layers`.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import secrets
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

import requests
import urllib3

from imgopt_pipeline.errors import HostUnreachable, UnreadableLayer
from imgopt_pipeline.hosts.docker_sdk import APIError, DockerException, Mount, NotFound, decode_json_header
from imgopt_pipeline.hosts.read_ahead import ReadAhead
from imgopt_pipeline.interrupts import interrupts_deferred
from imgopt_pipeline.names import printable

HELPER_LABEL = "imgopt.helper"
"""On every helper container, with the time of its creation in seconds since the epoch."""

SWEEP_AGE_SECONDS = 10_800
"""From which age on a helper container is a crash's: reading a large image through one may take an hour."""

_REMOVE_TRIES = 20
_TARGET = "/imgopt"
_EPOCH_SECONDS = re.compile(r"\d{1,12}", re.ASCII)

LOST_CONNECTION = (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError)
"""What the transport raises when the engine goes away."""


class EngineFiles(Protocol):
    """Reads files below one folder of an engine."""

    def open(self, path: str) -> contextlib.AbstractContextManager[BinaryIO]:
        """A file's bytes. Raises UnreadableLayer where there is none, HostUnreachable where the engine is gone."""
        ...

    def size_bytes(self, path: str) -> int | None:
        """A file's size, None where there is none."""
        ...


class HelperFiles:
    """Files through a helper container. `remove` takes it off the host again."""

    def __init__(self, client: Any, image_id: str, folder: str | None, *, volumes: Sequence[str] = ()) -> None:
        """Create the helper, for a folder of the host, or, without one, for the image's own files.

        `volumes`: paths that the image declares as volumes; nothing is made on the host for them.
        Raises UnreadableLayer where the engine will not have it.
        """
        self._client = client
        self._target = "" if folder is None else _TARGET
        mounts = [Mount(path, None, type="tmpfs") for path in volumes]
        if folder is not None:
            mounts.append(Mount(_TARGET, folder, type="bind", read_only=True))
        self._name = f"imgopt-helper-{secrets.token_hex(8)}"
        try:
            with engine_errors("the engine does not let a helper container be created"):
                client.create_container(
                    image_id,
                    command=["imgopt-never-started"],
                    name=self._name,
                    labels={HELPER_LABEL: str(int(time.time()))},
                    host_config=client.create_host_config(mounts=mounts, network_mode="none"),
                )
        except UnreadableLayer:
            raise
        except BaseException:
            # Interrupted before the answer came: the engine may still be making it.
            with interrupts_deferred():
                for _ in range(_REMOVE_TRIES):
                    if self._remove():
                        break
                    time.sleep(0.05)
            raise

    @contextlib.contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        with self._archive(path.encode()) as stream:
            yield cast(BinaryIO, _Member(stream, path))

    def members(self, path: bytes) -> Iterator[tuple[bytes, int, BinaryIO]]:
        """Name, size and content of every regular file at or below a path; names begin with its last part.

        Each content is to be read before the next. Raises UnreadableLayer where there is no such path.
        """
        with self._archive(path) as stream:
            try:
                with tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 18) as tar:
                    while member := tar.next():
                        cast(Any, tar).members = []  # kept for nothing, they would fill memory
                        content = tar.extractfile(member) if member.isreg() else None
                        if content is not None:
                            name = member.name.encode("utf-8", "surrogateescape")
                            yield name, member.size, cast(BinaryIO, content)
            except tarfile.TarError as error:
                raise UnreadableLayer(f"the engine sent {printable(path)} cut off.") from error

    @contextlib.contextmanager
    def _archive(self, path: bytes) -> Iterator[BinaryIO]:
        with engine_errors(f"the engine does not hand out {printable(path)}"):
            answer = self._get(path)
        with contextlib.closing(answer), contextlib.closing(ReadAhead(_receiver(answer))) as stream:
            yield cast(BinaryIO, stream)

    def _get(self, path: bytes) -> Any:
        # Not by the SDK's own call: what it returns hands on every chunk of the transfer by itself, 32 KB each.
        answer = self._client._get(
            self._client._url("/containers/{0}/archive", self._name),
            params={"path": self._target.encode() + b"/" + path},
            headers={"Accept-Encoding": "identity"},
            stream=True,
        )
        self._client._raise_for_status(answer)
        return answer

    def size_bytes(self, path: str) -> int | None:
        url = self._client._url("/containers/{0}/archive", self._name)  # the SDK has no call for HEAD
        try:
            answer = self._client.head(url, params={"path": f"{self._target}/{path}"}, timeout=self._client.timeout)
        except LOST_CONNECTION as error:
            raise HostUnreachable("the engine went away.", hint="Start it and try again.") from error
        if answer.status_code != requests.codes.ok:
            return None
        return int(decode_json_header(answer.headers["X-Docker-Container-Path-Stat"])["size"])

    def remove(self) -> None:
        """Take the helper off the host."""
        with interrupts_deferred():
            self._remove()

    def _remove(self) -> bool:
        """Whether there was one, and it went."""
        with contextlib.suppress(DockerException, *LOST_CONNECTION):
            self._client.remove_container(self._name, v=True, force=True)
            return True
        return False


class DirectFiles:
    """The same files where they lie on this machine's disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        try:
            with (self.folder / path).open("rb") as file:
                yield file
        except OSError as error:
            raise UnreadableLayer(f"{self.folder / path} cannot be read ({error.strerror}).") from error

    def size_bytes(self, path: str) -> int | None:
        try:
            return os.stat(self.folder / path).st_size
        except OSError:
            return None


class _Member(io.RawIOBase):
    """The one file of a tar that is being received. Raises UnreadableLayer where there is none."""

    def __init__(self, stream: BinaryIO, path: str) -> None:
        self._stream = stream
        self._path = printable(path)
        try:
            # A buffer of one block leaves the stream where the content begins: past here nothing is copied.
            with tarfile.open(fileobj=stream, mode="r|", bufsize=tarfile.BLOCKSIZE) as tar:
                member = tar.next()
        except tarfile.TarError as error:
            raise self._cut_off() from error
        if member is None or not member.isreg():
            raise UnreadableLayer(f"{self._path} is no file.")
        self._left = member.size

    def readable(self) -> bool:
        return True

    def read(self, size_bytes: int = -1, /) -> bytes:
        wanted = self._left if size_bytes < 0 else min(size_bytes, self._left)
        data = self._stream.read(wanted) if wanted else b""
        if len(data) < wanted:
            raise self._cut_off()
        self._left -= len(data)
        return data

    def readinto(self, buffer: Any, /) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _cut_off(self) -> UnreadableLayer:
        return UnreadableLayer(f"the engine sent {self._path} cut off.")


def _receiver(answer: Any) -> Callable[[int], bytes]:
    def receive(size_bytes: int) -> bytes:
        try:
            return bytes(answer.raw.read(size_bytes, decode_content=False))
        except LOST_CONNECTION as error:
            raise HostUnreachable(
                "the engine went away while it was sending.", hint="Start it and try again."
            ) from error

    return receive


class ChunkStream(io.RawIOBase):
    """A stream over the chunks of an engine's answer, whose failures are said in our words.

    A refusal shows at the first chunk only; it is fetched at once, for `engine_errors` to see.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = next(chunks, b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if not self._rest:
            try:
                self._rest = next(self._chunks, b"")
            except LOST_CONNECTION as error:
                raise HostUnreachable(
                    "the engine went away while it was sending.", hint="Start it and try again."
                ) from error
        taken = self._rest[: len(buffer)]
        self._rest = self._rest[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def read(self, size_bytes: int = -1, /) -> bytes:
        if size_bytes < 0:
            return self.readall()
        parts = []
        while size_bytes > 0:
            part = bytearray(size_bytes)
            count = self.readinto(part)
            if not count:
                break
            parts.append(bytes(part[:count]) if count < len(part) else bytes(part))
            size_bytes -= count
        return b"".join(parts)

    def close(self) -> None:
        closing = getattr(self._chunks, "close", None)
        if closing is not None:
            closing()
        super().close()


@contextlib.contextmanager
def engine_errors(what: str, *, missing: type[Exception] | None = None) -> Iterator[None]:
    """Turn the SDK's errors into ours: refusals into UnreadableLayer, a lost engine into HostUnreachable."""
    try:
        yield
    except NotFound as error:
        raise (missing or UnreadableLayer)(f"{what} ({_explanation(error)}).") from error
    except APIError as error:
        raise UnreadableLayer(f"{what} ({_explanation(error)}).") from error
    except (DockerException, *LOST_CONNECTION) as error:
        raise HostUnreachable("the engine went away.", hint="Start it and try again.") from error


def sweep_helpers(client: Any, *, age_seconds: int = SWEEP_AGE_SECONDS) -> int:
    """Remove helper containers that a crash left, once they are that old; how many went."""
    swept = 0
    with engine_errors("the engine does not list its containers"):
        containers = client.containers(all=True, filters={"label": HELPER_LABEL})
    for container in containers:
        stamp = str(container.get("Labels", {}).get(HELPER_LABEL, ""))
        born = int(stamp) if _EPOCH_SECONDS.fullmatch(stamp) else int(container.get("Created") or 0)
        if time.time() - born > age_seconds and container.get("State") == "created":
            with contextlib.suppress(DockerException, *LOST_CONNECTION):
                client.remove_container(container["Id"], v=True, force=True)
                swept += 1
    return swept


def _explanation(error: APIError) -> str:
    return printable(str(error.explanation or error).strip().rstrip("."))
