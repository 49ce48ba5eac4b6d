"""Checks of the same candidate are not repeated, unless something that they depend on changed."""

from __future__ import annotations

from dataclasses import replace

from imgopt_pipeline.builds.checks.conditions import check_conditions
from imgopt_pipeline.builds.checks.subjects import CheckContext
from imgopt_pipeline.builds.models import PASSED, UNVERIFIED, CheckResult
from imgopt_pipeline.builds.past import Past
from imgopt_pipeline.settings import BuildSettings, DoubleSettings, ProbeSettings, TargetSettings

TARGET = TargetSettings(environment={"KEY": "sesame"}, doubles={"db": DoubleSettings(image="pg:1")})
CONTEXT = CheckContext("shop:1", ("R1",), TARGET, container={"Id": "c1", "Config": {"Env": ["KEY=sesame"]}})


def test_whatever_matters_makes_other_conditions() -> None:
    others = [
        replace(CONTEXT, rules=("R1", "R3")),
        replace(CONTEXT, container={"Id": "c2"}),
        replace(CONTEXT, host_gpu=True),
        replace(CONTEXT, builds=BuildSettings(soak_seconds=11)),
        replace(CONTEXT, target=TARGET.model_copy(update={"probes": (ProbeSettings(path="/health"),)})),
        replace(CONTEXT, target=TARGET.model_copy(update={"doubles": {}})),
        replace(CONTEXT, target=TARGET.model_copy(update={"environment": {}})),
    ]
    assert len({check_conditions(context) for context in (CONTEXT, *others)}) == len(others) + 1
    same = replace(CONTEXT, builds=BuildSettings(cache_bytes=1))
    assert check_conditions(same) == check_conditions(CONTEXT)


def test_values_of_variables_are_not_in_them() -> None:
    other = TARGET.model_copy(update={"environment": {"KEY": "another"}})
    assert check_conditions(replace(CONTEXT, target=other)) == check_conditions(CONTEXT)


def test_checks_are_told_again_where_the_application_was_seen_to_work() -> None:
    checks = (CheckResult("gpu", UNVERIFIED), CheckResult("start", PASSED), CheckResult("probe", PASSED))
    past = Past(candidate_id="sha256:1", checks=checks, conditions="same")
    assert past.told("sha256:1", "same") == checks
    assert past.told("sha256:2", "same") == past.told("sha256:1", "other") == ()
    portless = replace(past, checks=(*checks[:2], CheckResult("probe", UNVERIFIED)))
    assert portless.told("sha256:1", "same") == portless.checks
    for lacking in (CheckResult("probe", UNVERIFIED, "port 80 / answers 500"), CheckResult("start", UNVERIFIED)):
        assert replace(past, checks=(*checks[:1], lacking)).told("sha256:1", "same") == ()
