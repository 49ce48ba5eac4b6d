"""tar-split metadata of a tar, as an engine would have written it.

Source: the tar-split project, `tar/storage` (`Entry`, `FileType`, `SegmentType`) and `tar/asm/disassemble.go`.
"""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any

_ISO = 0xD800000000000000


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (_ISO if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def crc64(content: bytes) -> int:
    """CRC-64 with the ISO 3309 polynomial, as Go's hash/crc64 has it."""
    value = 0xFFFFFFFFFFFFFFFF
    for byte in content:
        value = _TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFFFFFFFFFF


def tar_split(tar: bytes) -> bytes:
    """Segments of raw bytes and, for each content, its name, size and CRC-64, one JSON object a line."""
    lines = [{**record, "position": number} for number, record in enumerate(_records(tar))]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def _records(tar: bytes) -> Iterator[dict[str, Any]]:
    position = 0
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:", errors="surrogateescape") as members:
        for member in members:
            start, size = member.offset_data, member.size if member.isreg() else 0
            yield _segment(tar[position:start])
            content = tar[start : start + size]
            sum64 = base64.b64encode(crc64(content).to_bytes(8, "big")).decode() if content else None
            yield {"type": 1, "name": member.name.encode("ascii", "replace").decode(), "size": size, "payload": sum64}
            position = start + size
    yield _segment(tar[position:])


def _segment(data: bytes) -> dict[str, Any]:
    return {"type": 2, "payload": base64.b64encode(data).decode()}
