"""What a gate makes of what it saw, without an engine."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgopt_pipeline.services.models import Running, Unit, UnitName
from imgopt_pipeline.services.watching.asking import Soaked
from imgopt_pipeline.services.watching.baseline import Baseline, summed
from imgopt_pipeline.services.watching.judging import (
    Expected,
    Since,
    judged_containers,
    judged_dependants,
    judged_errors,
    judged_health,
    judged_memory,
    judged_probes,
    judged_restarts,
    judged_running,
)
from imgopt_pipeline.services.watching.logs import LogErrors, counted, judged_log
from imgopt_pipeline.services.watching.memory import Sample, running_out
from imgopt_pipeline.services.watching.probes import Told, published, questions_again, told_ports
from imgopt_pipeline.services.watching.states import state_of
from imgopt_pipeline.settings import ProbeSettings, TargetSettings

IMAGE = "sha256:" + "a" * 64
EXPECTED = Expected(IMAGE, 1, True)
HOME = Told("port 80 /", True, 200, "text/html", port=80, path="/")
WELL = Baseline(containers=1, running=1, container_ids=("old",), health="healthy", answers=(HOME,))


def container(name: str = "new", *, image_id: str = IMAGE, **told: Any) -> Running:
    state = {"Status": "running", "Running": True, "StartedAt": "2026-01-01T00:00:00Z", "Pid": 7}
    state |= {key: value for key, value in told.items() if key[0].isupper() and key not in ("RestartCount", "Memory")}
    inspected = {
        "Id": name,
        "State": state,
        "RestartCount": told.get("RestartCount", 0),
        "HostConfig": {"Memory": told.get("Memory", 0)},
    }
    return Running(name, name, image_id, "shop:1", bool(state["Running"]), inspected)


def unit(*containers: Running) -> Unit:
    return Unit(UnitName("shop"), containers or (container(),))


EXITED: dict[str, Any] = {"Status": "exited", "Running": False, "ExitCode": 3}
#: What the engine says of a container between two of its ends.
FLAPPING: dict[str, Any] = {"Status": "restarting", "Running": True, "Restarting": True, "ExitCode": 1}


def test_a_flapping_container_does_not_run() -> None:
    assert not state_of(container(**FLAPPING)).runs
    assert state_of(container(**FLAPPING)).words == "restarting after exit code 1"
    assert not state_of(container(Paused=True)).runs


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (unit(), "passed"),
        (unit(container(image_id="sha256:bb")), "failed"),
        (unit(container(), container("second")), "failed"),
        (Unit(UnitName("shop"), ()), "failed"),
    ],
)
def test_containers(found: Unit, outcome: str) -> None:
    assert judged_containers(found, EXPECTED).outcome == outcome


@pytest.mark.parametrize(
    ("found", "before", "outcome"),
    [
        (unit(), WELL, "passed"),
        (unit(container(**EXITED)), WELL, "failed"),
        (unit(container(**FLAPPING)), WELL, "failed"),
        (unit(container(**FLAPPING)), Baseline(containers=1, running=0, restarting=True), "unverified"),
        (unit(container(**EXITED)), Baseline(containers=1), "unverified"),
    ],
)
def test_running(found: Unit, before: Baseline, outcome: str) -> None:
    assert judged_running(found, EXPECTED, before).outcome == outcome


def test_as_many_as_ran_before_are_enough_and_none_where_none_was_to_run() -> None:
    half = Baseline(containers=2, running=1)
    two = Expected(IMAGE, 2, True)
    assert judged_running(unit(container(), container("b", **EXITED)), two, half).outcome == "unverified"
    assert judged_running(unit(container("a", **EXITED), container("b", **EXITED)), two, half).outcome == "failed"
    stopped = Expected(IMAGE, 1, False)
    assert judged_running(unit(container(**EXITED)), stopped, Baseline(containers=1)).outcome == "passed"
    assert judged_running(unit(), stopped, Baseline(containers=1)).outcome == "unverified"


def test_restarts() -> None:
    before = {"new": Since(0, "2026-01-01T00:00:00Z")}
    assert judged_restarts(unit(), before, WELL).outcome == "passed"
    assert judged_restarts(unit(container(RestartCount=1)), before, WELL).outcome == "failed"
    assert judged_restarts(unit(container(StartedAt="2026-01-01T00:00:09Z")), before, WELL).outcome == "failed"
    assert judged_restarts(unit(container("other")), before, WELL).outcome == "failed"
    assert judged_restarts(unit(container(StartedAt="x")), {"new": Since(0)}, WELL).outcome == "passed"


@pytest.mark.parametrize(
    ("old", "new", "outcome"),
    [
        ("healthy", "healthy", "passed"),
        ("healthy", "unhealthy", "failed"),
        ("healthy", "starting", "failed"),
        ("healthy", None, "unverified"),
        ("unhealthy", "unhealthy", "unverified"),
        ("unhealthy", "healthy", "passed"),
        ("none", "unhealthy", "failed"),
        ("none", None, None),
    ],
)
def test_health(old: str, new: str | None, outcome: str | None) -> None:
    told: dict[str, Any] = {"Health": {"Status": new}} if new else {}
    check = judged_health(unit(container(**told)), Baseline(containers=1, running=1, health=old))
    assert (check.outcome if check else None) == outcome


def test_one_that_does_not_run_is_not_told_to_be_unhealthy_too() -> None:
    without = Baseline(containers=1, running=1, health="none")
    assert judged_health(unit(container(**EXITED)), without) is None
    assert judged_health(unit(container(**EXITED)), WELL) is not None


@pytest.mark.parametrize(
    ("old", "new", "outcome"),
    [
        (HOME, HOME, "passed"),
        (HOME, Told("port 80 /", True, 500, "text/html", port=80), "failed"),
        (HOME, Told("port 80 /", True, 404, "text/html", port=80), "failed"),
        (HOME, Told("port 80 /", True, 200, "text/plain", port=80), "failed"),
        (HOME, Told("port 80 /", True, 200, "", port=80), "passed"),
        (HOME, Told("port 80 /", False, port=80), "failed"),
        (Told("port 80 /", True, 404, port=80, path="/"), Told("port 80 /", True, 404, port=80), "passed"),
        (Told("port 80 /", True, 500, port=80, path="/"), Told("port 80 /", True, 500, port=80), "unverified"),
        (Told("port 80 /", True, 500, port=80, path="/"), HOME, "passed"),
        (
            Told("port 80 /", True, 200, steady=False, port=80, path="/"),
            Told("port 80 /", False, port=80),
            "unverified",
        ),
        (Told("port 80", True, port=80), Told("port 80", True, port=80), "passed"),
        (Told("port 80", True, port=80), Told("port 80", False, port=80), "failed"),
    ],
)
def test_probes(old: Told, new: Told, outcome: str) -> None:
    before = Baseline(containers=1, running=1, answers=(old,))
    asked = questions_again(TargetSettings(), before.answers)
    assert judged_probes(asked, {"web": [new]}, before, "").outcome == outcome


@pytest.mark.parametrize(("otherwise", "outcome"), [(0, "passed"), (1, "unverified"), (2, "failed")])
def test_what_it_answers_while_it_is_left_alone_counts(otherwise: int, outcome: str) -> None:
    asked = questions_again(TargetSettings(), WELL.answers)
    soaked = Soaked(20, otherwise, "port 80 / answers 500" if otherwise else "")
    check = judged_probes(asked, {"web": [HOME]}, WELL, "", soaked)
    assert check.outcome == outcome
    assert check.detail == (
        f"while it was left alone, {otherwise} of 20 answers failed: port 80 / answers 500; "
        "the old one: port 80 / answers 200 text/html."
        if otherwise
        else ""
    )


def test_what_settings_ask_for_decides() -> None:
    target = TargetSettings(
        probes=(ProbeSettings(port=80, path="/a?key=s3cret", status=204), ProbeSettings(command="x"))
    )
    old = (Told("port 80 /a", True, 204, port=80, path="/a", number=1), Told("command 2", True, 0, number=2))
    before = Baseline(containers=1, running=1, answers=old)
    asked = questions_again(target, old)
    assert [question.path for question, _ in asked] == ["/a?key=s3cret", None]
    good = [Told("port 80 /a", True, 204, "x/y", port=80), Told("command 2", True, 0)]
    assert judged_probes(asked, {"web": good}, before, "").outcome == "passed"
    assert judged_probes(asked, {"web": [good[0], Told("command 2", True, 1)]}, before, "").outcome == "failed"
    assert (
        judged_probes(asked, {"web": [Told("port 80 /a", True, 200, port=80), good[1]]}, before, "").outcome == "failed"
    )
    # Settings that were changed since do not hold it to what was asked then.
    changed = TargetSettings(probes=(ProbeSettings(port=81, path="/b"), ProbeSettings(command="x")))
    assert questions_again(changed, old)[0][1] is None


def test_nothing_to_ask_proves_nothing() -> None:
    assert judged_probes([], {}, Baseline(containers=1, running=1), "").outcome == "unverified"
    assert "nobody" in judged_probes([], {}, Baseline(unasked="nobody can"), "").detail


def test_dependants() -> None:
    assert judged_dependants({}) is None
    well, down = state_of(container()), state_of(container(**EXITED))
    check = judged_dependants({"db": well, "cache": down, "gone": None})
    assert check is not None
    assert (check.outcome, check.detail) == ("failed", "cache is exited with code 3; gone is gone.")
    good = judged_dependants({"db": well})
    assert good is not None and good.outcome == "passed"


def test_a_journal_gets_no_text_of_a_log_and_gives_the_same_back() -> None:
    errors = LogErrors(9, 2, 1, 600.0, ("KeyError",))
    before = Baseline(2, 1, ("a", "b"), False, False, "healthy", (HOME,), "", errors, None, 5, 10)
    kept = orjson.dumps(before.to_json())
    again = Baseline.from_json(orjson.loads(kept))
    assert again.to_json() == before.to_json()
    assert (again.errors, again.answers) == (LogErrors(9, 2, 1, 600.0), (HOME,))


LINES = [
    "ERROR: token=hunter2 of \x1b[31mred\x1b[0m, value given-secret",
    "Traceback (most recent call last):",
    "ModuleNotFoundError: No module named 'torch'",
    '10.0.0.1 - "GET / HTTP/1.1" 502 12',
    "all is well, 0 errors",
    '10.0.0.1 - "GET / HTTP/1.1" 200 502',
]


def test_lines_are_counted_and_nothing_of_their_text_is_kept() -> None:
    errors = counted(LINES, 30)
    assert (errors.lines, errors.errors, errors.severe) == (6, 4, 2)
    assert errors.words == "4 error lines (2 severe) of 6 in 30 s"
    assert errors.kinds == ("ModuleNotFoundError",)
    assert counted(["KeyError"], 30).kinds == ()  # no error was counted


def test_a_check_tells_the_kind_of_a_line_and_not_its_text() -> None:
    quiet = Baseline(errors=LogErrors(0, 0, 0, 600.0))
    for times, outcome in ((1, "unverified"), (2, "failed")):
        check = judged_errors(quiet, counted(LINES * times, 30))
        assert check.outcome == outcome
        assert check.detail.endswith("(ModuleNotFoundError)."), check
        assert not {word for word in ("hunter2", "given-secret", "torch") if word in str(check)}
    said = ["KeyError: 'hunter2'", "permission denied: given-secret"]
    detail = judged_running(unit(container(**EXITED)), EXPECTED, WELL, said).detail
    assert detail == "new is exited with code 3. Its last lines tell of: KeyError, permission denied."
    assert judged_running(unit(container(**EXITED)), EXPECTED, WELL, ["hunter2"]).detail == "new is exited with code 3."


@pytest.mark.parametrize(
    ("old", "at_start", "new", "outcome"),
    [
        (LogErrors(0, 0, 0, 600), None, LogErrors(9, 0, 0, 30), "passed"),
        (LogErrors(0, 0, 0, 600), None, LogErrors(9, 9, 0, 30), "passed"),
        (LogErrors(0, 0, 0, 600), None, LogErrors(99, 40, 0, 30), "failed"),
        (LogErrors(0, 400, 0, 600), None, LogErrors(99, 40, 0, 30), "passed"),
        (LogErrors(0, 0, 0, 600), LogErrors(0, 30, 0, 60), LogErrors(99, 40, 0, 30), "passed"),
        (LogErrors(0, 0, 0, 600), None, LogErrors(9, 1, 1, 30), "unverified"),
        (LogErrors(0, 0, 0, 600), None, LogErrors(9, 3, 3, 30), "failed"),
        (LogErrors(0, 99, 99, 600), None, LogErrors(9, 3, 3, 30), "passed"),
        (None, None, LogErrors(9, 3, 0, 30), "passed"),
        (LogErrors(0, 0, 0, 600), None, None, "unverified"),
    ],
)
def test_only_a_clear_excess_of_errors_fails(
    old: LogErrors | None, at_start: LogErrors | None, new: LogErrors | None, outcome: str
) -> None:
    assert judged_log(old, at_start, new)[0] == outcome


def test_logs_of_several_are_one_only_where_each_is_known() -> None:
    one = LogErrors(5, 1, 0, 10.0)
    assert summed([one, one]) == LogErrors(10, 2, 0, 10.0)
    assert summed([one, None]) is None
    assert summed([]) is None


MB = 1_000_000


def series(*used: float) -> list[Sample]:
    return [Sample(float(at), int(size * MB)) for at, size in enumerate(used)]


def out(samples: list[Sample], *, limit: int | None = 100 * MB, old: int | None = 30 * MB) -> str:
    return running_out(samples, limit, share=0.95, old_bytes=old, horizon_seconds=300)


def test_memory() -> None:
    assert "96.5 MB" in out(series(60, 96, 97, 96.5))
    assert out(series(60, 96, 40, 96)) == ""
    assert "grows" in out(series(*(50 + at for at in range(30))))
    assert out(series(*(50 + at for at in range(30))), old=70 * MB) == ""
    assert out(series(*(50 + at for at in range(8)))) == "", "too short to tell"
    assert out(series(*(90 - 60 / (at + 1) for at in range(30)))) == "", "it slows down"
    assert out(series(*(10 + at for at in range(30)))) == "", "far from its limit"
    assert out(series(*(50 + at for at in range(30))), limit=None) == ""
    grown = unit(container(Memory=100 * MB))
    assert judged_memory(grown, {"new": series(97, 97, 97)}, WELL, share=0.95, horizon_seconds=300).outcome == "failed"
    assert (
        judged_memory(
            unit(container(OOMKilled=True)), {}, Baseline(out_of_memory=True), share=0.95, horizon_seconds=300
        ).outcome
        == "unverified"
    )


@given(level=st.floats(1, 94), noise=st.lists(st.floats(-0.01, 0.01), min_size=0, max_size=60))
def test_memory_that_stays_where_it_is_never_counts_as_running_out(level: float, noise: list[float]) -> None:
    assert out(series(*(level * (1 + part) for part in sorted(noise, key=abs)))) == "" or level * 1.01 >= 95


@given(begin=st.floats(51, 80), rate=st.floats(0.2, 3), number=st.integers(15, 60))
def test_memory_that_grows_into_its_limit_counts_as_running_out(begin: float, rate: float, number: int) -> None:
    used = [min(begin + rate * at, 100) for at in range(number)]
    if used[-1] < 100 or used[-3] >= 95:  # it still grows, or has been there for a while
        assert out(series(*used))


def test_ports_that_a_container_tells_of() -> None:
    inspected = {
        "Config": {"ExposedPorts": {"80/tcp": {}, "53/udp": {}}},
        "HostConfig": {"PortBindings": {"443/tcp": [{"HostPort": ""}]}},
        "NetworkSettings": {
            "Ports": {
                "443/tcp": [{"HostIp": "::", "HostPort": "4443"}, {"HostIp": "10.0.0.1", "HostPort": "9"}],
                "53/udp": [{"HostIp": "", "HostPort": "53"}],
                "80/tcp": None,
            }
        },
    }
    found = Running("a", "a", IMAGE, "a", True, inspected)
    assert told_ports(found) == {80, 443}
    assert published(found) == {443: ("127.0.0.1", 4443)}
