"""Private Docker daemons for tests: started in a moment, gone without a trace.

Belongs here: starting, using and removing a daemon with its own socket, data root and process tree, for
each of the two image stores. Does not belong here: fixtures (`conftest.py`) and what tests assert.
"""

import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

Kind = Literal["classic", "containerd"]

PREFIX = "imgopt-engine-"
START_SECONDS = 60
STOP_SECONDS = 30
#: Linux allows 107 bytes for a socket's path; containerd's is the longest below a daemon's folder.
LONGEST_HOME = 107 - len("/exec/containerd/containerd.sock.ttrpc")
#: Fixed, so that the same input makes the same layer.
MTIME = 1_577_836_800
_STARTED = itertools.count()


class EngineError(RuntimeError):
    """A private daemon, or a command sent to it, failed; the message holds what it printed."""


@dataclass(frozen=True)
class Daemon:
    """A running private daemon: `url` is what a client connects to."""

    kind: Kind
    home: Path

    @property
    def socket(self) -> Path:
        """The daemon's API socket."""
        return self.home / "docker.sock"

    @property
    def url(self) -> str:
        """The value for DOCKER_HOST."""
        return f"unix://{self.socket}"

    @property
    def data_root(self) -> Path:
        """What `docker info` calls the Docker Root Dir."""
        return self.home / "data"

    @property
    def exec_root(self) -> Path:
        """The daemon's run-time state."""
        return self.home / "exec"

    @property
    def pid(self) -> int:
        """The process ID of dockerd."""
        return int((self.home / "pid").read_text())

    @property
    def log(self) -> Path:
        """Everything the daemon printed."""
        return self.home / "log"

    @property
    def environment(self) -> dict[str, str]:
        """The environment for a Docker client that shall see this daemon and no personal settings."""
        ours = {"DOCKER_HOST": self.url, "DOCKER_CONFIG": str(self.home / "client"), "DOCKER_BUILDKIT": "1"}
        others = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
        return others | ours

    def docker(self, *args: str, stdin: bytes | None = None) -> str:
        """Run the docker command against this daemon; its standard output without the last newline."""
        command = ["docker", *args]
        done = subprocess.run(command, check=False, input=stdin, capture_output=True, env=self.environment)
        if done.returncode:
            said = done.stderr.decode(errors="replace")
            raise EngineError(f"docker {' '.join(args)} exited with {done.returncode}:\n{said}")
        return done.stdout.decode(errors="replace").rstrip("\n")

    def build(self, dockerfile: str, files: dict[str, bytes], tag: str) -> str:
        """Build an image through BuildKit from a Dockerfile and its context's files; its image ID."""
        with tempfile.TemporaryDirectory(dir=self.home) as scratch:
            recipe, context = Path(scratch, "Dockerfile"), Path(scratch, "context")
            recipe.write_text(dockerfile)
            context.mkdir()
            for name, content in files.items():
                _write(context / name, content)
            self.docker("buildx", "build", "--network=host", f"--file={recipe}", f"--tag={tag}", str(context))
        return self.image_id(tag)

    def import_busybox(self, tag: str) -> str:
        """Import a base image of one layer, made from the machine's static busybox; its image ID."""
        self.docker("import", "--change", 'CMD ["/bin/sh"]', "-", tag, stdin=busybox_tar())
        return self.image_id(tag)

    def image_id(self, tag: str) -> str:
        """The ID this daemon gives the image of that tag."""
        return self.docker("image", "inspect", "--format", "{{.Id}}", tag)


@contextmanager
def private_daemon(kind: Kind, root: Path, *options: str) -> Iterator[Daemon]:
    """A daemon in a folder of its own below `root`, removed with all its processes and mounts at the end.

    When this process is killed the daemon ends too, and the next daemon below `root` removes its folder.
    """
    daemon = Daemon(kind, new_home(root))
    process: subprocess.Popen[bytes] | None = None
    try:
        if len(os.fsencode(daemon.home)) > LONGEST_HOME:
            raise EngineError(f"{daemon.home} is too long for the sockets below it: use a shorter root.")
        process = _start(daemon, options)
        _wait_until_it_answers(daemon, process)
        yield daemon
    finally:
        if process is not None:
            _stop(daemon, process)
        remove_home(daemon.home)


def restart(daemon: Daemon) -> None:
    """Start a daemon again that was killed; it ends with its folder."""
    (daemon.home / "pid").unlink(missing_ok=True)
    # Its containerd went with it; where nobody has noted its end yet, the next would wait ten seconds.
    (daemon.exec_root / "containerd" / "containerd.pid").unlink(missing_ok=True)
    _wait_until_it_answers(daemon, _start(daemon, ()))


@contextmanager
def restarted_later(daemon: Daemon) -> Iterator[threading.Event]:
    """An engine that was killed and is back after a second; the event tells when.

    It ends with the thread that starts it, which is kept until the block is left.
    """
    back, over = threading.Event(), threading.Event()

    def start() -> None:
        time.sleep(1)
        restart(daemon)
        back.set()
        over.wait()

    thread = threading.Thread(target=start)
    thread.start()
    try:
        yield back
    finally:
        over.set()
        thread.join()


def new_home(root: Path) -> Path:
    """An empty folder below `root`; those of test runs that were killed are removed first."""
    _remove_abandoned(root)
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=root))


def busybox_tar() -> bytes:
    """A root file system of the machine's static busybox and a link for each of its applets."""
    binary = Path(shutil.which("busybox") or "/bin/busybox")
    listed = subprocess.run([binary, "--list"], capture_output=True, check=True, text=True).stdout
    entries = [_entry("bin", tarfile.DIRTYPE, 0o755), _entry("tmp", tarfile.DIRTYPE, 0o1777)]
    for applet in set(listed.split()) - {"busybox"}:
        entries.append(_entry(f"bin/{applet}", tarfile.SYMTYPE, 0o777, target="busybox"))
    content = binary.read_bytes()
    entries.append(_entry("bin/busybox", tarfile.REGTYPE, 0o755, size=len(content)))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for entry in sorted(entries, key=lambda entry: entry.name):
            archive.addfile(entry, io.BytesIO(content) if entry.isreg() else None)
    return packed.getvalue()


def processes_below(home: Path) -> list[psutil.Process]:
    """The processes that were started with a path below `home`, and all their descendants."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        try:
            if any(f"{home}/" in argument for argument in process.cmdline()):
                found |= {each.pid: each for each in [process, *process.children(recursive=True)]}
        except psutil.NoSuchProcess:
            continue
    found.pop(os.getpid(), None)
    return list(found.values())


def mounts_below(home: Path) -> list[Path]:
    """The mount points below `home`, the innermost first."""
    points = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return [Path(point) for point in sorted(points, reverse=True) if point.startswith(f"{home}/")]


def remove_home(home: Path) -> None:
    """End what runs in a folder, unmount what is mounted there, and remove it."""
    survivors = processes_below(home)
    for process in survivors:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(survivors, timeout=STOP_SECONDS)
    for point in mounts_below(home):
        subprocess.run(["umount", "--lazy", point], check=False)
    shutil.rmtree(home)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (MTIME, MTIME))


def _entry(name: str, kind: bytes, mode: int, size: int = 0, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size, entry.linkname, entry.mtime = (kind, mode, size, target, MTIME)
    return entry


def _settings(kind: Kind) -> dict[str, object]:
    """The daemon's configuration file; both stores are asked for by name, as defaults differ by release."""
    settings: dict[str, object] = {"features": {"containerd-snapshotter": kind == "containerd"}}
    # A range of networks for each daemon: of two with the same one, one is not reached from here.
    base = f"10.{16 + os.getpid() % 200}.{next(_STARTED) % 4 * 64}.0/18"
    settings["default-address-pools"] = [{"base": base, "size": 24}]
    # The classic store trusts registries of this machine unasked, the other does not.
    settings["insecure-registries"] = ["127.0.0.0/8"]
    if kind == "classic":
        settings["storage-driver"] = "overlay2"
    return settings


def _start(daemon: Daemon, options: Sequence[str]) -> subprocess.Popen[bytes]:
    config = daemon.home / "daemon.json"
    config.write_text(json.dumps(_settings(daemon.kind)))
    (daemon.home / "client").mkdir(exist_ok=True)
    plugins = Path.home() / ".docker" / "cli-plugins"
    if plugins.is_dir() and not (daemon.home / "client" / "cli-plugins").exists():
        (daemon.home / "client" / "cli-plugins").symlink_to(plugins)
    command = ["setpriv", "--pdeathsig", "TERM", "dockerd", f"--config-file={config}", f"--host={daemon.url}"]
    command += [f"--data-root={daemon.data_root}", f"--exec-root={daemon.exec_root}"]
    command += [f"--pidfile={daemon.home / 'pid'}", "--bridge=none", "--ip-forward=false", "--ip-masq=false"]
    command += ["--iptables=false", "--ip6tables=false", *options]
    with daemon.log.open("wb") as log:
        # In a session of its own, so that Ctrl-C reaches the tests and not the daemon.
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0)


def _wait_until_it_answers(daemon: Daemon, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            daemon.docker("version")
            return
        except EngineError:
            time.sleep(0.1)
    tail = "\n".join(daemon.log.read_text(errors="replace").splitlines()[-20:])
    raise EngineError(f"The private {daemon.kind} daemon did not start. The end of its log:\n{tail}")


def _stop(daemon: Daemon, process: subprocess.Popen[bytes]) -> None:
    """End the daemon; its containers first, or it would wait ten seconds for each that ignores SIGTERM."""
    if process.poll() is None:
        with suppress(EngineError):
            if running := daemon.docker("ps", "--quiet").split():
                daemon.docker("kill", *running)
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _remove_abandoned(root: Path) -> None:
    """Remove the folders of test runs that were killed; the process ID in a folder's name tells."""
    for home in root.glob(f"{PREFIX}*-*"):
        owner = home.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            remove_home(home)
