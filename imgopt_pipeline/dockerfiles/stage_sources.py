"""Where the content of an image comes from: the stages that it is made of, and the files of the context they take."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from imgopt_pipeline.dockerfiles.drafts import Draft
from imgopt_pipeline.dockerfiles.models import Dockerfile, Instruction, Stage
from imgopt_pipeline.dockerfiles.parsing import expanded
from imgopt_pipeline.dockerfiles.surroundings import above, surroundings

WHOLE = frozenset({".", "./", "/", "*", "./*"})
"""Sources of a COPY that mean the whole context."""


def contributing_stages(document: Dockerfile, target: Stage) -> tuple[Stage, ...]:
    """The target stage and every stage it builds on or copies from, in the order of the file."""
    found: dict[int, Stage] = {}
    waiting = [target]
    for stage in waiting:
        if stage.number in found:
            continue
        found[stage.number] = stage
        waiting += document.ancestors(stage)
        for instruction in stage.body:
            for name in _stages_named(instruction):
                other = document.stage_named(name)
                if other is not None and other.number < stage.number:
                    waiting.append(other)
    return tuple(found[number] for number in sorted(found))


def copied_sources(instruction: Instruction) -> tuple[str, ...]:
    """What a COPY or ADD takes out of the context; empty for others, and for those that copy from elsewhere."""
    if instruction.keyword not in ("COPY", "ADD") or instruction.flag("from") is not None:
        return ()
    heredocs = {f"<<{heredoc.name}" for heredoc in instruction.heredocs}
    return tuple(word for word in instruction.words[:-1] if word.replace("<<-", "<<").replace('"', "") not in heredocs)


def mounted_sources(instruction: Instruction) -> Iterator[tuple[str, str]]:
    """Source and target of each bind mount of the context in a RUN."""
    for flag in instruction.flags:
        if not flag.startswith("--mount="):
            continue
        options = dict(part.partition("=")[::2] for part in flag.removeprefix("--mount=").split(","))
        if options.get("type", "bind") == "bind" and "from" not in options:
            target = options.get("target") or options.get("dst") or options.get("destination") or ""
            yield options.get("source") or options.get("src") or ".", target


def context_file(draft: Draft, instruction: Instruction, path: str) -> str | None:
    """Which of the context's known texts stands at a path where a RUN runs; None where none is known to."""
    known = tuple(draft.context.texts) if draft.context is not None else ()
    wanted = _absolute(draft, instruction, path)
    for source, target in mounted_sources(instruction):
        found = _placed(source, _absolute(draft, instruction, target), wanted, known, into=False)
        if found is not None:
            return found
    for other in reversed(tuple(above(draft, instruction))):
        sources = copied_sources(other) if not other.onbuild else ()
        target = other.words[-1] if sources else ""
        into = target.endswith("/") or target in (".", "..") or len(sources) > 1
        for source in sources:
            found = _placed(source, _absolute(draft, other, target), wanted, known, into=into)
            if found is not None:
                return found
    return None


def _absolute(draft: Draft, instruction: Instruction, path: str) -> str:
    there = surroundings(draft, instruction)
    return posixpath.normpath(posixpath.join(there.folder or "/", expanded(path, there.values)))


def _placed(source: str, target: str, wanted: str, known: Sequence[str], *, into: bool) -> str | None:
    """Which known file a copy of `source` to `target` puts at the path `wanted`."""
    source = posixpath.normpath(source).lstrip("/")
    for path in known:
        if source in ("", "."):
            places = [posixpath.join(target, path)]
        elif path.startswith(f"{source}/"):
            places = [posixpath.join(target, posixpath.relpath(path, source))]
        elif fnmatchcase(path, source) and path.count("/") == source.count("/"):
            beside = posixpath.join(target, posixpath.basename(path))
            # A file's target may be a folder that is there already.
            places = [beside] if into else [target, beside]
        else:
            continue
        if wanted in places:
            return path
    return None


def _stages_named(instruction: Instruction) -> Iterator[str]:
    if instruction.keyword in ("COPY", "ADD") and (name := instruction.flag("from")) is not None:
        yield name
    for flag in instruction.flags:
        if flag.startswith("--mount="):
            options = dict(part.partition("=")[::2] for part in flag.removeprefix("--mount=").split(","))
            if "from" in options:
                yield options["from"]
