"""Building, flattening and cleaning up on real engines of both image stores, and what ends a build in the middle.

Asserted after every fault: no image, container, process or temporary file is left. Not here: rewriting, and checks
of what was built.
"""

import os
import re
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from imgopt_pipeline.builds.builder.building import BuildFailed, build
from imgopt_pipeline.builds.builder.capabilities import BuilderCapabilities, capabilities
from imgopt_pipeline.builds.builder.cleaning_up import (
    ATTEMPT_REPOSITORY,
    built_before,
    prune_build_cache,
    remove_attempts,
    sweep_attempts,
)
from imgopt_pipeline.builds.builder.contexts import context_entries
from imgopt_pipeline.builds.builder.disk_space import NotEnoughSpace, check_disk_space
from imgopt_pipeline.builds.builder.flattening import flatten
from imgopt_pipeline.builds.builder.labels import candidate_labels
from imgopt_pipeline.builds.models import BuildRequest
from imgopt_pipeline.dockerfiles.ignore_file import ignore_file
from imgopt_pipeline.hosts.connection import EngineAddress
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.planning.candidates import SOURCE_LABEL

from .daemons import Daemon

BASE = "building-base:test"
TAG = f"{ATTEMPT_REPOSITORY}:test"
SECRET = "sesame-öffne-dich"
#: A time that no other process of the machine sleeps for.
NAP = 4_321.5


@dataclass(frozen=True)
class Ground:
    """A daemon, as a host, and a request to build something there."""

    daemon: Daemon
    host: EngineHost
    request: BuildRequest

    def build(self, dockerfile: str, builder: BuilderCapabilities | None = None, **changes: object) -> str:
        """Build and return the image's ID."""
        wanted = replace(self.request, dockerfile_text=dockerfile, **changes)  # type: ignore[arg-type]
        return build(self.host, wanted, builder=builder).image_id

    def run(self, image: str, *command: str) -> str:
        return self.daemon.docker("run", "--rm", "--network=none", "--user=0", "--entrypoint=", image, *command)

    @property
    def log(self) -> str:
        return self.request.log_file.read_text()


@pytest.fixture(params=["classic", "containerd"])
def ground(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    yield from prepared(request.getfixturevalue(request.param), tmp_path, monkeypatch)


@pytest.fixture
def classic_ground(classic: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    yield from prepared(classic, tmp_path, monkeypatch)


def prepared(daemon: Daemon, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    daemon.import_busybox(BASE)
    for name in ("context", "temporary"):
        (folder / name).mkdir()
    (folder / "context/a.txt").write_text("a")
    (folder / "context/b.txt").write_text("b")
    monkeypatch.setenv("TMPDIR", str(folder / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    monkeypatch.setenv("DOCKER_CONFIG", daemon.environment["DOCKER_CONFIG"])
    host = EngineHost("test", [EngineAddress(daemon.url, "test")])
    labels = candidate_labels("sha256:old", ["R3", "R1"], base_reference=BASE)
    request = BuildRequest(
        f"FROM {BASE}\n", folder / "context", TAG, folder / "logs/build.log", network="host", labels=labels
    )
    before = built_before(host)
    try:
        yield Ground(daemon, host, request)
        remove_attempts(host, [TAG], before)
        assert built_before(host).image_ids == before.image_ids
        # The classic builder's engine removes a container that was cut off a moment later.
        wait_for(lambda: daemon.docker("ps", "--all", "--quiet") == "")
        assert list((folder / "temporary").iterdir()) == []
        assert not nappers()
    finally:
        host.close()


def without_buildkit(found: BuilderCapabilities) -> BuilderCapabilities:
    return replace(found, builder="legacy", memory_limit=True)


def test_abilities_are_found_in_a_second(ground: Ground) -> None:
    started = time.perf_counter()
    found = capabilities(ground.host)
    assert found.buildkit and found.reason == "" and found.version.startswith("buildx ")
    assert found.cache_mounts and found.secrets and found.heredocs
    assert found.copy_chmod and found.copy_link and found.named_contexts
    assert time.perf_counter() - started < 5  # a third of a second on an idle machine
    assert without_docker(ground.host).builder == "none"


def without_docker(host: EngineHost) -> BuilderCapabilities:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")
        return capabilities(host)


def test_the_same_build_gives_the_same_image(ground: Ground) -> None:
    text = f"FROM {BASE}\nRUN head -c 100 /dev/urandom > /r\nCOPY a.txt /\nCMD /bin/true\n"
    first = ground.build(text)
    started = time.perf_counter()
    assert ground.build(text) == first == ground.daemon.image_id(TAG)
    assert time.perf_counter() - started < 5
    assert "CACHED" in ground.log
    labels = ground.host.image(TAG).labels
    assert labels[SOURCE_LABEL] == "sha256:old" and labels["imgopt.rules"] == "R1 R3"


@pytest.mark.parametrize("buildkit", [True, False])
def test_the_users_folder_is_only_read(classic_ground: Ground, buildkit: bool) -> None:
    ground = classic_ground
    context = ground.request.context
    (context / ".dockerignore").write_text("a.txt\n")
    (context / "Dockerfile").write_text("FROM scratch\n")
    before = {path.name: path.stat() for path in context.iterdir()}
    os.chmod(context, 0o555)
    builder = capabilities(ground.host) if buildkit else without_buildkit(capabilities(ground.host))
    text = f"FROM {BASE}\r\nCOPY . /x/\r\n"
    ground.build(text, builder, ignore_text="b.txt\n")
    assert ground.run(TAG, "ls", "-A", "/x").split() == [".dockerignore", "Dockerfile", "a.txt"]
    ground.build(text, builder)
    assert ground.run(TAG, "ls", "-A", "/x").split() == [".dockerignore", "Dockerfile", "b.txt"]
    os.chmod(context, 0o755)
    after = {path.name: path.stat() for path in context.iterdir()}
    assert {name: (now.st_mtime_ns, now.st_ino) for name, now in after.items()} == {
        name: (then.st_mtime_ns, then.st_ino) for name, then in before.items()
    }


def test_dockerignore_means_what_the_builder_takes_it_for(classic_ground: Ground) -> None:
    ground = classic_ground
    for name in ("docs/c.md", "docs/deep/d.md", "node_modules/x.js", "src/node_modules/y.js", "src/z.py", "e.md", "#f"):
        path = ground.request.context / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    texts = [
        "**/*.md\nnode_modules/", "docs/*\n!docs/deep", "*\n!src/**/*.py", "!e.md\n*.md", "**\n!docs/*.md",
        "./docs/../src\n?.txt\n# comment\n#f", "[a-e].md\r\n  a.txt  ", "d*s\n!d*s/deep\ns[^x]c",
    ]  # fmt: skip
    for text in texts:
        ground.build(f"FROM {BASE}\nCOPY . /x\nRUN : {len(text)}; find /x -type f\n", ignore_text=text)
        built = {line.split()[-1] for line in ground.log.splitlines() if re.fullmatch(r"#\d+ [\d.]+ /x/.*", line)}
        entries = context_entries(ground.request.context, ignore_file(text.splitlines()))
        assert {f"/x/{path}" for path, entry in entries if entry.is_file()} == built, text


def test_stages_secrets_named_contexts_and_line_by_line(ground: Ground, tmp_path: Path) -> None:
    (tmp_path / "more, and more").mkdir()
    (tmp_path / "more, and more/m.txt").write_text("m")
    (tmp_path / "se,cret").write_text(f"{SECRET}\nsecond line\n")
    text = f"""\
        FROM {BASE} AS one
        ARG WHO=nobody
        ARG PATH_OF_IT
        RUN --mount=type=secret,id=key cat /run/secrets/key && echo "I am $WHO" && printf '\\033[31mred\\n'
        COPY --from=more m.txt /m.txt
        COPY --from=other /bin/busybox /again
        COPY <<EOF /inline
        text
        EOF
        FROM scratch
        """
    arguments = {"WHO": SECRET.upper(), "PATH_OF_IT": "x", "PATH": "/bin", "HTTP_PROXY": "http://me:word@127.0.0.1:1"}
    ground.build(
        textwrap.dedent(text),
        stage="one",
        arguments=arguments,
        secrets={"key": str(tmp_path / "se,cret")},
        contexts={"more": str(tmp_path / "more, and more"), "other": BASE},
    )
    assert ground.run(TAG, "cat", "/m.txt", "/inline") == "mtext"
    assert "I am ***" in ground.log and "red" in ground.log and "\x1b" not in ground.log
    for value in (SECRET, SECRET.upper(), "second line", "me:word"):
        assert value not in ground.log
    assert stat.S_IMODE(ground.request.log_file.stat().st_mode) == 0o600


def test_values_are_in_no_process_list(classic_ground: Ground) -> None:
    script = f"""
    import sys
    from pathlib import Path
    from imgopt_pipeline.builds.builder.building import build
    from imgopt_pipeline.builds.models import BuildRequest
    from imgopt_pipeline.hosts.connection import EngineAddress
    from imgopt_pipeline.hosts.engine import EngineHost
    host = EngineHost("test", [EngineAddress({classic_ground.daemon.url!r}, "test")])
    text = "FROM {BASE}\\nARG WHO\\nRUN sleep {NAP}"
    request = BuildRequest(text, Path({str(classic_ground.request.context)!r}), {TAG!r},
        Path({str(classic_ground.request.log_file)!r}), network="host", arguments={{"WHO": sys.stdin.read()}})
    from imgopt_pipeline.interrupts import raise_interrupts
    raise_interrupts()
    build(host, request)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write(SECRET)
    process.stdin.close()
    try:
        wait_for(nappers)
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 1  # the docker command, and buildx below it
        assert not any(SECRET in argument for child in children for argument in child.cmdline())
        process.send_signal(signal.SIGINT)
        process.wait(30)
    finally:
        process.kill()
        process.wait()
    assert process.stderr is not None and "Interrupted" in process.stderr.read()
    assert not psutil.wait_procs(children, timeout=5)[1]
    wait_for(lambda: not nappers())
    assert SECRET not in classic_ground.log


@pytest.mark.parametrize("buildkit", [True, False])
@pytest.mark.parametrize(
    ("instruction", "reason", "message"),
    [
        ("RUN echo so far so good; echo cannot open it >&2; exit 3", "step failed", "exit status 3: cannot open it."),
        ("RUN echo out of memory; exit 137", "killed", "was killed"),
        ("COPY nothing /", "context", "nothing"),
        ("RNU true", "step failed", "unknown instruction: RNU"),
        ("FROM registry.invalid/none:1", "base missing", "the base image cannot be had"),
    ],
)
def test_builds_that_fail(classic_ground: Ground, buildkit: bool, instruction: str, reason: str, message: str) -> None:
    found = capabilities(classic_ground.host)
    with pytest.raises(BuildFailed) as raised:
        classic_ground.build(f"FROM {BASE}\n{instruction}\n", found if buildkit else without_buildkit(found))
    assert (raised.value.reason, raised.value.subject) == (reason, TAG)
    assert message in raised.value.message
    assert str(classic_ground.request.log_file) in raised.value.hint


def test_an_image_that_was_there_survives_a_failure(classic_ground: Ground) -> None:
    first = classic_ground.build(f"FROM {BASE}\nRUN true\n")
    with pytest.raises(BuildFailed):
        classic_ground.build(f"FROM {BASE}\nRUN false\n")
    assert classic_ground.daemon.image_id(TAG) == first


@pytest.mark.parametrize("buildkit", [True, False])
def test_a_build_that_hangs(ground: Ground, buildkit: bool) -> None:
    found = capabilities(ground.host)
    builder = found if buildkit else without_buildkit(found)
    with pytest.raises(BuildFailed, match=rf"ended after 3.0 s, its time limit, in `RUN sleep {NAP}`") as raised:
        ground.build(f"FROM {BASE}\nRUN sleep {NAP}\n", builder, time_limit_seconds=3)
    assert raised.value.reason == "timeout"
    wait_for(lambda: not nappers())


def test_a_process_may_not_take_more_memory_than_allowed(classic_ground: Ground) -> None:
    text = f"FROM {BASE}\nRUN dd if=/dev/zero of=/dev/null bs=900M count=1\n"
    assert classic_ground.build(text, memory_bytes=2_000_000_000)
    with pytest.raises(BuildFailed, match="memory"):
        classic_ground.build(text, memory_bytes=500_000_000)


def test_a_full_disk(classic_ground: Ground, tmp_path: Path) -> None:
    # A step's own /dev/shm is a disk of 64 MB that can be filled without harm.
    with pytest.raises(BuildFailed, match="for want of disk space") as raised:
        classic_ground.build(f"FROM {BASE}\nRUN dd if=/dev/zero of=/dev/shm/x bs=1M count=100\n")
    assert raised.value.reason == "no space"
    with pytest.raises(NotEnoughSpace, match="1 EB"):
        check_disk_space(classic_ground.host, 10**18)
    assert check_disk_space(classic_ground.host, 1) == ""


def test_only_attempts_go(ground: Ground) -> None:
    before = built_before(ground.host)
    ground.build(f"FROM {BASE}\nRUN head -c 3000000 /dev/urandom > /r\n")
    used, stranger = f"{ATTEMPT_REPOSITORY}:used", f"{ATTEMPT_REPOSITORY}:stranger"
    ground.build(f"FROM {BASE}\nRUN echo used > /r\n", tag=used)
    ground.build(f"FROM {BASE}\nRUN echo stranger > /r\n", tag=stranger, labels={})
    container = ground.daemon.docker("run", "--detach", "--network=none", used, "sleep", "600")
    try:
        assert sweep_attempts(ground.host) == []  # all of them are young
        ground.build(f"FROM {BASE}\nRUN echo another > /r\n")  # the first is without a tag now
        assert remove_attempts(ground.host, [TAG, used, stranger, BASE, "missing:1"], before)[:1] == [TAG]
        left = built_before(ground.host).image_ids - before.image_ids
        assert ground.daemon.image_id(stranger) in left and len(left) == 2
        assert ground.daemon.docker("ps", "--quiet") != ""
    finally:
        ground.daemon.docker("rm", "--force", container)
        ground.daemon.docker("rmi", "--force", stranger)
    ground.build(f"FROM {BASE}\nRUN echo old > /r\n")
    assert TAG in sweep_attempts(ground.host, age_seconds=-60)


def test_what_the_classic_builder_kept_goes_too(classic_ground: Ground) -> None:
    before = built_before(classic_ground.host)
    builder = without_buildkit(capabilities(classic_ground.host))
    classic_ground.build(f"FROM {BASE}\nRUN echo 1 > /one\nRUN echo 2 > /two\n", builder)
    assert len(built_before(classic_ground.host).image_ids - before.image_ids) > 1
    remove_attempts(classic_ground.host, [TAG], before)
    assert built_before(classic_ground.host).image_ids == before.image_ids


def test_the_build_cache_shrinks_to_its_limit_and_to_what_was_there(ground: Ground) -> None:
    text = f"FROM {BASE}\nRUN --mount=type=cache,id=WHO,target=/c head -c 5000000 /dev/urandom > /c/x\n"
    ground.build(text.replace("WHO", "theirs"))
    before = built_before(ground.host)
    ground.build(text.replace("WHO", "ours").replace("/c/x", "/c/y"))
    remove_attempts(ground.host, [TAG], before)
    assert prune_build_cache(ground.host, before, 10**12) == 0
    assert 5_000_000 <= prune_build_cache(ground.host, before, 0) < 10_000_000
    after = built_before(ground.host)
    assert before.cache_records <= after.cache_records
    assert prune_build_cache(ground.host, before, 0) == 0


WHOLE = f"""\
FROM {BASE}
RUN mkdir -p /usr/share/doc/a /var/lib/x /root/.cache && echo v > /var/lib/x/v
RUN echo licence > /usr/share/doc/a/copyright && echo long > /usr/share/doc/a/changelog
RUN head -c 3000000 /dev/urandom > /root/.cache/big && head -c 3000000 /dev/urandom > /dead
RUN rm /dead && mknod /device c 1 3 && mkfifo /pipe && ln -s nowhere /link && echo s > /suid && chmod 4755 /suid
RUN ln /usr/share/doc/a/changelog /kept && chown 12:13 /kept
RUN echo c > /root/.cache/linked && ln /root/.cache/linked /srv-linked
VOLUME /var/lib/x
EXPOSE 80 90/udp
ENV A="x y" B=
USER 12:13
WORKDIR /tmp
STOPSIGNAL SIGINT
HEALTHCHECK --interval=3s CMD ["true"]
SHELL ["/bin/sh", "-e", "-c"]
ONBUILD RUN true
LABEL l="m n"
ENTRYPOINT ["/bin/sh"]
CMD ["-c", "true"]
"""
#: All but what the engine lays into a container. A folder's links and size are its file system's business.
LISTING = """
find / /var/lib/x -xdev ! -path '/proc*' ! -path '/sys*' ! -path '/dev/*' ! -path '/etc/*' ! -name .dockerenv \\
    | sort -u > /l
grep -v '^/l$' /l | while read name; do
    [ -d $name -a ! -L $name ] && stat -c '%n %F %a %u:%g' $name || stat -c '%n %F %a %u:%g %s %h %t:%T' $name
done
"""


def test_flattening(ground: Ground) -> None:
    whole = "building-whole:test"
    ground.build(WHOLE, tag=whole)
    try:
        image = ground.host.image(whole)
        flat = flatten(ground.host, image, ["docs", "caches"], TAG, labels={SOURCE_LABEL: image.image_id})
        old, new = (ground.host.client.inspect_image(name) for name in (whole, TAG))
        assert new["Id"] == flat and len(new["RootFS"]["Layers"]) == 1
        assert new["Size"] < old["Size"] - 4_500_000
        old["Config"]["Labels"] |= {SOURCE_LABEL: image.image_id}
        assert {key: old[key] for key in ("Config", "Architecture", "Os", "Created")} == {
            key: new[key] for key in ("Config", "Architecture", "Os", "Created")
        }
        lines = ground.run(whole, "sh", "-c", LISTING).splitlines()
        # What has another name stays: as that name alone, unless the content stands under the one that is pruned.
        lines = [line for line in lines if "/.cache/big" not in line and "/changelog" not in line]
        lines = [line.replace(" 12:13 5 2 ", " 12:13 5 1 ") for line in lines]
        assert ground.run(TAG, "sh", "-c", LISTING).splitlines() == lines
        assert any(line.startswith("/root/.cache/linked") for line in lines)
        time.sleep(1.1)
        assert flatten(ground.host, image, ["docs", "caches"], TAG, labels={SOURCE_LABEL: image.image_id}) == flat
    finally:
        ground.daemon.docker("rmi", "--force", whole)


def nappers() -> list[int]:
    """The steps of builds that are still asleep."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [])[-2:] == ["sleep", str(NAP)]:
            found.append(process.pid)
    return found


def wait_for(condition: object) -> None:
    deadline = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.1)
