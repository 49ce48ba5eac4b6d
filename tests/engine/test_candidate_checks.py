"""Candidates are checked against the image in use on a real engine: each check passes, and fails for its reason.

The applications are busybox's web server and this machine's own Python and Node, so that no network is needed.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imgopt_pipeline.builds.checks.application import usage_of
from imgopt_pipeline.builds.checks.candidate import check_candidate
from imgopt_pipeline.builds.checks.isolation import Isolation, sweep
from imgopt_pipeline.builds.checks.node_modules import check_node_modules
from imgopt_pipeline.builds.checks.probing import probe_of
from imgopt_pipeline.builds.checks.python_modules import check_python_modules
from imgopt_pipeline.builds.checks.secret_files import check_secrets
from imgopt_pipeline.builds.checks.shared_libraries import check_shared_libraries
from imgopt_pipeline.builds.checks.side_by_side import SideBySide
from imgopt_pipeline.builds.checks.subjects import CheckContext, Subject
from imgopt_pipeline.builds.checks.surroundings import Surroundings
from imgopt_pipeline.builds.models import CheckResult
from imgopt_pipeline.errors import Interrupted
from imgopt_pipeline.hosts.connection import EngineAddress
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.interrupts import raise_interrupts
from imgopt_pipeline.settings import BuildSettings, DoubleSettings, ProbeSettings, TargetSettings

from .daemons import Daemon

BASE = "checks-base:1"
WEB = f"""FROM {BASE}
ENV PATH=/bin
COPY index.html /www/
EXPOSE 8080
VOLUME /var/data
"""
SERVE = 'CMD ["httpd", "-f", "-p", "8080", "-h", "/www"]\n'
QUICK = BuildSettings(soak_seconds=0.5, start_seconds=4, check_memory_bytes=200_000_000)
RULES = ("R1", "R3", "R9", "R13")
#: Where the images keep this machine's Python, with a package whose one part imports the other's test helper.
PYTHON = f"{sys.base_prefix}/lib/python{sys.version_info.major}.{sys.version_info.minor}"
SITE = f"{PYTHON}/site-packages"


@pytest.fixture(scope="module")
def host(classic: Daemon) -> Iterator[EngineHost]:
    """The engine, with the base of the images."""
    classic.import_busybox(BASE)
    with closing(EngineHost("local", [EngineAddress(classic.url, "test")])) as opened:
        yield opened


@pytest.fixture(autouse=True)
def nothing_left(classic: Daemon, host: EngineHost) -> Iterator[None]:
    """Whatever a test does, the engine has the containers, volumes and networks that it had."""
    before = inventory(classic)
    yield
    assert inventory(classic) == before


@pytest.fixture(scope="module")
def web(classic: Daemon, host: EngineHost) -> Subject:
    """A web server whose image carries what it does not need."""
    return built(classic, host, "web:old", f"{WEB}{SERVE}COPY dump /dump\n", {"dump": os.urandom(100_000)})


@pytest.fixture(scope="module")
def python(classic: Daemon, host: EngineHost) -> Subject:
    files = {"python.tar": program_tar(sys.executable, [PYTHON]), "shop/__init__.py": b"from shop.tests import help\n"}
    files |= {"shop/tests/__init__.py": b"", "shop/tests/help.py": b"", "lone.py": b"import not_there\n"}
    text = f"FROM {BASE}\nADD python.tar /\nCOPY shop {SITE}/shop\nCOPY lone.py {SITE}/\n"
    text += f"RUN ln -sf {os.path.realpath(sys.executable)} {sys.base_prefix}/bin/python3\n"
    return built(classic, host, "python:old", f"{text}ENV PATH={sys.base_prefix}/bin:/bin\n", files)


def test_a_smaller_image_that_does_the_same_passes(classic: Daemon, host: EngineHost, web: Subject) -> None:
    new = built(classic, host, "web:new", WEB + SERVE)

    results = by_check(check_candidate(host, web, new, CheckContext(rules=RULES, builds=QUICK)))

    outcomes = {name: result.outcome for name, result in results.items()}
    assert outcomes.pop("shared-libraries") == "unverified"  # a static busybox has no dynamic linker
    assert set(outcomes.values()) == {"passed"}, results
    assert results["probe"].new == "port 8080 / answers 200 text/html"
    assert "no dynamic linker" in results["shared-libraries"].detail


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ('CMD ["sh", "-c", "echo cannot find shop.tests >&2; exit 3"]', "exits with code 3"),
        ('CMD ["sleep", "600"]', "port 8080 did not open"),
        ('CMD ["sh", "-c", "httpd -p 8080 -h /www; sleep 2"]', "exits with code 0"),
        ('CMD ["/gone"]', "does not start it"),
        ('CMD ["sh", "-c", "head -c 400000000 /dev/zero | tail"]', "want of memory"),
    ],
    ids=["ends", "hangs", "ends late", "cannot be run", "too much memory"],
)
def test_a_candidate_that_does_not_start_fails(
    classic: Daemon, host: EngineHost, web: Subject, command: str, words: str
) -> None:
    new = built(classic, host, "web:broken", f"{WEB}{command}\n")
    builds = QUICK.model_copy(update={"soak_seconds": 3.0})
    results = by_check(check_candidate(host, web, new, CheckContext(rules=RULES, builds=builds)))
    start = results["start"]
    assert (start.outcome, words in start.detail, "stays up" in start.old) == ("failed", True, True), start
    if "code 3" in words:
        assert start.suspects[0] == "R9" and "cannot find shop.tests" in start.detail
    assert results["entry-point"].outcome == ("failed" if "/gone" in command else "passed")
    assert results["configuration"].outcome == "failed"


def test_another_answer_fails_and_a_broken_one_proves_nothing(classic: Daemon, host: EngineHost, web: Subject) -> None:
    page = {"cgi": b"#!/bin/sh\nprintf 'Status: 500 Broken\\r\\nContent-Type: text/plain\\r\\n\\r\\nno'\n"}
    broken = built(classic, host, "web:500", f"{WEB}{SERVE}COPY --chmod=755 cgi /www/cgi-bin/index.cgi\n", page)
    context = CheckContext(builds=QUICK, target=TargetSettings(probes=(ProbeSettings(path="/cgi-bin/index.cgi"),)))

    probe = by_check(check_candidate(host, web, broken, context))["probe"]
    assert (probe.outcome, "answers 500" in probe.new, "404" in probe.old) == ("failed", True, True)

    probe = by_check(check_candidate(host, broken, broken, context))["probe"]
    assert (probe.outcome, "already" in probe.detail) == ("unverified", True)


def test_what_an_application_lacks_is_told_and_given_by_settings(classic: Daemon, host: EngineHost) -> None:
    script = (
        ': "${API_KEY:?parameter not set}"; echo key is $API_KEY;'
        " wget -q -O - http://db:8081/ > /dev/null && exec httpd -f -p 8080 -h /www"
    )
    image = built(classic, host, "web:needy", f"{WEB}CMD {script}\n")
    double = DoubleSettings(image="web:double")
    classic.build(f"{WEB}EXPOSE 8081\nCMD httpd -f -p 8081 -h /www\n", {"index.html": b"x"}, "web:double")

    start = started(host, image, TargetSettings())
    assert start.outcome == "unverified"
    assert 'targets: {"web:needy": {environment: {API_KEY: …}}}' in start.detail, start

    start = started(host, image, TargetSettings(environment={"API_KEY": "swordfish"}))
    assert "doubles: {db: {image: postgres:16}}" in start.detail, start
    assert "swordfish" not in repr(start) and "key is ***" in start.detail

    start = started(host, image, TargetSettings(environment={"API_KEY": "swordfish"}, doubles={"db": double}))
    assert start.outcome == "passed", start

    missing = DoubleSettings(image="not-pulled:1")
    start = started(host, image, TargetSettings(environment={"API_KEY": "x"}, doubles={"db": missing}))
    assert "not-pulled:1 of the double db is not on this host" in start.detail


def test_capabilities_are_left_where_the_image_in_use_needs_them(classic: Daemon, host: EngineHost) -> None:
    owning = built(classic, host, "web:owner", f"{WEB}CMD chown 7 /www && exec httpd -f -p 8080 -h /www\n")
    assert started(host, owning, TargetSettings()).outcome == "passed"


def test_a_job_that_ends_well_passes_and_a_smoke_command_is_run_in_both(classic: Daemon, host: EngineHost) -> None:
    old = built(classic, host, "job:old", f"FROM {BASE}\nENV PATH=/bin\nRUN echo 1 > /kept\nCMD true\n")
    new = built(classic, host, "job:new", f"FROM {BASE}\nENV PATH=/bin\nCMD true\n")
    context = CheckContext(rules=("R9",), builds=QUICK, target=TargetSettings(smoke="cat /kept"))

    results = by_check(check_candidate(host, old, new, context))

    assert (results["start"].outcome, results["smoke"].outcome) == ("passed", "failed")
    assert ("No such file" in results["smoke"].detail, results["smoke"].suspects) == (True, ("R9",))
    context = replace(context, target=TargetSettings(smoke=["cat", "/nowhere"]))
    assert by_check(check_candidate(host, old, new, context))["smoke"].outcome == "unverified"


def test_new_secrets_are_found_by_name_only(classic: Daemon, host: EngineHost, web: Subject) -> None:
    files = {".env": b"API_TOKEN=swordfish\n", "pip.conf": b"[global]\nindex-url = https://me:swordfish@host/\n"}
    files |= {"harmless.conf": b"[global]\n"}
    text = f"{WEB}{SERVE}ENV DB_PASSWORD=swordfish\nCOPY .env /srv/\nCOPY pip.conf /etc/\n"
    new = built(classic, host, "web:secret", f"{text}COPY harmless.conf /srv/pip.conf\n", files)
    with Isolation(host.client) as isolation:
        result = check_secrets(isolation, SideBySide(isolation), web, new, CheckContext())
        again = check_secrets(isolation, SideBySide(isolation), new, new, CheckContext())
    assert result.outcome == "failed"
    found = ("file /srv/.env", "file /etc/pip.conf", "variable DB_PASSWORD")
    assert all(name in result.detail for name in found) and "/srv/pip.conf" not in result.detail, result
    assert "swordfish" not in repr(result)
    assert again.outcome == "passed"


def test_a_module_that_needs_a_removed_one_is_found(classic: Daemon, host: EngineHost, python: Subject) -> None:
    removed = built(classic, host, "python:new", f"FROM python:old\nRUN rm -r {SITE}/shop/tests\n")
    context = CheckContext(rules=RULES)
    with Isolation(host.client) as isolation:
        pair = SideBySide(isolation)
        same = check_python_modules(isolation, pair, python, python, usage_of(python, context), context)
        lost = check_python_modules(isolation, pair, python, removed, usage_of(python, context), context)
    assert (same.outcome, "1 module import" in same.old) == ("passed", True), same  # the other fails in both
    assert (lost.outcome, lost.suspects[0]) == ("failed", "R9")
    assert "shop (ModuleNotFoundError: No module named 'shop.tests')" in lost.detail


def test_a_library_that_is_not_found_any_more_is_named_with_its_package(
    classic: Daemon, host: EngineHost, python: Subject
) -> None:
    libm = next(path for path in libraries(sys.executable) if "libm.so" in path)
    record = "/var/lib/dpkg/info/libc6:amd64.list"
    text = f"FROM python:old\nRUN mkdir -p /var/lib/dpkg/info && echo {libm} > {record}\n"
    old = built(classic, host, "python:recorded", text)
    new = built(classic, host, "python:lame", f"FROM python:recorded\nRUN rm {libm}\n")
    with Isolation(host.client) as isolation:
        pair = SideBySide(isolation)
        same = check_shared_libraries(isolation, pair, old, old, CheckContext(rules=RULES))
        lost = check_shared_libraries(isolation, pair, old, new, CheckContext(rules=RULES))
    assert same.outcome == "passed", same
    assert (lost.outcome, lost.packages, lost.suspects[0]) == ("failed", ("libc6",), "R3"), lost
    assert Path(libm).name in lost.detail


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_a_dependency_that_does_not_import_any_more_is_found(classic: Daemon, host: EngineHost) -> None:
    node = shutil.which("node") or ""
    files = {"node.tar": program_tar(node, []), "package.json": b'{"dependencies": {"a": "1", "@b/c": "1", "no": "1"}}'}
    files |= {"a.js": b"require('./part')", "part.js": b"", "c.mjs": b"export default 1"}
    files |= {"c.json": b'{"name": "@b/c", "exports": {"import": "./c.mjs"}}'}
    modules = "/srv/app/node_modules"
    text = f"FROM {BASE}\nADD node.tar /\nWORKDIR /srv/app\nCOPY package.json .\nCOPY a.js {modules}/a/index.js\n"
    text += f"COPY part.js {modules}/a/\nCOPY c.mjs {modules}/@b/c/\nCOPY c.json {modules}/@b/c/package.json\n"
    text += f"ENV PATH={os.path.dirname(os.path.realpath(node))}:/bin\n"
    old = built(classic, host, "node:old", text, files)
    new = built(classic, host, "node:new", f"FROM node:old\nRUN rm {modules}/a/part.js\n")
    context = CheckContext(rules=("R7", "R13"))
    with Isolation(host.client) as isolation:
        pair = SideBySide(isolation)
        same = check_node_modules(isolation, pair, old, old, usage_of(old, context), context)
        lost = check_node_modules(isolation, pair, old, new, usage_of(old, context), context)
    assert (same.outcome, same.old) == ("passed", "2 dependencies import"), same
    assert (lost.outcome, lost.suspects[0], "a of /srv/app" in lost.detail) == ("failed", "R7", True), lost


@pytest.mark.parametrize("image", ["web:old", "python:old"])
def test_who_is_not_root_here_asks_from_within(
    classic: Daemon, host: EngineHost, web: Subject, python: Subject, image: str
) -> None:
    given = Surroundings(
        entrypoint=["sh", "-c"], command=["echo hi > /tmp/index.html; httpd -f -p 80 -h /tmp"], dropped=True
    )
    with Isolation(host.client) as isolation, isolation.created(image, given) as name:
        isolation.start(name)
        answers = []
        for local in (True, False):
            probe = probe_of(isolation, name, isolation.inspect(name)["State"], local=local)
            deadline = time.monotonic() + 20
            while 80 not in probe.ports() and time.monotonic() < deadline:
                time.sleep(0.1)
            answers.append([probe.ask(80, "/"), probe.ask(80, None), probe.ask(81, "/")])
    assert [(answer.opens, answer.status) for answer in answers[0]] == [(True, 200), (True, None), (False, None)]
    assert [(answer.opens, answer.status) for answer in answers[1]] == [(True, 200), (True, None), (False, None)]


@pytest.mark.parametrize("seconds", [0.3, 1.5, 3.0])
def test_an_interrupted_check_leaves_nothing(classic: Daemon, host: EngineHost, web: Subject, seconds: float) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    raise_interrupts()
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        builds = QUICK.model_copy(update={"soak_seconds": 60.0})
        with pytest.raises(Interrupted):
            check_candidate(host, web, web, CheckContext(builds=builds))
    finally:
        timer.cancel()
        for number, handler in handlers.items():
            signal.signal(number, handler)


def test_what_a_killed_check_left_is_swept_once_it_is_old(classic: Daemon, host: EngineHost, web: Subject) -> None:
    isolation = Isolation(host.client)
    name = isolation.create(web.image_id, Surroundings())
    isolation.start(name)
    assert sweep(host.client) == 0
    assert sweep(host.client, age_seconds=-1) == 1


def started(host: EngineHost, image: Subject, target: TargetSettings) -> CheckResult:
    context = CheckContext(reference="web:needy", builds=QUICK, target=target)
    return by_check(check_candidate(host, image, image, context))["start"]


def built(
    daemon: Daemon, host: EngineHost, tag: str, dockerfile: str, files: dict[str, bytes] | None = None
) -> Subject:
    daemon.build(dockerfile, {"index.html": b"<h1>shop</h1>", **(files or {})}, tag)
    found: dict[str, Any] = host.client.inspect_image(tag)
    return Subject(found["Id"], found["Config"], (), found["Size"])


def by_check(results: list[CheckResult]) -> dict[str, CheckResult]:
    return {result.check: result for result in results}


def inventory(daemon: Daemon) -> list[str]:
    kinds = (["ps", "--all"], ["volume", "ls"], ["network", "ls"])
    return [daemon.docker(*kind, "--quiet", *(["--no-trunc"] if kind[0] == "ps" else [])) for kind in kinds]


def libraries(program: str) -> list[str]:
    """The libraries that a program of this machine and Python's own modules need, the dynamic linker among them."""
    paths = [os.path.realpath(program), *map(str, Path(PYTHON, "lib-dynload").glob("*.so"))]
    listed = subprocess.run(["ldd", *paths], check=True, capture_output=True, text=True).stdout
    return list(dict.fromkeys(re.findall(r"(/\S+) \(0x", listed)))


def program_tar(program: str, folders: list[str]) -> bytes:
    """A program of this machine with its libraries, and folders without packages and tests."""
    packed = io.BytesIO()

    def wanted(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        unwanted = ("site-packages", "dist-packages", "test", "__pycache__", "idlelib", "config-")
        return None if any(part.startswith(unwanted) for part in Path(entry.name).parts[3:]) else entry

    with tarfile.open(fileobj=packed, mode="w") as tar:
        real = os.path.realpath(program)
        for path in dict.fromkeys([real, *libraries(program)]):
            entry = tar.gettarinfo(os.path.realpath(path), arcname=path.lstrip("/"))
            with open(path, "rb") as file:
                tar.addfile(entry, file)
        for folder in folders:
            tar.add(folder, arcname=folder.lstrip("/"), filter=wanted)
    return packed.getvalue()
