"""What the final stage does: which of its steps build, which programs it still needs, on which base."""

from __future__ import annotations

import re

from imgopt_pipeline.dockerfiles.base_images import reference, slim_tag
from imgopt_pipeline.dockerfiles.build_tools import builds, install_calls, package_name, package_words
from imgopt_pipeline.dockerfiles.drafts import Draft
from imgopt_pipeline.dockerfiles.models import Instruction
from imgopt_pipeline.dockerfiles.repeated_runs import mentions
from imgopt_pipeline.dockerfiles.runs import Run, runs
from imgopt_pipeline.dockerfiles.trimmed_lists import Needs, Trims

FULL_BASE = {
    "curl": ("curl",),
    "wget": ("wget",),
    "git": ("git",),
    "hg": ("mercurial",),
    "svn": ("subversion",),
    "ssh": ("openssh-client",),
    "scp": ("openssh-client",),
    "gpg": ("gnupg",),
    "ps": ("procps",),
    "pgrep": ("procps",),
    "pkill": ("procps",),
    "top": ("procps",),
    "unzip": ("unzip",),
    "file": ("file",),
    "convert": ("imagemagick",),
    "identify": ("imagemagick",),
    "make": ("make",),
    "gcc": ("gcc", "libc6-dev"),
    "g++": ("g++",),
    "python3": ("python3",),
    "xz": ("xz-utils",),
    "bzip2": ("bzip2",),
    "patch": ("patch",),
}
"""Programs that official full images have and slim ones lack, by package."""

_CERTIFIED = frozenset({"curl", "wget", "git"})
_STARTS = ("CMD", "ENTRYPOINT", "HEALTHCHECK")
_SCRIPTS = (".sh", ".bash", "entrypoint", "start", "Procfile")

#: Libraries that every Debian holds, and what comes with official Python images besides.
_DEBIAN = re.compile(
    r"libc6|libstdc\+\+6|libgcc-s1|zlib1g|liblzma5|libbz2-1\.0|libcrypt1|libdb5\.3|libtinfo6|libuuid1|libzstd1|libsystemd0"
    r"|libblkid1|libmount1|libselinux1|libgmp10|libgnutls30(t64)?|libffi8|libgcrypt20|libpcre2-8-0|libacl1"
)
_WITH_PYTHON = re.compile(r"python3|libssl3(t64)?|libsqlite3-0|libreadline8|libncursesw6|libexpat1|libgdbm6|libnsl2")


def last_builder(draft: Draft) -> Instruction | None:
    """The last step of the stage that builds something, or runs what comes with a package that only builds use."""
    found: Instruction | None = None
    for run in runs(draft, {draft.stage.number}):
        if any(builds(call) for call in run.calls):
            found = run.instruction
    return found


def needs_of(draft: Draft, last: Instruction | None, *, trims: Trims = "all") -> Needs:
    """What the image needs of the system once all up to `last` happens in a build stage."""
    stage = draft.stage
    kept: list[Run] = []
    moved: list[Run] = []
    for run in runs(draft, {stage.number}):
        (moved if last is not None and run.instruction.start <= last.start else kept).append(run)
    texts = [" ".join(one.words) for one in stage.body if one.keyword in _STARTS and not one.onbuild]
    texts += _scripts(draft)
    used = set(mentions(texts)) | {call.program for run in kept for call in run.calls}
    # A step that installs packages and builds nothing is said again, with all it calls.
    used |= {
        call.program
        for run in moved
        if install_calls(run.calls) and not any(builds(call) for call in run.calls)
        for call in run.calls
    }
    fetched = {call.program for run in moved for call in run.calls}
    return Needs(frozenset(used), frozenset(fetched), trims, draft.packages, present_libraries(draft))


def present_libraries(draft: Draft) -> frozenset[str]:
    """Libraries of the image that its base, and the slim variant of that, have anyway."""
    if draft.image is None:
        return frozenset()
    base = reference(draft.lineage[-1].base)
    top = draft.image.base_position if draft.image.base_position is not None else -1
    full = slim_tag(base.official, base.tag) is not None
    return frozenset(
        name
        for name, package in draft.image.of("debian").items()
        if (not full and package.position is not None and package.position <= top)
        or _DEBIAN.fullmatch(name)
        or (base.official == "python" and _WITH_PYTHON.fullmatch(name))
    )


def missing_on_slim(draft: Draft, last: Instruction | None) -> tuple[str, ...]:
    """Packages that the full variant of a base holds, that the image uses, and that the slim one lacks."""
    if draft.image is None:
        return draft.packages
    base = draft.image.base_position if draft.image.base_position is not None else -1
    in_base = {name for name, package in draft.image.of("debian").items() if (package.position or 0) <= base}
    used = needs_of(draft, last).used
    found = {name: None for program, names in FULL_BASE.items() if program in used for name in names if name in in_base}
    if not _CERTIFIED.isdisjoint(found) and "python" not in draft.lineage[-1].base:
        found["ca-certificates"] = None
    return tuple(sorted({*found, *draft.packages}))


def can_be_had(draft: Draft, image: str) -> bool:
    """Whether the builder can take an image as a base, as far as that is known."""
    known = draft.builder.references
    return known is None or not known.isdisjoint({image, f"docker.io/library/{image}", f"docker.io/{image}"})


def named_packages(draft: Draft) -> set[str]:
    """The packages of the distribution that the lineage installs by name."""
    found = runs(draft, {stage.number for stage in draft.lineage})
    return {package_name(w) for run in found for call in install_calls(run.calls) for w in package_words(call)}


def _scripts(draft: Draft) -> list[str]:
    """Texts of the context that look like what starts the application."""
    if draft.context is None:
        return []
    return [text for path, text in draft.context.texts.items() if path.rpartition("/")[2].endswith(_SCRIPTS)]
