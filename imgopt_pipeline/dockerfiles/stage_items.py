"""The instructions of a final stage as they come together: in what order, and which of them nothing stands on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from imgopt_pipeline.dockerfiles.copied_paths import Copied, is_inside
from imgopt_pipeline.dockerfiles.models import Dockerfile, Instruction

LAYERS = frozenset({"RUN", "COPY", "ADD"})
_SETTINGS = frozenset({"ENV", "ARG", "WORKDIR", "SHELL"})
_MAKES_USERS = re.compile(r"\b(useradd|adduser|groupadd|addgroup)\b")
_KNOWN_USERS = re.compile(r"\d+(:\d+)?|root(:root)?|nobody(:nogroup)?|www-data(:www-data)?|node(:node)?")


@dataclass(frozen=True, slots=True)
class Item:
    """An instruction of the final stage. `path`: where a COPY leads, `apart`: an empty line stands before it."""

    keyword: str
    text: str
    apart: bool = False
    path: str | None = None


def place_of_copies(items: Sequence[Item], first: int, copies: Sequence[Copied]) -> int:
    """Where the copies out of the build stage stand: from `first` on, after settings and the users they are given to.

    COPYs of the context to other folders come after them, so that a change of the sources leaves them cached.
    """
    owners = {copied.owner for copied in copies if not _KNOWN_USERS.fullmatch(copied.owner)} - {""}
    if owners:
        makers = (n + 1 for n, item in enumerate(items) if item.keyword == "RUN" and _MAKES_USERS.search(item.text))
        first = max([first, *makers])
    while first < len(items) and items[first].keyword in _SETTINGS:
        first += 1
    while first > 0:
        item = items[first - 1]
        if item.keyword != "COPY" or item.path is None:
            break
        if any(is_inside(copied.target, item.path) or is_inside(item.path, copied.target) for copied in copies):
            break
        first -= 1
    return first


def can_be_owner(owner: str, items: Sequence[Item]) -> bool:
    """Whether a user is there once these instructions ran."""
    name = owner.partition(":")[0]
    if _KNOWN_USERS.fullmatch(owner) or _KNOWN_USERS.fullmatch(name):
        return True
    runs = (item.text for item in items if item.keyword == "RUN")
    return any(_MAKES_USERS.search(text) and re.search(rf"\b{re.escape(name)}\b", text) for text in runs)


def tidied(items: Sequence[Item], after: Sequence[Instruction], document: Dockerfile) -> list[Item]:
    """Without folders, users and arguments that nothing in the final stage stands on."""
    rest = [Item(other.keyword, document.source(other)) for other in after]
    kept: list[Item] = []
    for number, item in enumerate(items):
        following = [*items[number + 1 :], *rest]
        if item.keyword == "ARG" and not _argument_used(item.text, following):
            continue
        if item.keyword in ("WORKDIR", "USER") and _superseded(item, following):
            continue
        kept.append(item)
    return kept


def text_of(items: Sequence[Item], opening: str) -> str:
    """A stage in lines, after an empty one."""
    lines = ["", "", opening]
    for item in items:
        if item.apart and lines[-1]:
            lines.append("")
        lines.append(item.text)
    return "\n".join(lines)


def with_comments(document: Dockerfile, instruction: Instruction) -> str:
    """An instruction with the comments that stand right above it."""
    text = document.text
    start = text.rfind("\n", 0, instruction.start) + 1
    while start > 0:
        above = text.rfind("\n", 0, start - 1) + 1
        if not text[above:start].lstrip().startswith("#"):
            break
        start = above
    return unix(text[start : instruction.end])


def stands_apart(document: Dockerfile, instruction: Instruction) -> bool:
    """Whether an empty line stands above an instruction and its comments."""
    lines = document.text[: instruction.start].split("\n")[:-1]
    while lines and lines[-1].lstrip().startswith("#"):
        lines.pop()
    return bool(lines) and not lines[-1].strip()


def unix(text: str) -> str:
    """A text with the line ends that edits are written with."""
    return text.replace("\r\n", "\n")


def _superseded(item: Item, following: Sequence[Item]) -> bool:
    for other in following:
        if other.keyword == item.keyword:
            absolute = re.match(r"\w+\s+[\"']?/", other.text) is not None
            return item.keyword == "USER" or absolute
        if other.keyword in LAYERS or (item.keyword == "USER" and other.keyword == "WORKDIR"):
            return False
    return False


def _argument_used(text: str, following: Sequence[Item]) -> bool:
    names = re.findall(r"(?:^|\s)(\w+)(?:=|\s|$)", text.partition(" ")[2])
    for item in following:
        if any(re.search(rf"\$\{{?{re.escape(name)}\b", item.text) for name in names):
            return True
        if item.keyword == "RUN" and any(name.startswith("DEBIAN_") for name in names):
            return True
    return False
