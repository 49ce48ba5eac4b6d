"""The check `entry-point`: what a candidate runs is there, may be run, and has its interpreter."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from imgopt_pipeline.builds.checks.application import Usage
from imgopt_pipeline.builds.checks.image_paths import ImagePaths
from imgopt_pipeline.builds.checks.isolation import Isolation
from imgopt_pipeline.builds.checks.subjects import CheckContext, Subject
from imgopt_pipeline.builds.models import FAILED, PASSED, UNVERIFIED, CheckResult
from imgopt_pipeline.names import printable

_NAME = "entry-point"
_INTERPRETERS = 4
_SHOWN = 200


def check_entry_point(
    isolation: Isolation, old: Subject, new: Subject, usage: Usage, context: CheckContext
) -> CheckResult:
    """Whether the command resolves in both, and each file that it names in the image in use is in the candidate."""
    with isolation.created(old.image_id) as old_name, isolation.created(new.image_id) as new_name:
        old_paths, new_paths = ImagePaths(isolation, old_name), ImagePaths(isolation, new_name)
        before, after = _unresolved(old_paths, old, usage), _unresolved(new_paths, new, usage)
        lost = list(_lost_arguments((old_paths, old), (new_paths, new), usage))
    if before:
        return CheckResult(_NAME, UNVERIFIED, before, after, f"The image in use does not resolve it either: {before}.")
    if after or lost:
        detail = after or f"{', '.join(lost)} is not there, which the command names"
        suspects = context.applied("R3", "R10", "R8", "R13", "R12", "R7", "R9")
        why = f"The candidate cannot run its command: {detail}."
        return CheckResult(_NAME, FAILED, "resolves", detail, why, suspects=suspects)
    return CheckResult(_NAME, PASSED)


def _unresolved(paths: ImagePaths, subject: Subject, usage: Usage) -> str:
    """Why the command does not resolve; empty where it does."""
    command, user = usage.command_of(subject), usage.user_of(subject)
    if not command:
        return "there is no command"
    uid, groups = paths.account(user)
    word = command[0]
    for _ in range(_INTERPRETERS):
        found = paths.command(word, subject.environment, usage.workdir_of(subject))
        if found is None:
            return f"{printable(word)[:_SHOWN]} is not there"
        if not found.runs_for(uid, groups):
            return f"{printable(word)[:_SHOWN]} may not be run by {printable(user) or 'root'}"
        interpreter = _interpreter(found.beginning)
        if not interpreter:
            return ""
        word = interpreter
    return ""


def _interpreter(beginning: bytes) -> str:
    """The program that a script's first line names; empty where it names none."""
    if not beginning.startswith(b"#!"):
        return ""
    words = beginning[2:].split(b"\n", 1)[0].decode(errors="replace").split()
    if words and posixpath.basename(words[0]) == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word] or words
    return words[0] if words else ""


def _lost_arguments(old: tuple[ImagePaths, Subject], new: tuple[ImagePaths, Subject], usage: Usage) -> Iterator[str]:
    """Files that the same command names, and that only the image in use has."""
    command = usage.command_of(old[1])
    if command != usage.command_of(new[1]):
        return
    for word in _file_words(command):
        there = [paths.find(posixpath.join(usage.workdir_of(subject), word)) for paths, subject in (old, new)]
        if there[0] and not there[1]:
            yield printable(word)[:_SHOWN]


def _file_words(command: Sequence[str]) -> Iterator[str]:
    for word in command[1:]:
        if ("/" in word or "." in word) and not word.startswith("-") and len(word) < 256 and "\0" not in word:
            yield word
