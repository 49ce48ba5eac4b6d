"""kill -9 before the nth system call that changes something, in a process of its own."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable
from typing import Any

_CHANGES = ("mkdir", "rename", "replace", "unlink", "rmdir", "link", "symlink", "pwrite", "utime", "chmod", "fsync")


def killed_before_change(number: int, work: Callable[[], None]) -> bool:
    """Whether work was killed before its change of that number; in a process of its own."""
    if not (pid := os.fork()):
        try:
            left = itertools.count(number, -1)
            for name in _CHANGES:
                setattr(os, name, _counted(getattr(os, name), left))
            work()
        except BaseException as error:  # noqa: BLE001  (nothing may get back into pytest)
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def _counted(change: Callable[..., Any], left: itertools.count[int]) -> Callable[..., Any]:
    def counted(*values: Any, **named: Any) -> Any:
        if next(left) <= 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return change(*values, **named)

    return counted
