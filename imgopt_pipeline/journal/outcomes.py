"""How an action that switches something ends, and the frame of its way back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from imgopt_pipeline.errors import HostUnreachable, ImgoptError
from imgopt_pipeline.journal.journal import BEGUN, NOTED, Journal

ACTION, OUTCOME, BACK, RETENTION = "action", "outcome", "back", "retention"
"""Steps of every such action: what was decided, how it ended, the way back, what became of the old state."""

VERIFIED: Final = "verified"
ROLLED_BACK: Final = "rolled back"
ROLLBACK_FAILED: Final = "rollback failed"
UNCHANGED: Final = "unchanged"
CANCELLED: Final = "cancelled"
OPEN: Final = "open"


class RollbackFailed(ImgoptError):
    """The old state could not be put back; the message says what stands where, and the commands that are left."""

    exit_code = 1
    kind = "rollback failed"


@contextmanager
def going_back(
    journal: Journal,
    reason: str,
    *,
    subject: str,
    stands: Callable[[], Sequence[str]],
    by_hand: Callable[[], Sequence[str]],
    again: str,
) -> Iterator[None]:
    """Journal that the way back was taken, and why; where it cannot be gone to its end, say all that is known.

    `stands` tells what stands where, `by_hand` the commands that are left, `again` the one that tries again. Raises
    RollbackFailed; HostUnreachable where the engine went away: then nothing is decided yet.
    """
    journal.append(BACK, BEGUN, reason=reason)
    try:
        yield
    except HostUnreachable as error:
        raise HostUnreachable(
            f"{error.message.rstrip('.')}, in the middle of putting the old state back.",
            subject=subject,
            hint="Once the engine runs again, `imgopt resume` goes on with it.",
        ) from error
    except ImgoptError as error:
        found = list(stands())
        journal.append(OUTCOME, NOTED, outcome=ROLLBACK_FAILED, reason=reason, message=str(error), stands=found)
        told = ["What stands where:", *(f"  {line}" for line in found)]
        told += ["By hand:", *(f"  {line}" for line in by_hand())]
        raise RollbackFailed(
            "\n".join([f"the old state could not be put back: {error}", *told]),
            subject=subject,
            hint=f"\n`{again}` tries again.",
        ) from error
