"""How long a service does not answer while it is switched.

Asked is what its clients see, and as little as will do: a page by the port that it publishes or from its own network;
of what speaks no HTTP only whether it listens, because a connection that says nothing counts as a fault with some
servers. Where neither can be seen, whether any of its containers runs.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType

from imgopt_pipeline.builds.checks.isolation import Isolation, Refused
from imgopt_pipeline.builds.checks.probing import Probe, ask_at, probe_of
from imgopt_pipeline.errors import ImgoptError
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.services.finding import unit_of
from imgopt_pipeline.services.models import Running, Unit, UnitName
from imgopt_pipeline.services.watching.baseline import Baseline
from imgopt_pipeline.services.watching.probes import Told, published
from imgopt_pipeline.services.watching.states import state_of
from imgopt_pipeline.units import format_seconds

_POLL_SECONDS = 0.05
_SLOW_SECONDS = 0.25
_LOOK_SECONDS = 0.1
_FAST_FOR_SECONDS = 60.0
_CALM_AFTER_SECONDS = 5.0
_ANSWER_SECONDS = 1.0
_END_SECONDS = 3 * _ANSWER_SECONDS + 1

Ask = Callable[[Running], bool]


@dataclass(frozen=True, slots=True)
class _Way:
    """How it is asked; `by_state`: not it, but the engine, which may be away itself."""

    words: str
    ask: Ask
    by_state: bool = False


class GapMeter:
    """Measures from the beginning of a block to its end; can be read at any time.

    Of several units the one counts that did not answer longest. Never raises.
    """

    def __init__(self, host: EngineHost, names: Sequence[UnitName], baselines: Mapping[str, Baseline]) -> None:
        pause = _POLL_SECONDS * max(len(names), 1)
        self._meters = [_Meter(host, name, baselines.get(name.name), pause) for name in names]

    def __enter__(self) -> GapMeter:
        for meter in self._meters:
            meter.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        for meter in self._meters:
            meter.end()

    @property
    def seconds(self) -> float | None:
        """How long it did not answer, altogether; None where that could not be measured."""
        return self._worst.seconds if self._worst is not None else None

    @property
    def longest_seconds(self) -> float | None:
        """The longest time that it did not answer."""
        return self._worst.longest_seconds if self._worst is not None else None

    @property
    def detail(self) -> str:
        """What was asked, or why nothing could be measured."""
        return (self._worst or self._meters[0]).words if self._meters else "There is nothing to ask."

    @property
    def _worst(self) -> _Meter | None:
        measured = [meter for meter in self._meters if meter.seconds is not None]
        return max(measured, key=lambda meter: meter.seconds or 0.0, default=None)


class _Meter:
    """One unit, asked from a thread of its own."""

    def __init__(self, host: EngineHost, name: UnitName, baseline: Baseline | None, pause_seconds: float) -> None:
        self._host = host
        self._name = name
        self._baseline = baseline
        self._pause_seconds = pause_seconds
        self._unit = Unit(name, ())
        self._looked = 0.0
        self._way: _Way | None = None
        self._probes: dict[tuple[str, int], Probe] = {}
        self._why_not = "It was not looked at yet."
        self._gaps: list[float] = []
        self._failing_since: float | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gap", daemon=True)

    def start(self) -> None:
        try:
            self._look()
            self._choose()
        except (ImgoptError, OSError) as error:
            self._why_not = str(error)
        if self._way is not None:
            self._thread.start()

    def end(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(_END_SECONDS)

    @property
    def seconds(self) -> float | None:
        return None if self._way is None else sum(self._all_gaps())

    @property
    def longest_seconds(self) -> float | None:
        return None if self._way is None else max(self._all_gaps(), default=0.0)

    @property
    def words(self) -> str:
        if self._way is None:
            return self._why_not
        gaps = self._all_gaps()
        longest = f", {len(gaps)} times, the longest {format_seconds(max(gaps))}" if len(gaps) > 1 else ""
        return f"{self._way.words}, asked every {self._pause_seconds * 1000:.0f} ms{longest}"

    def _all_gaps(self) -> list[float]:
        with self._lock:
            since = self._failing_since
            return [*self._gaps, *([] if since is None else [time.monotonic() - since])]

    def _choose(self) -> None:
        """The first way in which it answers now."""
        if self._baseline is None or not self._baseline.running:
            self._why_not = "It did not run before."
            return
        for way in self._ways(self._baseline):
            if any(map(way.ask, self._unit.containers)):
                self._way = way
                if way.by_state:
                    self._pause_seconds = max(self._pause_seconds, _LOOK_SECONDS)
                return
        self._why_not = "It did not answer before it was switched."

    def _ways(self, baseline: Baseline) -> list[_Way]:
        local = self._host.facts().local
        known = [told for told in baseline.answers if told.port and told.opens and told.steady]
        pages = [told for told in known if told.status is not None and told.path and told.status < 500]
        ways: list[_Way] = []
        if pages and local:
            ways.append(_Way(f"{pages[0].name} by the port that it publishes", partial(_answers_outside, pages[0])))
        if local and os.geteuid() == 0:
            if pages:
                ways.append(_Way(f"{pages[0].name} from its own network", partial(self._answers_there, pages[0])))
            elif known:
                words = f"whether port {known[0].port} is listened on"
                ways.append(_Way(words, partial(self._listens_there, known[0].port or 0)))
        runs = _Way("whether a container of it runs", lambda container: state_of(container).runs, by_state=True)
        return [*ways, runs]

    def _answers_there(self, page: Told, container: Running) -> bool:
        probe = self._probe(container)
        return probe is not None and _is_answer(
            probe.ask(page.port or 0, page.path, seconds=_ANSWER_SECONDS).status, page
        )

    def _listens_there(self, port: int, container: Running) -> bool:
        probe = self._probe(container)
        return probe is not None and port in probe.ports()

    def _probe(self, container: Running) -> Probe | None:
        state = state_of(container)
        key = container.container_id, state.pid
        if state.runs and key not in self._probes:
            told = container.inspected.get("State") or {}
            with suppress(Refused):
                self._probes[key] = probe_of(Isolation(self._host.client), container.container_id, told, local=True)
        return self._probes.get(key)

    def _run(self) -> None:
        began = steady = time.monotonic()
        while not self._ended.is_set():
            asked = time.monotonic()
            answers = self._answers()
            now = time.monotonic()
            with self._lock:
                if answers is False and self._failing_since is None:
                    self._failing_since = asked
                elif answers and self._failing_since is not None:
                    self._gaps.append(now - self._failing_since)
                    self._failing_since = None
            steady = now if not answers else steady
            calm = bool(self._gaps) and now - steady > _CALM_AFTER_SECONDS
            slow = calm or (answers and now - began > _FAST_FOR_SECONDS)
            pause = max(_SLOW_SECONDS, self._pause_seconds) if slow else self._pause_seconds
            self._ended.wait(max(pause - (now - asked), pause / 5))

    def _answers(self) -> bool | None:
        """Whether any container answers; None where that cannot be told."""
        assert self._way is not None
        way = self._way
        with suppress(ImgoptError, OSError):
            if not way.by_state and any(map(way.ask, self._unit.containers)):
                return True
            # What is known of it may be over: it is looked for anew, at most so often.
            if not way.by_state and time.monotonic() - self._looked < _LOOK_SECONDS:
                return False
            self._look()
            return any(map(way.ask, self._unit.containers))
        return None if way.by_state else False

    def _look(self) -> None:
        self._unit = unit_of(self._host, self._name)
        self._looked = time.monotonic()


def _answers_outside(page: Told, container: Running) -> bool:
    address, port = published(container).get(page.port or 0, ("", 0))
    return bool(port) and _is_answer(ask_at((address,), port, page.path, seconds=_ANSWER_SECONDS).status, page)


def _is_answer(status: int | None, page: Told) -> bool:
    return status is not None and (status < 500 or status == page.status)
