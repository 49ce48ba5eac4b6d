"""What a command line of pip, or of uv's pip, installs from where, word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from imgopt_pipeline.contents.python_requirements import normalised
from imgopt_pipeline.dockerfiles.runs import call_of
from imgopt_pipeline.dockerfiles.shell import Command, Script, Word

_VERBS = ("install", "wheel", "download", "sync")
_PYTHON = re.compile(r"python[0-9.]*|pypy[0-9.]*")
_SHORT = re.compile(r"-[rcifet][^-].*")
_LONG = re.compile(r"--[a-z][a-z-]*")
#: Options that take a value in a word of its own.
_VALUED = re.compile(
    r"-[rcifetbwdpPC]|--(?:requirements?|(?:build-)?constraints?|overrides?|(?:default-|extra-)?index(?:-url)?|find-links"
    r"|target|prefix|root|src|editable|build|wheel-dir|dest|(?:python-)?platform|python(?:-version)?|implementation|abi"
    r"|only-binary|no-binary(?:-package)?|no-build-package|upgrade-(?:strategy|package)|progress-bar|log|proxy|retries"
    r"|timeout|exists-action|(?:trusted|allow-insecure)-host|cert|client-cert|cache-dir|global-option|config-settings?"
    r"|report|use-feature|use-deprecated|keyring-provider|index-strategy|link-mode|extra|torch-backend|resolution"
    r"|prerelease|exclude-newer|reinstall-package|refresh-package)"
)
_NAMED = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?P<extras>\[[A-Za-z0-9._, -]*\])?\s*(?=$|[<>=!~;@, ])"
)


@dataclass(frozen=True, slots=True)
class Named:
    """A package as a requirement names it: `text` is name and extras as written, `rest` all that follows.

    `name` and `extras` are normalised.
    """

    name: str
    text: str
    extras: tuple[str, ...]
    rest: str


@dataclass(frozen=True, slots=True)
class Option:
    """An option with a value. `start` and `end` span both; `value` is the word that holds it, maybe after `=`."""

    name: str
    text: str
    value: Word
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Install:
    """A pip command: `program` is its first word (`pip`, `python3`, `uv`), `verb` its word `install`, `wheel`,
    `download` or `sync`; `uv` says whether it is uv's.

    `packages` are the words beside options, `switches` the options without a value.
    """

    command: Command
    program: Word
    verb: Word
    uv: bool
    packages: tuple[Word, ...]
    options: tuple[Option, ...]
    switches: frozenset[str]

    def valued(self, *names: str) -> tuple[Option, ...]:
        """Its options of these names."""
        return tuple(option for option in self.options if option.name in names)

    @property
    def requirement_files(self) -> tuple[Option, ...]:
        """Its `-r` options."""
        return self.valued("-r", "--requirement", "--requirements")

    @property
    def interpreter(self) -> str | None:
        """The Python that the line itself names, None for a plain `pip`."""
        for option in self.valued("-p", "--python"):
            if option.value.literal:
                return option.text if "python" in option.text else f"python{option.text}"
        folder, _, name = self.program.text.rpartition("/")
        if _PYTHON.fullmatch(name):
            return self.program.text
        return f"{folder}/python" if folder and not self.uv else None


def installs(script: Script) -> Iterator[Install]:
    """The pip commands of a RUN."""
    for command in script.commands:
        found = _install(command)
        if found is not None:
            yield found


def named(text: str) -> Named | None:
    """The package that a requirement names; None for paths, addresses and options."""
    match = _NAMED.match(text)
    if match is None or "/" in text.split(";")[0].split("@")[0]:
        return None
    extras = tuple(normalised(extra.strip()) for extra in (match["extras"] or "[]")[1:-1].split(",") if extra.strip())
    written = match["name"] + (match["extras"] or "")
    return Named(normalised(match["name"]), written, extras, text[len(written) :])


def _install(command: Command) -> Install | None:
    call = call_of(command)
    if call is None or call.program not in ("pip", "uv pip") or call.action is None or call.does not in _VERBS:
        return None
    packages, options, switches = _sorted([*call.options, *call.arguments])
    return Install(command, call.first, call.action, call.program == "uv pip", packages, options, switches)


def _sorted(words: list[Word]) -> tuple[tuple[Word, ...], tuple[Option, ...], frozenset[str]]:
    packages: list[Word] = []
    options: list[Option] = []
    switches: set[str] = set()
    waiting: Word | None = None
    for word in words:
        if waiting is not None:
            options.append(Option(waiting.text, word.text, word, waiting.start, word.end))
            waiting = None
        elif _VALUED.fullmatch(word.text):
            waiting = word
        elif (long := _LONG.match(word.text)) and word.text[long.end() : long.end() + 1] == "=":
            options.append(Option(long[0], word.text[long.end() + 1 :], word, word.start, word.end))
        elif (
            word.text[:2] in ("-r", "-c", "-i", "-f", "-e", "-t")
            and not word.text.startswith("--")
            and len(word.text) > 2
        ):
            options.append(Option(word.text[:2], word.text[2:], word, word.start, word.end))
        elif word.text.startswith("-"):
            switches.add(word.text)
        else:
            packages.append(word)
    return tuple(packages), tuple(options), frozenset(switches)
