"""`imgopt optimize` as a person runs it, on a real engine: what it keeps, what it tells, and what it never leaves.

After each test the engine holds what it held, but for what the test says is kept. The applications are busybox's
web server, so that no network is needed. Not here: single checks, builders and rules.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from imgopt_pipeline.builds.builder.cleaning_up import sweep_attempts
from imgopt_pipeline.builds.checks.isolation import sweep
from imgopt_pipeline.hosts.connection import EngineAddress
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import sweep_helpers

from .conftest import ROOT
from .daemons import Daemon, private_daemon
from .optimizing_made import (
    ARCHIVE,
    BASE,
    NAP,
    QUICK,
    SERVE,
    Bench,
    Project,
    cache_records,
    compose,
    inventory,
    napping,
    shop,
    started,
    wait_for,
)
from .program import imgopt

OF_ALL = ["R10", "R12", "R17"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def bench(classic: Daemon, home: Path, tmp_path: Path) -> Iterator[Bench]:
    yield from on(classic, home, tmp_path)


def on(daemon: Daemon, home: Path, folder: Path) -> Iterator[Bench]:
    if not daemon.docker("images", "--quiet", BASE):
        daemon.import_busybox(BASE)
    found = Bench(daemon, home, folder)
    found.env()
    before = inventory(daemon)
    yield found
    found.assert_clean(before)
    for line in inventory(daemon) - before:
        _, image_id, tag = line.split()
        daemon.docker("rmi", "--force", image_id if "<none>" in tag else tag)


def test_a_compose_service_is_found_rebuilt_checked_and_kept(bench: Bench) -> None:
    project = bench.made(shop(SERVE))
    container = compose(project)
    text, image_id = project.dockerfile.read_text(), project.image_id()
    try:
        first = bench.optimize(project.tag)
        before = inventory(bench.daemon)
        again = bench.optimize(project.tag, "--write")
        assert inventory(bench.daemon) == before
    finally:
        bench.daemon.docker("rm", container)
    (build,) = first["builds"]
    assert (build["outcome"], build["attempts"], build["techniques"]) == ("kept", 1, OF_ALL)
    assert build["origin"].startswith(f"service web of the compose project {project.folder.name} (")
    assert build["candidate_reference"] == f"{project.tag}-optimized"
    assert 0 <= build["old_bytes"] - build["new_bytes"] - 8_500_000 < 1_000
    assert {row["measured_bytes"] == row["likely_bytes"] for row in first["build_rules"]} == {True}
    outcomes = {row["check_name"]: row["outcome"] for row in first["build_checks"]}
    assert outcomes.pop("shared-libraries") == "unverified" and set(outcomes.values()) == {"passed"}
    assert project.image_id() == image_id

    (second,) = again["builds"]
    assert (
        second["candidate_image_id"] == build["candidate_image_id"] == bench.daemon.image_id(f"{project.tag}-optimized")
    )
    assert {row["seconds"] for row in again["build_checks"]} == {0.0}  # told from the run before
    assert (project.folder / "Dockerfile.before-imgopt").read_text() == text
    assert "COPY --chown=1000:1000" in project.dockerfile.read_text()
    assert (project.folder / ".dockerignore").read_text().split() == [".git"]
    assert second["remarks"][0].startswith(f"Wrote {project.dockerfile}; what it was is ")
    assert_recorded(bench, build)


def assert_recorded(bench: Bench, build: dict[str, Any]) -> None:
    """Dagster has the run with its partition and checks, and the warehouse the build."""
    with dg.DagsterInstance.from_config(str(bench.home / "dagster")) as instance:
        run = instance.get_run_by_id(build["build_id"])
        records = instance.get_records_for_run(build["build_id"], of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    assert run is not None and run.status == dg.DagsterRunStatus.SUCCESS
    assert run.tags["dagster/partition"] == f"local|{build['reference']}"
    assert len(records.records) > 8
    listed = imgopt(["builds", build["reference"], "--json"], bench.env())
    assert json.loads(listed.stdout)["builds"][0]["reference"] == build["reference"]
    table = imgopt(["builds"], bench.env())
    assert build["build_id"][:8] in table.stdout and build["summary"][:20] in table.stdout


@pytest.fixture
def containerd_bench(containerd: Daemon, home: Path, tmp_path: Path) -> Iterator[Bench]:
    yield from on(containerd, home, tmp_path)


def test_the_rule_that_breaks_it_is_dropped_and_remembered(containerd_bench: Bench) -> None:
    bench = containerd_bench
    project = bench.made(shop(f"test -f .git/HEAD || exit 3; exec {SERVE}"))
    done = bench.optimize(*project.given)
    (build,) = done["builds"]
    assert (build["outcome"], build["techniques"], build["dropped"]) == ("kept", ["R12", "R17"], ["R10"]), build
    fates = {row["technique"]: row for row in done["build_rules"]}
    assert "exits with code 3; that of the image in use ready after" in fates["R10"]["reason"]
    assert [row["outcome"] for row in done["build_attempts"]][-1] == "passed"

    planned = bench.planned(*project.given)
    assert [rule["rule"] for rule in planned["rules"]] == ["R12", "R17"]
    (remark,) = planned["remarks"]
    assert remark.startswith("R10 (a .dockerignore) is left out: an earlier build had to drop it (start: ")
    assert remark.endswith("`--rules R10` tries it again.")
    assert [rule["rule"] for rule in bench.planned(*project.given, "--rules=R10")["rules"]] == ["R10"]


@pytest.mark.parametrize(
    ("application", "words"),
    [
        ("echo no luck today >&2; exit 4", "it exits with code 4. Its log ends: no luck today"),
        ("sleep 600", "port 8080 did not open"),
    ],
    ids=["ends", "hangs"],
)
def test_an_application_that_does_not_start_proves_nothing(bench: Bench, application: str, words: str) -> None:
    project = bench.made(shop(application, steps=ARCHIVE), {})
    done = bench.optimize(*project.given)
    (build,) = done["builds"]
    assert (build["outcome"], "checks unverified" in build["summary"]) == ("kept", True)
    start = next(row for row in done["build_checks"] if row["check_name"] == "start")
    assert (start["outcome"], words in start["detail"]) == ("unverified", True), start
    assert start["detail"].startswith("The image in use does not start in isolation either: it ")


def test_an_application_that_answers_500_proves_nothing(bench: Bench) -> None:
    page = b"#!/bin/sh\nprintf 'Status: 500 Broken\\r\\nContent-Type: text/plain\\r\\n\\r\\nno'\n"
    steps = f"{ARCHIVE}COPY --chmod=755 index.cgi /srv/app/cgi-bin/\n"
    done = bench.optimize(*bench.made(shop(SERVE, steps=steps), {"index.cgi": page}).given)
    probe = next(row for row in done["build_checks"] if row["check_name"] == "probe")
    assert (probe["outcome"], probe["detail"]) == (
        "unverified",
        "port 8080 / answers 500 text/plain at the image in use already.",
    )


def test_what_an_application_asks_for_is_told_and_given_by_settings(bench: Bench) -> None:
    needy = (
        "wget -q -O /tmp/answer http://db:5432/busybox; : ${DATABASE_URL:?is not set};"
        f" test -s /tmp/answer || exit 5; echo got $DATABASE_URL; exec {SERVE}"
    )
    project = bench.made(shop(needy))
    start = next(row for row in bench.optimize(*project.given)["build_checks"] if row["check_name"] == "start")
    stand_ins = "environment: {DATABASE_URL: …}, doubles: {db: {image: postgres:16}}"
    assert start["outcome"] == "unverified"
    assert f'stand-in in imgopt.yaml: targets: {{"{project.tag}": {{{stand_ins}}}}}' in start["detail"], start["detail"]

    bench.settings(f"""\
targets:
  "{project.tag}":
    environment: {{DATABASE_URL: sesame}}
    doubles: {{db: {{image: "{BASE}", command: [httpd, -f, -p, "5432", -h, /bin]}}}}
""")
    done = bench.optimize(*project.given)
    start = next(row for row in done["build_checks"] if row["check_name"] == "start")
    assert start["outcome"] == "passed", start["detail"]
    assert "sesame" not in json.dumps(done)


def test_what_cannot_be_begun_is_refused(bench: Bench) -> None:
    project = bench.made(shop(SERVE, steps=ARCHIVE), {})
    (bench.folder / "shelf").mkdir()
    bench.settings(f"hosts: {{local: {{engine: auto}}, shelf: {{archives: {bench.folder}/shelf}}}}\n")

    said = bench.refused(project.tag)
    assert "nothing says what it is built from. Tried: no label names a source." in said
    assert "name the files with --dockerfile and --context or under `targets` in imgopt.yaml" in said
    assert "no image" in bench.told("nowhere:1")
    assert "it holds image archives; nothing can be built" in bench.told(project.tag, "--host=shelf")
    assert "there is no Dockerfile" in bench.told(project.tag, "--dockerfile=missing", code=2)
    assert "there is no folder" in bench.told(*project.given, "--context=missing", code=2)
    assert "there is no prune pattern 'everything'" in bench.told(
        project.tag, "--flatten", "--prune=docs,everything", code=2
    )
    project.write("Dockerfile", f"FROM {BASE}\nRUN <<EOF\necho never ended\n")
    said = bench.told(*project.given, code=2)
    assert f"{project.dockerfile}: it does not parse (unterminated heredoc)." in said


def test_a_context_that_is_too_large_is_not_sent(bench: Bench) -> None:
    project = bench.made(shop(SERVE))
    (bench.folder / "imgopt.yaml").write_text("builds: {context_bytes: 3 MB}\n")
    said = bench.refused(*project.given)
    assert "builds.context_bytes" in said and ".git" in said


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("echo cannot open it >&2; exit 3", "failed with exit status 3: cannot open it."),
        (f"sleep {NAP}", "the build was ended after 3.0 s, its time limit, in `RUN sh /how`."),
        ("dd if=/dev/zero of=/dev/shm/x bs=1M count=100", "failed for want of disk space"),
        ("", "the base image cannot be had"),
    ],
    ids=["fails", "hangs", "fills the disk", "base gone"],
)
def test_a_dockerfile_that_does_not_build_any_more(bench: Bench, how: str, words: str) -> None:
    base = "registry.invalid/gone:1"
    bench.daemon.docker("tag", BASE, base)
    text = f"FROM {base}\nENV PATH=/bin\nCOPY how /\nRUN sh /how\n{ARCHIVE}CMD true\n"
    project = bench.made(text, {"how": b"true"})
    if how:
        project.write("how", how)
    else:
        bench.daemon.docker("rmi", base)
    (bench.folder / "imgopt.yaml").write_text("builds: {network: host, soak_seconds: 0, time_limit_seconds: 3}\n")
    done = bench.optimize(*project.given, code=1)
    (build,) = done["builds"]
    assert build["summary"].startswith("No candidate was kept. The Dockerfile does not build even as it is: ")
    assert (words in build["summary"], build["attempts"], build["dropped"]) == (True, 2, []), build
    assert {row["decision"] for row in done["build_rules"]} == {"left out"}
    assert all(Path(row["log_file"]).is_file() for row in done["build_attempts"])
    if how:
        bench.daemon.docker("rmi", base)
    assert [rule["rule"] for rule in bench.planned(*project.given)["rules"]] == ["R17"]


def test_interrupted_while_building(bench: Bench) -> None:
    project = endless(bench)
    cached = cache_records(bench.daemon)
    with started(bench, *project.given) as process:
        wait_for(lambda: napping(NAP), process)
        process.send_signal(signal.SIGINT)
        assert_interrupted(bench, process)
    assert cache_records(bench.daemon) <= cached


def test_ended_while_checking(bench: Bench) -> None:
    project = bench.made(shop(SERVE))
    bench.soaking()
    with started(bench, *project.given) as process:
        wait_for(lambda: len(applications(bench)) == 2, process)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
        process.send_signal(signal.SIGTERM)  # somebody is impatient
        assert_interrupted(bench, process)


def test_what_a_killed_build_left_goes_with_the_next(bench: Bench) -> None:
    project = endless(bench)
    with started(bench, *project.given) as process:
        wait_for(lambda: napping(NAP), process)
        process.kill()
        process.wait()
    deadline = time.monotonic() + 20
    while napping(NAP) and time.monotonic() < deadline:
        time.sleep(0.1)
    again(bench, project)


def test_what_a_killed_check_left_goes_with_a_later(bench: Bench) -> None:
    project = bench.made(shop(SERVE))
    bench.soaking()
    with started(bench, *project.given) as process:
        wait_for(lambda: len(applications(bench)) == 2, process)
        process.kill()
        process.wait()
    left = applications(bench)
    again(bench, project)
    assert applications(bench) == left  # it cannot know that nobody needs them any more
    with closing(EngineHost("test", [EngineAddress(bench.daemon.url, "test")])) as host:
        assert sweep(host.client, age_seconds=-1) == len(left) == 2
        assert sweep_helpers(host.client, age_seconds=-1) == 1
        assert len(sweep_attempts(host, age_seconds=-60)) == 1


def again(bench: Bench, project: Project) -> None:
    """What was cut off can be done again."""
    project.write("nap", "0")
    (bench.folder / "imgopt.yaml").write_text(QUICK)
    assert bench.optimize(*project.given)["builds"][0]["outcome"] == "kept"


def endless(bench: Bench) -> Project:
    """A project whose next build does not end by itself."""
    project = bench.made(shop(SERVE, steps=f"COPY nap /\nRUN sleep $(cat /nap)\n{ARCHIVE}"), {"nap": b"0"})
    project.write("nap", NAP)
    return project


def applications(bench: Bench) -> list[str]:
    """The containers of checks in which the application runs."""
    listed = bench.daemon.docker("ps", "--format={{.ID}} {{.Command}}", "--no-trunc", "--filter=label=imgopt.helper")
    return [line.split()[0] for line in listed.splitlines() if SERVE in line]


def assert_interrupted(bench: Bench, process: subprocess.Popen[str]) -> None:
    said, told = process.communicate(timeout=60)
    assert (process.returncode, said, told) == (130, "", "imgopt: interrupted; nothing is left behind.\n")
    assert bench.run_status() == "CANCELED"


def test_one_target_twice_at_once(bench: Bench) -> None:
    project = bench.made(shop(SERVE))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: bench.optimize(*project.given)["builds"][0], range(2))
    assert first["outcome"] == second["outcome"] == "kept"
    assert first["candidate_image_id"] == second["candidate_image_id"]


def test_the_image_is_removed_in_the_middle(bench: Bench) -> None:
    project = endless(bench)
    project.write("nap", "3.25")
    with started(bench, *project.given) as process:
        wait_for(lambda: napping("3.25"), process)
        bench.daemon.docker("rmi", project.tag)
        said, told = process.communicate(timeout=60)
    assert (process.returncode, said) == (3, ""), told
    assert told.startswith("imgopt: an image was removed while it was checked (No such image: sha256:")


def test_the_engine_is_killed_in_the_middle(home: Path, tmp_path: Path) -> None:
    with private_daemon("classic", ROOT) as daemon:
        daemon.import_busybox(BASE)
        bench = Bench(daemon, home, tmp_path)
        project = endless(bench)
        with started(bench, *project.given) as process:
            wait_for(lambda: napping(NAP), process)
            os.kill(daemon.pid, signal.SIGKILL)
            said, told = process.communicate(timeout=60)
        for nap in napping(NAP):
            nap.kill()  # it is no child of the daemon's
    assert (process.returncode, said, told) == (
        3,
        "",
        "imgopt: the engine went away. Start it and try again.\n",
    )
    assert bench.run_status() == "FAILURE"


def test_an_image_without_a_name_is_made_one_layer(bench: Bench) -> None:
    project = bench.made(shop(SERVE))
    image_id = project.image_id()
    bench.made(shop("true"))  # takes the name away
    bench.kept.add("<none>:<none>")
    done = bench.optimize(image_id[7:19], "--flatten", "--prune=docs")
    (build,) = done["builds"]
    assert (build["outcome"], build["kind"], build["old_bytes"] - build["new_bytes"] > 6_000_000) == (
        "kept",
        "flatten",
        True,
    )
    assert build["candidate_reference"] == f"imgopt/{image_id[7:19]}:optimized"
    found = json.loads(bench.daemon.docker("inspect", build["candidate_reference"]))[0]
    assert (len(found["RootFS"]["Layers"]), found["Config"]["User"]) == (1, "1000")
    outcomes = {row["check_name"]: row["outcome"] for row in done["build_checks"]}
    assert (outcomes["start"], outcomes["probe"], outcomes["configuration"]) == ("passed",) * 3
    assert "failed" not in outcomes.values()
