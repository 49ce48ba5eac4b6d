"""Doing the same to two images at once, without leaving anything running when a person interrupts it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from imgopt_pipeline.builds.checks.isolation import Isolation
from imgopt_pipeline.builds.checks.subjects import Subject

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Calls a function with the image in use and with the candidate, each in a thread."""

    isolation: Isolation

    def __call__(self, work: Callable[[Subject], Result], old: Subject, new: Subject) -> tuple[Result, Result]:
        with ThreadPoolExecutor(max_workers=2) as pool:
            try:
                before, after = pool.submit(work, old), pool.submit(work, new)
                return before.result(), after.result()
            except BaseException:
                # Its containers gone, the other one does not wait any longer.
                self.isolation.stop()
                raise
