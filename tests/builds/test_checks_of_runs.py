"""How two runs of an application are judged side by side, without running any."""

from __future__ import annotations

import pytest

from imgopt_pipeline.builds.checks.application import Usage
from imgopt_pipeline.builds.checks.probing import Answer
from imgopt_pipeline.builds.checks.session import Session
from imgopt_pipeline.builds.checks.starting import judged_probe, judged_start
from imgopt_pipeline.builds.checks.subjects import CheckContext
from imgopt_pipeline.builds.checks.wanting import wanted_by
from imgopt_pipeline.settings import ProbeSettings, TargetSettings

CONTEXT = CheckContext(rules=("R9", "R3"))
HOME = Answer(8000, "/", True, 200, "text/html", 500, "<h1>shop</h1>")
UP = Session(ready_seconds=1.0, answers=(HOME,))
MISSING = "ModuleNotFoundError: No module named 'shop.tests'"


def answer(**change: object) -> Answer:
    values = {
        name: getattr(HOME, name) for name in ("port", "path", "opens", "status", "content_type", "size_bytes", "body")
    }
    return Answer(**(values | change))


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (Session(exit_code=1, log=(MISSING,)), "exits with code 1"),
        (Session(unready="port 8000 did not open in 9 s"), "port 8000 did not open"),
        (Session(refused="the engine does not start it"), "does not start"),
        (Session(exit_code=137, out_of_memory=True), "want of memory"),
        (Session(exit_code=0), "exits with code 0"),
    ],
)
def test_what_starts_in_one_only_fails(new: Session, said: str) -> None:
    result = judged_start(UP, new, Usage(), CONTEXT)
    assert (result.outcome, said in result.detail, result.suspects[0]) == ("failed", True, "R9")
    assert judged_probe(UP, new, CONTEXT).outcome == "unverified"


def test_what_starts_in_both_or_ends_well_in_both_passes() -> None:
    assert judged_start(UP, UP, Usage(), CONTEXT).outcome == "passed"
    assert judged_start(Session(exit_code=0), Session(exit_code=0), Usage(), CONTEXT).outcome == "passed"


def test_what_starts_in_neither_is_unverified_and_says_what_it_lacks() -> None:
    log = "KeyError: 'DATABASE_URL'"
    old = Session(exit_code=1, log=(log,), wanted=wanted_by(log))
    result = judged_start(old, old, Usage(mounts=("/etc/app.conf",)), CheckContext(reference="shop:1"))
    assert result.outcome == "unverified"
    assert all(word in result.detail for word in ("either", "DATABASE_URL: …", '"shop:1"', "/etc/app.conf"))


@pytest.mark.parametrize(
    "change",
    [
        {"status": 404},
        {"status": 500},
        {"opens": False, "status": None},
        {"status": None, "content_type": ""},
        {"content_type": "text/plain"},
        {"size_bytes": 500_000},
    ],
)
def test_another_answer_fails(change: dict[str, object]) -> None:
    result = judged_probe(UP, Session(ready_seconds=1.0, answers=(answer(**change),)), CONTEXT)
    assert (result.outcome, "8000" in result.detail) == ("failed", True)


def test_the_same_answer_passes_and_so_does_the_same_health() -> None:
    assert judged_probe(UP, UP, CONTEXT).outcome == "passed"
    healthy = Session(ready_seconds=1.0, health="healthy")
    assert judged_probe(healthy, healthy, CONTEXT).outcome == "passed"
    assert judged_probe(healthy, Session(ready_seconds=1.0, health="unhealthy"), CONTEXT).outcome == "failed"


def test_an_answer_that_is_broken_at_the_image_in_use_proves_nothing() -> None:
    broken = Session(ready_seconds=1.0, answers=(answer(status=500),))
    assert judged_probe(broken, broken, CONTEXT).outcome == "unverified"
    assert judged_probe(Session(exit_code=1), UP, CONTEXT).outcome == "unverified"
    assert judged_probe(Session(ready_seconds=1.0), Session(ready_seconds=1.0), CONTEXT).outcome == "unverified"


def test_settings_say_what_must_come() -> None:
    context = CheckContext(target=TargetSettings(probes=(ProbeSettings(path="/", status=200, body="sh.p"),)))
    assert judged_probe(UP, UP, context).outcome == "passed"
    other = Session(ready_seconds=1.0, answers=(answer(body="<h1>error</h1>"),))
    assert judged_probe(UP, other, context).outcome == "failed"
    assert judged_probe(other, UP, context).outcome == "unverified"
    forbidden = Session(ready_seconds=1.0, answers=(answer(status=403),))
    wanted = CheckContext(target=TargetSettings(probes=(ProbeSettings(path="/", status=403),)))
    assert judged_probe(forbidden, forbidden, wanted).outcome == "passed"
    assert judged_probe(forbidden, UP, wanted).outcome == "failed"
