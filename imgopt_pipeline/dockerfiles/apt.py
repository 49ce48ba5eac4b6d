"""What apt's command lines mean: what they install, and what keeps working without recommended packages."""

from __future__ import annotations

import re

from imgopt_pipeline.dockerfiles.runs import Call, Run
from imgopt_pipeline.dockerfiles.shell import Word

APT = ("apt-get", "apt")
LISTS = "/var/lib/apt/lists"
REMOVE_LISTS = f"rm -rf {LISTS}/*"
_WITH_VALUE = ("-t", "--target-release", "-o", "--option", "-c", "--config-file")
_DOWNLOADERS = {"curl", "wget", "git", "aria2", "axel", "libcurl4", "git-lfs", "subversion"}
_HAVE_CERTIFICATES = {"buildpack-deps", "eclipse-temurin", "gcc", "golang", "perl", "php", "python", "ruby", "rust"}


def package_words(call: Call) -> list[Word]:
    """The words that name packages; what the shell would expand is left out, a version's `*` is not."""
    words: list[Word] = []
    value_follows = False
    for word in call.arguments:
        if not value_follows and not word.text.startswith("-") and (word.literal or "=" in word.text):
            words.append(word)
        value_follows = word.text in _WITH_VALUE
    return words


def installed_names(call: Call) -> list[str]:
    """Names of the packages that an install asks for, without version, release and architecture."""
    return [re.split("[=/:]", word.text, maxsplit=1)[0] for word in package_words(call)]


def installs(run: Run, *, plain: bool = True) -> list[Call]:
    """Its calls that install packages; all of them where not only those that run once and always."""
    calls = run.plain_calls(APT) if plain else [call for call in run.calls if call.program in APT]
    return [call for call in calls if call.does == "install"]


def updates(run: Run) -> list[Call]:
    """Its calls that fetch the lists."""
    return [call for call in run.calls if call.program in APT and call.does == "update"]


def removes_lists(run: Run) -> bool:
    """Whether it removes the lists it fetched, or keeps them in a mount."""
    removing = (call for call in run.calls if call.program in ("rm", "find"))
    texts = (word.text for call in removing for word in call.command.words)
    return any(text.startswith((LISTS, "/var/lib/apt/*", "/var/lib/apt/l")) for text in texts) or run.mounts(LISTS)


def needs_besides(names: set[str], installed: set[str], base: str) -> list[str]:
    """Packages that come by recommendation alone and without which those named do not do what they are for.

    `names` are installed together, `installed` before; `base` is the reference of the image below.
    """
    repository = base.partition("@")[0].rpartition("/")[2]
    name, _, tag = repository.partition(":")
    full = "slim" not in tag and "alpine" not in tag
    has_certificates = name in _HAVE_CERTIFICATES or (name == "node" and full)
    missing = []
    if not has_certificates and names & _DOWNLOADERS:
        missing.append("ca-certificates")
    if "gcc" in names and not names & {"g++", "build-essential"} and not (full and has_certificates):
        missing.append("libc6-dev")
    return [package for package in missing if package not in names | installed]
