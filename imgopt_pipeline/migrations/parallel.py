"""Work on many files by a few threads, in bundles, so that handing it over costs little beside the work."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from imgopt_pipeline.migrations.content import Pace
from imgopt_pipeline.progress import current

_BUNDLE_BYTES = 1 << 20
_BUNDLE_ITEMS = 64

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


def in_parallel(
    work: Callable[[Item], Outcome],
    items: Iterator[Item],
    workers: int,
    pace: Pace,
    size_bytes: Callable[[Item], int],
) -> Generator[Outcome, None, None]:
    """Outcomes as they come, with few bundles under way; tells how many bytes went through meanwhile.

    To be closed by who leaves it early: that ends the threads.
    """

    def through(bundle: list[Item]) -> list[Outcome]:
        return [work(item) for item in bundle]

    told, bundles = 0, _bundles(items, size_bytes)
    with ThreadPoolExecutor(workers, thread_name_prefix="move") as pool:
        running: set[Future[list[Outcome]]] = set()
        more = True
        try:
            while more or running:
                while more and len(running) < 2 * workers:
                    if (bundle := next(bundles, None)) is None:
                        more = False
                    else:
                        running.add(pool.submit(through, bundle))
                done, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                current().advance(pace.done_bytes - told)
                told = pace.done_bytes
                for future in done:
                    yield from future.result()
        finally:
            pace.stop.set()
            for future in running:
                future.cancel()


def _bundles(items: Iterator[Item], size_bytes: Callable[[Item], int]) -> Iterator[list[Item]]:
    bundle: list[Item] = []
    held_bytes = 0
    for item in items:
        bundle.append(item)
        held_bytes += size_bytes(item)
        if len(bundle) == _BUNDLE_ITEMS or held_bytes >= _BUNDLE_BYTES:
            yield bundle
            bundle, held_bytes = [], 0
    if bundle:
        yield bundle
