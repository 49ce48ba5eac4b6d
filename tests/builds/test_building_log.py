"""What a builder's output is understood as, and that no value that must be kept secret stays in it.

The transcripts are those of real builds, by BuildKit of Engine 26 and by the classic builder.
"""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgopt_pipeline.builds.builder.build_log import BuildLog, Failure, Redactor

FAILING_STEP = """\
#0 building with "default" instance using docker driver

#4 [1/2] FROM docker.io/library/busybox:t
#4 CACHED

#5 [2/2] RUN echo before; echo oh no >&2
#5 0.050 before
#5 0.051 oh no
#5 ERROR: process "/bin/sh -c echo before; echo oh no >&2" did not complete successfully: exit code: 3
------
 > [2/2] RUN echo before; echo oh no >&2:
0.050 before
0.051 oh no
------
f1:2
--------------------
   1 |     FROM busybox:t
   2 | >>> RUN echo before; echo oh no >&2
   3 |
--------------------
ERROR: failed to solve: process "/bin/sh -c echo before; echo oh no >&2" did not complete successfully: exit code: 3
"""
NO_BASE = """\
#2 [internal] load metadata for nosuch.invalid/thing:1
#2 ERROR: failed to do request: Head "https://nosuch.invalid/v2/thing/manifests/1": dial tcp: no such host
------
 > [internal] load metadata for nosuch.invalid/thing:1:
------
ERROR: failed to solve: nosuch.invalid/thing:1: failed to resolve source metadata for nosuch.invalid: no such host
"""
NO_FILE = """\
#6 [stage-1 2/2] COPY missing.txt /
#6 ERROR: failed to calculate checksum of ref d47fa673::jowmcm: "/missing.txt": not found
------
 > [stage-1 2/2] COPY missing.txt /:
------
ERROR: failed to solve: failed to compute cache key: failed to calculate checksum of ref d4: "/missing.txt": not found
"""
NO_SPACE = """\
#5 [2/3] RUN pip install torch
#5 3.1 ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device
#5 ERROR: process "/bin/sh -c pip install torch" did not complete successfully: exit code: 1
ERROR: failed to solve: process "/bin/sh -c pip install torch" did not complete successfully: exit code: 1
"""
KILLED = """\
#5 [2/3] RUN npm run build
#5 3.1 Killed
#5 ERROR: process "/bin/sh -c npm run build" did not complete successfully: exit code: 137
ERROR: failed to solve: process "/bin/sh -c npm run build" did not complete successfully: exit code: 137
"""
NO_PARSE = """\
#1 [internal] load build definition from Dockerfile
#1 DONE 0.0s
ERROR: failed to solve: dockerfile parse error on line 2: unknown instruction: RNU (did you mean RUN?)
"""
NO_ENGINE = """\
ERROR: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?
"""
CLASSIC_STEP = """\
DEPRECATED: The legacy builder is deprecated and will be removed in a future release.
Sending build context to Docker daemon  3.639kB
Step 1/2 : FROM busybox:t
 ---> abb31793bb11
Step 2/2 : RUN make
 ---> Running in cc85356a1b45
cc: not found
 ---> Removed intermediate container cc85356a1b45
The command '/bin/sh -c make' returned a non-zero code: 2
"""
CLASSIC_NO_BASE = """\
Step 1/2 : FROM nosuchimage:1
Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io on 10.0.0.1:53: no such host
"""
CLASSIC_NO_FILE = """\
Step 1/2 : FROM busybox:t
 ---> abb31793bb11
Step 2/2 : COPY nope /
COPY failed: file not found in build context or excluded by .dockerignore: stat nope: file does not exist
"""


@pytest.mark.parametrize(
    ("transcript", "buildkit", "reason", "step", "status", "said"),
    [
        (FAILING_STEP, True, "step failed", "RUN echo before; echo oh no >&2", "3", "oh no"),
        (NO_BASE, True, "base missing", "[internal] load metadata for nosuch.invalid/thing:1", "", "no such host"),
        (NO_FILE, True, "context", "COPY missing.txt /", "", '"/missing.txt": not found'),
        (NO_SPACE, True, "no space", "RUN pip install torch", "1", "No space left on device"),
        (KILLED, True, "killed", "RUN npm run build", "137", "Killed"),
        (NO_PARSE, True, "step failed", "", "", "dockerfile parse error on line 2: unknown instruction: RNU"),
        (CLASSIC_STEP, False, "step failed", "RUN make", "2", "cc: not found"),
        (CLASSIC_NO_BASE, False, "base missing", "FROM nosuchimage:1", "", "no such host"),
        (CLASSIC_NO_FILE, False, "context", "COPY nope /", "", "stat nope: file does not exist"),
    ],
)
def test_failures(transcript: str, buildkit: bool, reason: str, step: str, status: str, said: str) -> None:
    failure = read(transcript, buildkit)
    assert (failure.reason, failure.step, failure.exit_status) == (reason, step, status)
    assert said in failure.telling_line
    assert not failure.engine_gone


def test_an_engine_that_is_gone_is_not_the_steps_fault() -> None:
    assert read(NO_ENGINE, True).engine_gone


def test_a_step_cannot_pretend_to_be_the_builder() -> None:
    forged = (
        "#5 [2/2] RUN evil\n#5 0.1 #5 ERROR: no space left on devise\n#5 0.2 ERROR: failed to solve: x\n#5 DONE 0.3s\n"
    )
    failure = read(forged + NO_FILE, True)
    assert (failure.reason, failure.step) == ("context", "COPY missing.txt /")


def test_steps_are_told_as_they_begin() -> None:
    told: list[str] = []
    log = BuildLog(told.append, buildkit=True)
    for line in FAILING_STEP.splitlines():
        log.feed(line)
    assert told == ["[1/2] FROM docker.io/library/busybox:t", "[2/2] RUN echo before; echo oh no >&2"]


def test_only_the_last_lines_are_kept() -> None:
    log = BuildLog(lambda step: None, buildkit=True)
    log.feed("#5 [2/2] RUN loud")
    for number in range(100_000):
        log.feed(f"#5 1.0 line {number}")
    log.feed('#5 ERROR: process "/bin/sh -c loud" did not complete successfully: exit code: 1')
    log.feed('ERROR: failed to solve: process "/bin/sh -c loud" did not complete successfully: exit code: 1')
    lines = log.failure().lines
    assert lines[-1] == "line 99999" and len(lines) == 20


PLAIN = st.text(st.characters(categories=["L", "N"]), min_size=4, max_size=30)


@given(st.lists(PLAIN, min_size=1, max_size=5), st.text(max_size=30), st.text(max_size=30))
def test_no_value_stays(values: list[str], before: str, after: str) -> None:
    cleaned = Redactor(values)(f"{before}{values[0]}{after}")
    assert values[0] not in cleaned


@pytest.mark.parametrize("value", ['with "quotes"', "back\\slash", "<tag>&more", "line\nof two lines", "  padded  "])
def test_values_are_found_as_builders_quote_them(value: str) -> None:
    redact = Redactor([value])
    for form in (value, json.dumps(value), json.dumps(value).replace("&", "\\u0026").replace("<", "\\u003c")):
        for line in form.splitlines():
            assert not any(part.strip() in redact(f"ENV X={line} y") for part in value.splitlines())


def test_short_values_leave_the_log_readable() -> None:
    assert Redactor(["1", "on", ""])("#1 DONE 1.0s") == "#1 DONE 1.0s"


def test_what_looks_like_a_credential_goes_too() -> None:
    assert "hunter2" not in Redactor([])("#5 0.1 fetching https://user:hunter2@example.org/simple")


def test_a_terminal_is_told_nothing() -> None:
    assert Redactor([])("\x1b[91moh no\x1b[0m\x07\ttab\r") == "oh no\\x07\ttab"


def test_a_file_of_certificates_costs_nothing() -> None:
    certificate = f"-----BEGIN CERTIFICATE-----\n{'MIIabcdefgh' * 6}\n-----END CERTIFICATE-----\n"
    redact = Redactor([certificate * 5_000])
    started = time.perf_counter()
    for _ in range(1_000):
        redact("#5 0.1 Collecting requests==2.32.0")
    assert time.perf_counter() - started < 2


def read(transcript: str, buildkit: bool) -> Failure:
    log = BuildLog(lambda step: None, buildkit=buildkit)
    for line in transcript.splitlines():
        log.feed(line)
    return log.failure()
