"""The checks that need no engine: configuration, packages, size; and what is read from logs and from the linker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgopt_pipeline.builds.checks.application import application, expected_ports, memory_limit, usage_of
from imgopt_pipeline.builds.checks.configuration import check_configuration
from imgopt_pipeline.builds.checks.packages import check_packages, explained_removals
from imgopt_pipeline.builds.checks.probing import listening
from imgopt_pipeline.builds.checks.shared_libraries import parse_missing
from imgopt_pipeline.builds.checks.smaller import check_smaller
from imgopt_pipeline.builds.checks.subjects import CheckContext, Subject
from imgopt_pipeline.builds.checks.suspects import suspects_of
from imgopt_pipeline.builds.checks.wanting import advice, wanted_by
from imgopt_pipeline.settings import BuildSettings, ProbeSettings, TargetSettings

CONFIG: dict[str, Any] = {
    "Entrypoint": ["/entry"],
    "Cmd": ["serve"],
    "Env": ["PATH=/usr/bin", "KEY=hunter2-value"],
    "ExposedPorts": {"8000/tcp": {}, "53/udp": {}},
    "Volumes": {"/data": {}},
    "User": "app",
    "WorkingDir": "/srv",
    "Labels": {"team": "shop"},
    "Healthcheck": {"Test": ["CMD", "true"]},
}


def subject(config: Mapping[str, Any] | None = None, *packages: dict[str, Any], size_bytes: int = 100) -> Subject:
    return Subject("sha256:0", config or {}, packages, size_bytes)


def package(ecosystem: str, name: str, version: str = "1", **more: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "requires": [],
        "section": "",
        "gpu_role": "",
        "development": False,
        "only_recommended": False,
    }
    row |= {"requested": None, "location": ""}
    return {"ecosystem": ecosystem, "name": name, "version": version, **row, **more}


def test_what_nobody_asked_apt_for_may_go_with_the_recommended_and_what_lies_in_tests_with_these() -> None:
    asked = package("debian", "fonts", requested=True)
    old = subject(None, asked, package("debian", "fonts-core", requested=False))
    rules = CheckContext(rules=("R4", "R9"))
    assert check_packages(old, subject(None, asked), rules).outcome == "passed"
    gone = check_packages(old, subject(None), rules)
    assert gone.outcome == "failed" and "fonts" in gone.detail
    fixture = package("python", "my-test-package", location="usr/lib/python3/dist-packages/pkg_resources/tests/data")
    assert check_packages(subject(None, fixture), subject(None), rules).outcome == "passed"
    assert check_packages(subject(None, fixture), subject(None), CheckContext(rules=("R4",))).outcome == "failed"


def test_the_same_configuration_passes_and_labels_of_ours_do_not_count() -> None:
    ours = {"team": "shop", "imgopt.rules": "R1", "org.opencontainers.image.base.name": "x"}
    new = CONFIG | {"Labels": ours, "WorkingDir": "/srv/", "StopSignal": "SIGTERM"}
    assert check_configuration(subject(CONFIG), subject(new), CheckContext()).outcome == "passed"


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"Cmd": ["other"]}, "command"),
        ({"Entrypoint": None}, "entrypoint"),
        ({"Env": ["PATH=/usr/bin"]}, "env:KEY"),
        ({"Env": ["PATH=/usr/bin", "KEY=another-secret"]}, "env:KEY"),
        ({"ExposedPorts": {"8000/tcp": {}}}, "port:53/udp"),
        ({"Volumes": None}, "volume:/data"),
        ({"User": "root"}, "user"),
        ({"WorkingDir": ""}, "workdir"),
        ({"Labels": {}}, "label:team"),
        ({"Healthcheck": {"Test": ["NONE"]}}, "healthcheck"),
        ({"StopSignal": "SIGINT"}, "stop-signal"),
    ],
)
def test_a_changed_configuration_fails_by_name_unless_it_is_explained(change: dict[str, Any], name: str) -> None:
    old, new = subject(CONFIG), subject(CONFIG | change)

    result = check_configuration(old, new, CheckContext(rules=("R13", "R12")))

    assert (result.outcome, name in result.detail) == ("failed", True)
    assert not any(secret in repr(result) for secret in ("hunter2", "another-secret"))
    assert check_configuration(old, new, CheckContext(explained_config=(name,))).outcome == "passed"
    if name == "command":
        assert result.suspects == ("R13",)


def test_smaller() -> None:
    assert check_smaller(subject(size_bytes=10), subject(size_bytes=9)).outcome == "passed"
    assert check_smaller(subject(size_bytes=10), subject(size_bytes=10)).outcome == "failed"


def test_packages_that_rules_take_away_pass_and_what_only_they_require_goes_with_them() -> None:
    old = subject(
        None,
        package("python", "torch", "2.8.0", gpu_role="framework", requires=["nvidia-cublas-cu12", "sympy"]),
        package("python", "nvidia-cublas-cu12", gpu_role="library", requires=["nvidia-only"]),
        package("python", "nvidia-only"),
        package("python", "sympy"),
        package("debian", "gcc", section="devel", requires=["gcc-12"]),
        package("debian", "gcc-12", section="devel", requires=["libisl23"]),
        package("debian", "libisl23"),
        package("debian", "less", only_recommended=True),
        package("node", "mocha", development=True),
    )
    new = subject(None, package("python", "torch", "2.8.0"), package("python", "sympy"))
    context = CheckContext(rules=("R1", "R3", "R4", "R7"))

    assert check_packages(old, new, context).outcome == "passed"
    assert explained_removals(old, new, context) == {"nvidia-cublas-cu12", "nvidia-only"}
    without = check_packages(old, new, CheckContext(rules=("R1", "R3", "R7")))
    assert (without.outcome, without.packages) == ("failed", ("less",))


def test_a_package_that_something_kept_requires_is_missed() -> None:
    old = subject(
        None,
        package("debian", "gcc", section="devel", requires=["libfoo"]),
        package("debian", "app", requires=["libfoo"]),
        package("debian", "libfoo"),
    )
    result = check_packages(old, subject(None, package("debian", "app")), CheckContext(rules=("R3",)))
    assert (result.outcome, result.packages, result.suspects) == ("failed", ("libfoo",), ("R3",))


def test_replaced_and_named_packages_are_explained_and_another_version_is_told() -> None:
    old = subject(
        None, package("python", "onnxruntime_gpu"), package("python", "Left.Out"), package("python", "x", "1")
    )
    new = subject(None, package("python", "onnxruntime"), package("python", "x", "2"))
    context = CheckContext(
        rules=("R1",), cpu_replacements={"onnxruntime-gpu": "onnxruntime"}, removed_packages=("left-out",)
    )
    result = check_packages(old, new, context)
    assert (result.outcome, "x 1 → 2" in result.detail) == ("unverified", True)


def test_the_container_in_use_says_how_it_runs_without_its_host() -> None:
    container = {
        "Config": {
            "Env": ["PATH=/usr/bin", "KEY=hunter2-value", "DATABASE_URL=postgres://secret"],
            "Entrypoint": ["/entry"],
            "Cmd": ["worker"],
            "User": "7",
            "WorkingDir": "/srv",
        },
        "HostConfig": {
            "PortBindings": {"9000/tcp": [{}]},
            "Memory": 300_000_000,
            "CapAdd": ["NET_ADMIN"],
            "Privileged": True,
            "Binds": ["/:/host"],
            "NetworkMode": "production",
            "ShmSize": 1_000_000,
        },
        "Mounts": [{"Type": "bind", "Destination": "/etc/app.conf"}],
    }
    context = CheckContext(container=container, target=TargetSettings(environment={"DATABASE_URL": "sqlite://"}))
    old = subject(CONFIG)
    usage = usage_of(old, context)

    assert usage.command_of(old) == ["/entry", "worker"]
    assert (usage.user_of(old), usage.workdir, usage.mounts) == ("7", None, ("/etc/app.conf",))
    assert usage.environment == ("DATABASE_URL=sqlite://",)
    assert expected_ports(old, usage, context) == {8000, 9000}
    assert memory_limit(usage, context, 10**10) == 300_000_000
    limited = CheckContext(builds=BuildSettings(check_memory_bytes=5), container=container)
    assert memory_limit(usage, limited, 10**10) == 5
    given = application(old, usage, memory_bytes=1, dropped=True)
    assert (given.dropped, given.capabilities, given.more) == (False, ("NET_ADMIN",), {"shm_size": 1_000_000})
    assert given.healthcheck == {"test": ["CMD", "true"], "interval": 2_000_000_000}
    assert not any(word in repr((context, usage, given, old)) for word in ("postgres", "hunter2", "sqlite"))


def test_ports_of_probes_stand_in_for_those_of_the_image() -> None:
    context = CheckContext(target=TargetSettings(probes=(ProbeSettings(port=81),)))
    assert expected_ports(subject(CONFIG), usage_of(subject(CONFIG), context), context) == {81}


@pytest.mark.parametrize(
    ("log", "variables", "hosts"),
    [
        ("  File \"<frozen os>\", line 679\nKeyError: 'DATABASE_URL'", ("DATABASE_URL",), ()),
        ("Error: environment variable API_TOKEN is not set", ("API_TOKEN",), ()),
        ("/entrypoint.sh: line 3: DB_PASSWORD: must be set", ("DB_PASSWORD",), ()),
        ("1 validation error for Settings\ndatabase_url\n  Field required [type=missing]", ("DATABASE_URL",), ()),
        ("/entry.sh: line 3: SECRET_KEY: unbound variable", ("SECRET_KEY",), ()),
        ("/entry.sh: 3: SECRET_KEY: parameter not set", ("SECRET_KEY",), ()),
        ("TypeError: process.env.REDIS_URL must be a string", ("REDIS_URL",), ()),
        ("ImproperlyConfigured: Set the SECRET_KEY environment variable", ("SECRET_KEY",), ()),
        ("decouple.UndefinedValueError: SECRET_KEY not found.", ("SECRET_KEY",), ()),
        ("Error: getaddrinfo ENOTFOUND db\n    at GetAddrInfo", (), ("db",)),
        ('could not translate host name "postgres" to address: Name or service not known', (), ("postgres",)),
        ("dial tcp: lookup redis on 127.0.0.11:53: no such host", (), ("redis",)),
        (
            "redis.exceptions.ConnectionError: Error -2 connecting to cache:6379. Name or service not known.",
            (),
            ("cache",),
        ),
        ("HTTPConnectionPool(host='api.internal', port=80): Max retries exceeded", (), ("api.internal",)),
        ("wget: bad address 'db:8081'", (), ("db",)),
        ("all is well\nlistening on 0.0.0.0:8000", (), ()),
    ],
)
def test_what_a_log_asks_for(log: str, variables: tuple[str, ...], hosts: tuple[str, ...]) -> None:
    wanted = wanted_by(log)
    assert (wanted.variables, wanted.hosts) == (variables, hosts)
    assert bool(wanted) == bool(variables or hosts)


def test_a_refused_service_and_an_unnamed_host_are_told() -> None:
    assert wanted_by("Error: connect ECONNREFUSED 127.0.0.1:5432").services == ("5432",)
    assert wanted_by("socket.gaierror: [Errno -2] Name or service not known").unnamed


def test_advice_shows_the_settings_to_write() -> None:
    said = advice(wanted_by("KeyError: 'DATABASE_URL'\ngetaddrinfo ENOTFOUND db"), "shop:1")
    assert 'targets: {"shop:1": {environment: {DATABASE_URL: …}, doubles: {db: {image: postgres:16}}}}' in said


@given(st.text(alphabet=st.sampled_from("aA_.:'\"- \n0"), max_size=3000))
def test_reading_a_log_takes_whatever_stands_there(log: str) -> None:
    wanted_by(log)


def test_a_long_hostile_log_is_read_in_a_moment() -> None:
    for text in ("A" * 10**6, "a." * 10**6, "host name '" * 10**5, "A_" * 10**6):
        wanted_by(text)


def test_sockets_that_listen() -> None:
    table = """  sl  local_address rem_address   st tx_queue
   0: 00000000:1F40 00000000:0000 0A 00000000:00000000
   1: 0100007F:A3B2 0100007F:1F40 01 00000000:00000000
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0
"""
    assert listening(table) == {8000, 80}


def test_what_the_linker_does_not_find() -> None:
    text = """/usr/bin/a:
/usr/bin/b:
	libone.so.1 => not found
	libtwo.so => not found
/usr/lib/c.so:
/usr/lib/c.so: /lib/libc.so.6: version `GLIBC_2.38' not found (required by /usr/lib/c.so)
/usr/lib/musl.so:
Error loading shared library libthree.so.3: No such file or directory (needed by /usr/lib/musl.so)
"""
    assert parse_missing(text) == {
        "/usr/bin/a": frozenset(),
        "/usr/bin/b": {"libone.so.1", "libtwo.so"},
        "/usr/lib/c.so": {"GLIBC_2.38"},
        "/usr/lib/musl.so": {"libthree.so.3"},
    }


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("ModuleNotFoundError: No module named 'numpy.tests'", "R9"),
        ("ImportError: libgomp.so.1: cannot open shared object file", "R3"),
        ("OSError: libcublas.so.12: cannot open shared object file", "R1"),
        ("Error: Cannot find module 'rimraf'", "R7"),
        ("error: command 'gcc' failed: fatal error: Python.h", "R15"),
        ("PermissionError: [Errno 13] Permission denied: '/srv/x'", "R12"),
    ],
)
def test_a_failure_points_at_a_rule(text: str, first: str) -> None:
    every = tuple(f"R{number}" for number in range(1, 19))
    assert suspects_of(text, CheckContext(rules=every))[0] == first
    assert suspects_of(text, CheckContext(rules=("R5",))) == ()
