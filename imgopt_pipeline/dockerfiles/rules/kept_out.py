"""R10: what `COPY .` need not take along, kept out by the .dockerignore that is used for the build.

Only what is there by its usual name and can be made again, or is a secret. Data may be needed when the application
runs: that is only told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from imgopt_pipeline.dockerfiles.drafts import NOTHING, Draft, Proposal, Rule
from imgopt_pipeline.dockerfiles.facts import ContextFacts
from imgopt_pipeline.dockerfiles.models import Instruction
from imgopt_pipeline.dockerfiles.runs import Run, runs
from imgopt_pipeline.dockerfiles.stage_sources import WHOLE, contributing_stages, copied_sources, mounted_sources
from imgopt_pipeline.names import printable
from imgopt_pipeline.units import format_bytes

_DATA = re.compile(
    r"(?:data|datasets?|models?|weights|checkpoints|media|uploads|videos?|audio|images|outputs?|logs?)", re.I
)
_DATA_BYTES = 50_000_000
_NODE_INSTALLERS = ("npm", "yarn", "pnpm", "bun")
_PYTHON_INSTALLERS = ("pip", "uv pip", "uv", "poetry", "pipenv", "pdm", "conda", "mamba")
_NODE_BUILDS = re.compile(r"\b(?:next|vite|nuxt|react-scripts|webpack)\b|\b(?:run|yarn|pnpm|bun) build\b")
_VERSION_BY_GIT = re.compile(r"setuptools[-_]scm|hatch-vcs|versioneer|poetry-dynamic-versioning|\bpbr\b|dunamai", re.I)


@dataclass(frozen=True, slots=True)
class _Kind:
    """Names at the top of a context, and the lines that keep them out; `where` says what makes them unneeded."""

    names: re.Pattern[str]
    lines: tuple[str, ...]
    where: str = ""


_KINDS = (
    _Kind(re.compile(r"\.git"), (".git",), "git"),
    _Kind(re.compile(r"\.(?:svn|hg|bzr)"), ()),
    _Kind(re.compile(r"node_modules"), ("**/node_modules",), "node"),
    _Kind(re.compile(r"\.venv|venv"), (), "python"),
    _Kind(re.compile(r"__pycache__|.*\.pyc"), ("**/__pycache__", "**/*.pyc")),
    _Kind(re.compile(r"\.(?:pytest|mypy|ruff)_cache"), ()),
    _Kind(re.compile(r"\.(?:tox|nox)"), ()),
    _Kind(re.compile(r"\.next"), (), "node build"),
    _Kind(re.compile(r"\.env"), (".env",), "no node build"),
    _Kind(re.compile(r"\.env\.local|\.aws|\.ssh|\.netrc|\.pypirc|id_(?:rsa|ed25519|ecdsa)"), ()),
    _Kind(re.compile(r".*\.(?:key|pfx|p12)"), ()),
)
_SECRETS = re.compile(r"\.env.*|\.aws|\.ssh|\.netrc|\.pypirc|id_.*|.*\.(?:key|pfx|p12)")


def propose(draft: Draft) -> Proposal:
    """Lines for the .dockerignore, where the whole context is copied in."""
    stages = contributing_stages(draft.document, draft.stage)
    copies = [i for stage in stages for i in stage.body if not WHOLE.isdisjoint(copied_sources(i))]
    if not copies:
        return NOTHING
    context = draft.context
    if context is None:
        claimed = [draft.claimed("R10", copy) for copy in copies]
        likely = sum(claim.likely_bytes for claim in claimed if claim is not None)
        size = format_bytes(likely)
        told = f"what it copies in holds {size} of .git and the like, and the build context is not known"
        return Proposal(passed_over=told if likely else "")
    known = _Known(draft, context, list(runs(draft, {stage.number for stage in stages})))
    found = {name: kind for name in context.folders if (kind := known.unneeded(name)) is not None}
    lines = list(dict.fromkeys(line for name, kind in found.items() for line in kind.lines or (name,)))
    data = _data(context.folders.items())
    if not lines:
        return Proposal(passed_over=data)
    size_bytes = sum(context.folders[name] for name in found if not _SECRETS.fullmatch(name))
    return Proposal(ignore_lines=tuple(lines), ignore_reason=_reason(found, size_bytes, data))


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a build: what it copies by name, what it runs."""

    draft: Draft
    context: ContextFacts
    runs: Sequence[Run]

    def unneeded(self, name: str) -> _Kind | None:
        """The kind of a top-level name that may stay out."""
        kind = next((kind for kind in _KINDS if kind.names.fullmatch(name)), None)
        if kind is None or not self._holds(kind.where) or self._taken_by_name(name) or self._brought_back(name):
            return None
        return kind

    def _holds(self, where: str) -> bool:
        match where:
            case "git":
                return not self._asks_git()
            case "node":
                return self._calls(_NODE_INSTALLERS, ("install", "i", "ci", "add", "")) or bool(self._image_folders())
            case "python":
                return self._calls(_PYTHON_INSTALLERS, ("install", "sync", "create", "env", "add"))
            case "node build":
                return self._builds_node()
            case "no node build":
                return not self._builds_node()
            case _:
                return True

    def _calls(self, programs: Iterable[str], actions: Sequence[str]) -> bool:
        programs = tuple(programs)
        return any(call.program in programs and call.does in actions for run in self.runs for call in run.calls)

    def _image_folders(self) -> tuple[str, ...]:
        return self.draft.image.node_folders if self.draft.image is not None else ()

    def _builds_node(self) -> bool:
        return any(_NODE_BUILDS.search(self.draft.document.source(run.instruction)) for run in self.runs)

    def _asks_git(self) -> bool:
        """Whether a build step, or the project's version, is taken from the repository."""
        asking = any(
            call.program == "git" and call.does not in ("clone", "config", "lfs")
            for run in self.runs
            for call in run.calls
        )
        named = any(".git" in re.split(r"[\s\"'=/,]", self.draft.document.source(run.instruction)) for run in self.runs)
        versioned = any(
            _VERSION_BY_GIT.search(text)
            for path, text in self.context.texts.items()
            if path in ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt")
        )
        return asking or named or versioned

    def _taken_by_name(self, name: str) -> bool:
        """Whether an instruction of any stage takes it, or something in it."""
        return any(
            source == name or source.startswith(f"{name}/") or (source.endswith(f"/{name}") and name == "node_modules")
            for instruction in self.draft.document.instructions
            for source in _sources(instruction)
        )

    def _brought_back(self, name: str) -> bool:
        """Whether the context's own .dockerignore says that it, or something in it, shall be there."""
        lines = (line.strip() for line in self.context.ignored or ())
        return any(name in re.split(r"[/!]", line) for line in lines if line.startswith("!"))


def _sources(instruction: Instruction) -> list[str]:
    sources = [*copied_sources(instruction), *(source for source, _ in mounted_sources(instruction))]
    return [source.removeprefix("./").strip("/") for source in sources]


def _data(folders: Iterable[tuple[str, int]]) -> str:
    """What else is big, in words."""
    big = sorted(
        ((size, name) for name, size in folders if size >= _DATA_BYTES and _DATA.fullmatch(name)), reverse=True
    )
    return " ".join(
        f"{printable(name)} ({format_bytes(size)}) is copied in: list it in .dockerignore if it is mounted later."
        for size, name in big
    )


def _reason(found: Iterable[str], size_bytes: int, data: str) -> str:
    names = [name for name in found if not _SECRETS.fullmatch(name)]
    secrets = [name for name in found if _SECRETS.fullmatch(name)]
    sentences = [f"{', '.join(names)} ({format_bytes(size_bytes)}) need not be copied in."] if names else []
    if secrets:
        sentences.append(
            f"{', '.join(map(printable, secrets))} may hold secrets, which everybody with the image could read."
        )
    return " ".join([*sentences, data]).strip()


RULE = Rule(
    technique="R10",
    title="a .dockerignore",
    needs="",
    proof="the application starts and answers as before",
    propose=propose,
)
