"""What holds where an instruction stands: environment, working directory, user and shell, as far as the text tells."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from imgopt_pipeline.dockerfiles.drafts import Draft
from imgopt_pipeline.dockerfiles.models import Instruction
from imgopt_pipeline.dockerfiles.parsing import expanded

_SHELLS = {"sh", "bash", "ash", "dash"}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`values` of ENV and of ARG's defaults. `folder` is None where it is not known, `user` empty for the base's."""

    values: dict[str, str]
    folder: str | None
    user: str
    shell: tuple[str, ...]

    @property
    def as_root(self) -> bool:
        """Whether commands run as root, as they do unless somebody says otherwise."""
        return self.user.partition(":")[0] in ("", "root", "0")

    @property
    def posix_shell(self) -> bool:
        """Whether it is a shell whose words are understood here."""
        return not self.shell or posixpath.basename(self.shell[0]) in _SHELLS

    def path(self, text: str) -> str | None:
        """A path as seen from the working directory, absolute and normal; None where it is not known."""
        path = expanded(text.strip("\"'"), self.values)
        if "$" in path or "~" in path or any(character in path for character in "*?["):
            return None
        if not path.startswith("/"):
            if self.folder is None:
                return None
            path = posixpath.join(self.folder, path)
        return posixpath.normpath(path)


def above(draft: Draft, instruction: Instruction) -> Iterator[Instruction]:
    """The instructions that an instruction builds on: of its stage and of those that stage builds on, in order."""
    document = draft.document
    stage = document.stages[instruction.stage]
    for ancestor in reversed(document.ancestors(stage)):
        yield from ancestor.instructions
    for other in stage.instructions:
        if other.start >= instruction.start:
            return
        yield other


def surroundings(draft: Draft, instruction: Instruction) -> Surroundings:
    """What holds where an instruction begins."""
    values: dict[str, str] = {}
    folder: str | None = None
    user = ""
    shell: tuple[str, ...] = ()
    for other in above(draft, instruction):
        if other.onbuild:
            continue
        words = other.words
        match other.keyword:
            case "FROM":
                shell = shell if _continues(draft, other) else ()
            case "ENV":
                for name, value in zip(words[::2], words[1::2], strict=False):
                    values[name] = expanded(_unquoted(value), values)
            case "ARG":
                for word in words:
                    name, equals, value = word.partition("=")
                    if equals:
                        values.setdefault(name, expanded(_unquoted(value), values))
                    elif name in draft.document.arguments:
                        values.setdefault(name, draft.document.arguments[name])
            case "WORKDIR" if words:
                path = expanded(_unquoted(words[0]), values)
                if "$" in path:
                    folder = None
                elif path.startswith("/"):
                    folder = posixpath.normpath(path)
                elif folder is not None:
                    folder = posixpath.normpath(posixpath.join(folder, path))
            case "USER" if words:
                user = expanded(words[0], values)
            case "SHELL":
                shell = words
            case _:
                pass
    return Surroundings(values, folder, user, shell)


def _continues(draft: Draft, opening: Instruction) -> bool:
    """Whether a FROM builds on an earlier stage, whose settings then go on to hold."""
    return bool(draft.document.ancestors(draft.document.stages[opening.stage]))


def _unquoted(text: str) -> str:
    return re.sub(r"^([\"'])(.*)\1$", r"\2", text)
