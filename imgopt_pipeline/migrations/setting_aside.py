"""The copy gets its final name, the source one beside its own, and the way back from both.

Each looks at what stands and goes on from there. Nothing of a source is deleted here.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from imgopt_pipeline.journal.journal import flush_folder
from imgopt_pipeline.migrations.copying import PROMOTING, copy, place_errors
from imgopt_pipeline.migrations.ledger import ledger
from imgopt_pipeline.migrations.models import CopyDiffers, Move, MoveFailed, listing
from imgopt_pipeline.migrations.mounts import flush, held
from imgopt_pipeline.migrations.tree import remove
from imgopt_pipeline.migrations.verifying import Verified, compare, verify
from imgopt_pipeline.services.models import Refused

_ROUNDS = 2


def promote(move: Move) -> Verified:
    """Give the copy its final name, and look whether it is whole under it.

    Some file systems rename a folder by copying its files and deleting them; what such a one left half done is made
    up for from the source. Raises Refused, CopyDiffers, MountGone, MoveFailed.
    """
    renamed_at_once = False
    with held(move) as place, ledger(move.ledger) as known, place_errors(place):
        partial, final = move.partial, move.final
        if not known.noted(PROMOTING):
            if not os.path.lexists(partial) or known.unproven():
                raise MoveFailed("the copy is not complete.", subject=str(partial), hint="Copy and verify it first.")
            if _holds_something(final):
                raise _in_the_way(final)
            known.note(PROMOTING, 1)
        if os.path.lexists(partial):
            place.check()
            if _holds_something(final):
                # A rename that was cut off. What is missing under the final name is copied again, below.
                remove(place.descriptor, os.fsencode(partial.name))
            else:
                with suppress(FileNotFoundError):
                    os.rmdir(final.name, dir_fd=place.descriptor)
                os.rename(partial.name, final.name, src_dir_fd=place.descriptor, dst_dir_fd=place.descriptor)
                renamed_at_once = not place.mount.in_user_space
        elif not os.path.lexists(final):
            raise MoveFailed("the copy is neither under its first nor its final name.", subject=str(final))
        flush(place.descriptor)
    return _whole(move, read_all=not renamed_at_once)


def take_back(move: Move) -> None:
    """Give a copy that has its final name the first one back, with whatever was written into it since.

    Raises MountGone, MoveFailed.
    """
    with held(move) as place, ledger(move.ledger) as known, place_errors(place):
        if not known.noted(PROMOTING):
            return
        if os.path.lexists(move.final) and not os.path.lexists(move.partial):
            place.check()
            os.rename(move.final.name, move.partial.name, src_dir_fd=place.descriptor, dst_dir_fd=place.descriptor)
            flush(place.descriptor)
        known.note(PROMOTING, 0)


def discard_copy(move: Move) -> None:
    """Remove the copy under its first name, as long as all that is in it came from the source, which is in its place.

    Raises Refused, MountGone, MoveFailed.
    """
    if not move.source.is_dir() or os.path.lexists(move.aside):
        raise Refused("the source is not in its place.", subject=str(move.source), hint="Put it back first.")
    if not os.path.lexists(move.partial):
        return
    found = compare(move)
    own = {path for path in (*found.different, *found.foreign) if os.path.lexists(_below(move.partial, path))}
    if own:
        raise Refused(
            f"the copy holds what the source does not: {listing(own)}.",
            subject=str(move.partial),
            hint="Something was written there. Look at it, and remove the folder by hand.",
        )
    with held(move) as place, place_errors(place):
        place.check()
        remove(place.descriptor, os.fsencode(move.partial.name))
        flush(place.descriptor)


def set_aside(move: Move) -> None:
    """Rename the source beside its place, on its own file system. Raises Refused, MoveFailed."""
    source, aside = move.source, move.aside
    if os.path.lexists(aside):
        if _holds_something(source):
            raise _in_the_way(source)
        return
    if source.is_symlink() or not source.is_dir():
        raise MoveFailed("the source is neither in its place nor set aside.", subject=str(source))
    _rename(source, aside)


def put_back(move: Move) -> None:
    """Rename the source back to its place. Raises Refused, MoveFailed."""
    source, aside = move.source, move.aside
    if not os.path.lexists(aside):
        if not source.is_dir():
            raise MoveFailed("the source is neither in its place nor set aside.", subject=str(source))
        return
    if _holds_something(source):
        raise _in_the_way(source)
    with suppress(FileNotFoundError):
        source.rmdir()  # an engine makes an empty folder where a container wants one
    _rename(aside, source)


def _whole(move: Move, *, read_all: bool) -> Verified:
    verified = verify(move, everything=read_all)
    for _ in range(_ROUNDS):
        if verified.foreign or not verified.different:
            break
        copy(move, source=move.aside if move.aside.is_dir() else move.source)
        verified = verify(move)
    if not verified.equal:
        raise CopyDiffers(
            f"renamed, the copy is not what it was: {listing({*verified.different, *verified.foreign})}.",
            subject=str(move.final),
            hint="The source is whole. Look at the destination before you go on.",
        )
    return verified


def _rename(old: Path, new: Path) -> None:
    try:
        os.rename(old, new)
        flush_folder(new.parent)
    except OSError as error:
        raise MoveFailed(
            f"the folder cannot be renamed to {new.name} ({error.strerror}).",
            subject=str(old),
            hint="Nothing was changed. A mount point, or a folder of another owner, cannot be renamed.",
        ) from error


def _holds_something(path: Path) -> bool:
    """Whether there is anything but an empty folder."""
    if path.is_symlink() or not path.is_dir():
        return os.path.lexists(path)
    return any(path.iterdir())


def _in_the_way(path: Path) -> Refused:
    return Refused(
        "something else is there by now.",
        subject=str(path),
        hint="Nothing is written over. Look at it, move it away, and go on.",
    )


def _below(folder: Path, path: bytes) -> bytes:
    return os.path.join(os.fsencode(folder), path)
