"""Which stopped containers go, by what the engine says of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgopt_pipeline.cleaning.containers import changed_paths, why_kept, why_too_young
from tests.cleaning.made import NOW, compose, inspected, policy, standing_of


@pytest.mark.parametrize(
    ("container", "reason"),
    [
        (inspected("web"), None),
        (inspected("web", "created"), None),
        (inspected("web", "dead"), None),
        (inspected("web", "running"), "it is running"),
        (inspected("web", "paused"), "it is paused"),
        (inspected("web", "removing"), "it is removing"),
        (inspected("web", HostConfig=policy("always")), "its restart policy always may start it again"),
        (inspected("web", HostConfig=policy("unless-stopped")), "its restart policy unless-stopped may start it again"),
        (inspected("web", HostConfig=policy("on-failure")), None),
        (
            inspected("web", HostConfig=policy("on-failure"), State={"Status": "exited", "ExitCode": 1}),
            "its restart policy on-failure may start it again, as it failed",
        ),
        (inspected("web.imgopt-deploy-7"), "imgopt keeps it as a way back, and removes it in time"),
        (inspected("web", Config={"Labels": {"io.kubernetes.pod.name": "x"}}), "Kubernetes manages it"),
    ],
)
def test_what_a_container_is_itself(container: dict[str, Any], reason: str | None) -> None:
    assert why_kept(container, standing_of(container)) == reason


def test_what_stands_beside_it() -> None:
    job = inspected("job", Config=compose("shop"))
    web = inspected("web", "running", Config=compose("shop"))
    other = inspected("web", "running", Config=compose("other"))
    once = inspected("once", Config=compose("shop", one_off=True))
    assert why_kept(job, standing_of(job, web)) == "its compose project shop runs, which may start it again"
    assert why_kept(job, standing_of(job, other)) is None
    assert why_kept(job, standing_of(job, inspected("web", Config=compose("shop")))) is None
    assert why_kept(once, standing_of(once, web)) is None
    by_hand = inspected("by-hand", Config=compose("shop", number=None))
    assert why_kept(by_hand, standing_of(by_hand, web)) is None
    running_by_hand = inspected("by-hand", "running", Config=compose("shop", number=None))
    assert why_kept(job, standing_of(job, running_by_hand)) is None
    joining = inspected("sidecar", "running", HostConfig={"NetworkMode": f"container:{job['Id']}"})
    assert why_kept(job, standing_of(job, joining)) == "container sidecar shares its namespaces"


def test_age_is_by_the_engines_clock() -> None:
    assert why_too_young(inspected("web", days=8), NOW, 7) is None
    assert why_too_young(inspected("web", days=6), NOW, 7) == "it ended 6 days ago, less than 7 days ago"
    assert why_too_young(inspected("web", "created", days=8), NOW, 7) is None
    assert why_too_young(inspected("web", days=-1), NOW, 0) == "by the engine's clock it ends in the future"
    unknown = inspected("web", State={"Status": "exited", "FinishedAt": "0001-01-01T00:00:00Z"})
    assert why_too_young(unknown, NOW, 0) == "when it ended is unknown"


def test_mount_points_are_no_changes() -> None:
    changes = [{"Path": "/var", "Kind": 0}, {"Path": "/var/lib", "Kind": 0}, {"Path": "/var/lib/data", "Kind": 1}]
    assert changed_paths(changes, ["/var/lib/data"]) == []
    assert changed_paths([*changes, {"Path": "/var/log/x", "Kind": 1}], ["/var/lib/data/"]) == ["/var/log/x"]
    assert changed_paths([{"Path": "/etc", "Kind": 0}, {"Path": "/etc/x", "Kind": 2}], []) == ["/etc/x"]


names = st.sampled_from(["a", "b", "c"])
paths = st.lists(names, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(st.sets(paths), st.sets(paths))
def test_no_changed_file_is_overlooked(changed: set[str], mounted: set[str]) -> None:
    found = changed_paths([{"Path": path} for path in changed], mounted)
    for path in changed:
        inside = [other for other in (changed | mounted) if other.startswith(f"{path}/")]
        assert (path in found) == (not inside and path not in mounted)
