"""Every way to reach an engine works, and each that fails says what is wrong and what to do.

DOCKER_HOST, Docker contexts, TLS with client certificates (right and wrong ones), ssh, sockets that this user
may not open, and several hosts of which one is down.
"""

import getpass
import json
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .conftest import ROOT
from .daemons import Daemon, private_daemon
from .program import PROGRAM, environment, imgopt, leftovers, rows
from .proxy import tcp_proxy, unix_proxy

IMAGE = "reached:1"


@pytest.fixture(scope="module")
def engine(classic: Daemon) -> Iterator[Daemon]:
    """A daemon with one image."""
    classic.import_busybox(IMAGE)
    yield classic
    classic.docker("rmi", IMAGE)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of certificates, `right` and `wrong`, each with ca, server and client from one authority."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    root = tmp_path_factory.mktemp("certificates")
    for name in ("right", "wrong"):
        make_certificates(root / name)
    return root


@pytest.fixture(scope="module")
def tls_url(certificates: Path) -> Iterator[str]:
    """A daemon that speaks TLS and wants a client's certificate."""
    right, port = certificates / "right", free_port()
    options = ["--tlsverify", f"--host=tcp://127.0.0.1:{port}", f"--tlscacert={right / 'ca.pem'}"]
    options += [f"--tlscert={right / 'server.pem'}", f"--tlskey={right / 'server-key.pem'}"]
    with private_daemon("classic", ROOT, *options) as daemon:
        daemon.import_busybox(IMAGE)
        yield f"tcp://127.0.0.1:{port}"


def test_docker_host_names_a_socket(engine: Daemon, tmp_path: Path) -> None:
    assert_reached(environment(tmp_path, engine.url))


def test_docker_host_names_a_port(engine: Daemon, tmp_path: Path) -> None:
    with tcp_proxy(engine.socket, lambda *_: None) as url:
        assert_reached(environment(tmp_path, url))


def test_docker_host_wins_over_a_context(engine: Daemon, tmp_path: Path) -> None:
    env = with_context(tmp_path, "elsewhere", "host=unix:///nowhere.sock")
    assert_reached(env | {"DOCKER_HOST": engine.url})


@pytest.mark.parametrize("chosen", ["use", "variable"])
def test_docker_context(engine: Daemon, tmp_path: Path, chosen: str) -> None:
    env = with_context(tmp_path, "private", f"host={engine.url}", use=chosen == "use")
    assert_reached(env if chosen == "use" else env | {"DOCKER_CONTEXT": "private"})


def test_docker_context_that_is_not_there(tmp_path: Path) -> None:
    run = imgopt(["inspect", IMAGE], environment(tmp_path, DOCKER_CONTEXT="mistyped"))
    assert run.returncode == 2
    assert "'mistyped'" in run.stderr and "docker context ls" in run.stderr and "Traceback" not in run.stderr


def test_docker_context_with_tls(tls_url: str, certificates: Path, tmp_path: Path) -> None:
    right = certificates / "right"
    files = f"ca={right / 'ca.pem'},cert={right / 'cert.pem'},key={right / 'key.pem'}"
    assert_reached(with_context(tmp_path, "secure", f"host={tls_url},{files}", use=True))


def test_tls_from_the_environment(tls_url: str, certificates: Path, tmp_path: Path) -> None:
    folder = str(certificates / "right")
    assert_reached(environment(tmp_path, tls_url, DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=folder))


def test_tls_from_the_settings(tls_url: str, certificates: Path, tmp_path: Path) -> None:
    write_hosts(tmp_path, f"remote: {{engine: '{tls_url}', tls_folder: '{certificates / 'right'}'}}")
    run = imgopt(["audit"], environment(tmp_path))
    assert (run.returncode, run.stderr) == (0, "")
    (audit,) = rows(tmp_path, "FROM audits")
    assert (audit["host"], audit["status"], audit["images"]) == ("remote", "complete", 1)


@pytest.mark.parametrize(
    ("folder", "told"),
    [("wrong", "certificate"), ("missing", "has no ca.pem"), (None, "TLS")],
)
def test_tls_that_does_not_fit_says_so(
    tls_url: str, certificates: Path, tmp_path: Path, folder: str | None, told: str
) -> None:
    named = f", tls_folder: '{certificates / folder}'" if folder else ""
    write_hosts(tmp_path, f"remote: {{engine: '{tls_url}'{named}}}")
    run = imgopt(["inspect", IMAGE, "--host", "remote"], environment(tmp_path))
    assert run.returncode == 3
    assert tls_url in run.stderr and told in run.stderr and "tls_folder" in run.stderr
    assert "Traceback" not in run.stderr and len(run.stderr) < 600


def test_tls_without_client_certificate_is_refused(certificates: Path, tls_url: str, tmp_path: Path) -> None:
    """The daemon itself checks: what the other tests reach is no open port."""
    context = ssl.create_default_context(cafile=str(certificates / "right" / "ca.pem"))
    host, _, port = tls_url.removeprefix("tcp://").partition(":")
    with (
        pytest.raises(OSError, match=r"certificate required|closed"),
        socket.create_connection((host, int(port))) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        secure.sendall(b"GET /info HTTP/1.0\r\n\r\n")
        if not secure.recv(1):
            raise OSError("closed")


def test_ssh(engine: Daemon, tmp_path: Path) -> None:
    with ssh_server(engine, tmp_path) as (url, env):
        run = imgopt(["inspect", IMAGE, "--json"], env | {"DOCKER_HOST": url})
    assert (run.returncode, run.stderr) == (0, "")
    assert {layer["reader"] for layer in json.loads(run.stdout)["layers"]} == {"API: tar-split"}


def test_ssh_to_a_host_that_is_down(engine: Daemon, tmp_path: Path) -> None:
    with ssh_server(engine, tmp_path) as (url, env):
        pass
    run = imgopt(["inspect", IMAGE], env | {"DOCKER_HOST": url})
    assert run.returncode == 3
    assert f"imgopt: {url} (DOCKER_HOST): no engine answers over ssh." in run.stderr
    assert "Traceback" not in run.stderr


def test_socket_without_permission(engine: Daemon, tmp_path: Path) -> None:
    """As root without its privileges, at a socket of somebody else."""
    listen = tmp_path / "others.sock"
    with unix_proxy(engine.socket, listen, lambda *_: None) as url:
        os.chown(listen, pwd.getpwnam("nobody").pw_uid, -1)
        listen.chmod(0o600)
        powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
        env = environment(tmp_path / "home", url)
        for command in (["inspect", IMAGE], ["audit"]):
            run = imgopt(command, env, prefix=powerless)
            assert run.returncode == 3
            assert str(listen) in run.stderr and "may not use the socket" in run.stderr
            assert "docker" in run.stderr and "Traceback" not in run.stderr


def test_other_user_reads_through_a_socket_it_may_use(engine: Daemon) -> None:
    """As `nobody`: no file of the engine can be read directly, only what the API hands out."""
    home = Path(tempfile.mkdtemp(prefix="imgopt-nobody-", dir=ROOT))
    prefix = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--bounding-set=-all"]
    try:
        if subprocess.run([*prefix, str(PROGRAM), "--version"], check=False, capture_output=True).returncode:
            pytest.skip("the user nobody may not run this virtual environment")
        with unix_proxy(engine.socket, home / "open.sock", lambda *_: None) as url:
            (home / "open.sock").chmod(0o666)
            env = environment(home / "state", url, HOME=str(home))
            for path in (home, home / "state", home / "state" / "imgopt.yaml"):
                shutil.chown(path, "nobody")
            run = imgopt(["inspect", IMAGE, "--json"], env, prefix=prefix)
        assert (run.returncode, run.stderr) == (0, "")
        assert {layer["reader"] for layer in json.loads(run.stdout)["layers"]} == {"API: tar-split"}
    finally:
        shutil.rmtree(home)


def test_no_socket_there(tmp_path: Path) -> None:
    run = imgopt(["inspect", IMAGE], environment(tmp_path, "unix:///nowhere/docker.sock"))
    assert run.returncode == 3
    assert "/nowhere/docker.sock" in run.stderr and "no such socket" in run.stderr


def test_port_where_nothing_listens(tmp_path: Path) -> None:
    run = imgopt(["inspect", IMAGE], environment(tmp_path, f"tcp://127.0.0.1:{free_port()}"))
    assert run.returncode == 3
    assert "nothing answers there" in run.stderr and "Traceback" not in run.stderr


def test_address_of_no_known_kind(tmp_path: Path) -> None:
    run = imgopt(["inspect", IMAGE], environment(tmp_path, "gopher://engine"))
    assert run.returncode == 3
    assert "gopher://engine" in run.stderr and "Traceback" not in run.stderr


def test_host_that_is_down_is_not_the_end_of_the_others(engine: Daemon, containerd: Daemon, tmp_path: Path) -> None:
    containerd.import_busybox(IMAGE)
    down = f"tcp://127.0.0.1:{free_port()}"
    write_hosts(
        tmp_path,
        f"first: {{engine: '{engine.url}'}}",
        f"gone: {{engine: '{down}'}}",
        f"last: {{engine: '{containerd.url}'}}",
    )
    run = imgopt(["audit"], environment(tmp_path))
    containerd.docker("rmi", IMAGE)
    assert (run.returncode, run.stderr) == (0, "")
    found = {row["host"]: row["status"] for row in rows(tmp_path, "FROM audits")}
    assert found == {"first": "complete", "gone": "unreachable", "last": "complete"}
    problems = rows(tmp_path, "FROM latest_problems")
    assert {(row["host"], row["kind"]) for row in problems} == {("gone", "host unreachable")}
    assert all(down in row["subject"] and row["message"] and row["hint"] for row in problems)
    report = " ".join(run.stdout.split())
    assert all(f"Host {name}" in report for name in found) and "could not be read" in report and down in report
    assert leftovers(tmp_path) == []


def assert_reached(env: dict[str, str]) -> None:
    """The program finds the image there."""
    run = imgopt(["inspect", IMAGE, "--json"], env)
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout)["references"] == [IMAGE]


def with_context(home: Path, name: str, endpoint: str, *, use: bool = False) -> dict[str, str]:
    """An environment whose Docker configuration has a context."""
    config = home / "client"
    config.mkdir()
    env = environment(home, DOCKER_CONFIG=str(config))
    subprocess.run(
        ["docker", "context", "create", name, f"--docker={endpoint}"], check=True, capture_output=True, env=env
    )
    if use:
        subprocess.run(["docker", "context", "use", name], check=True, capture_output=True, env=env)
    return env


def write_hosts(home: Path, *lines: str) -> None:
    """An imgopt.yaml with these hosts."""
    (home / "imgopt.yaml").write_text("hosts:\n" + "".join(f"  {line}\n" for line in lines))


def make_certificates(folder: Path) -> None:
    """An authority, and certificates from it for a server on 127.0.0.1 and for a client."""
    folder.mkdir()
    new_key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"

    def openssl(command: str) -> None:
        subprocess.run(["openssl", *command.split()], check=True, capture_output=True, cwd=folder)

    openssl(f"req -x509 {new_key} -days 2 -subj /CN=authority -keyout ca-key.pem -out ca.pem")
    for name, key, usage in (("server", "server-key", "serverAuth"), ("cert", "key", "clientAuth")):
        openssl(f"req {new_key} -subj /CN={name} -keyout {key}.pem -out {name}.csr")
        (folder / "extensions").write_text(f"subjectAltName=IP:127.0.0.1\nextendedKeyUsage={usage}\n")
        signing = "-CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile extensions"
        openssl(f"x509 -req -in {name}.csr {signing} -out {name}.pem")


@contextmanager
def ssh_server(engine: Daemon, folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """An sshd of our own whose sessions find the daemon; its URL, and an environment with a key for it."""
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if sshd is None:
        pytest.skip("no sshd is installed (openssh-server)")
    port = free_port()
    for name in ("host-key", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    server = folder / "sshd_config"
    server.write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host-key\nAuthorizedKeysFile {folder}/key.pub\n"
        f"StrictModes no\nUsePAM no\nPidFile none\nSetEnv DOCKER_HOST={engine.url}\n"
    )
    client = folder / "ssh_config"
    client.write_text(
        f"IdentityFile {folder}/key\nUserKnownHostsFile {folder}/known\nStrictHostKeyChecking no\nLogLevel ERROR\n"
    )
    # ssh reads its user's home from the system and not from HOME, so that its settings come by a wrapper.
    wrapper = folder / "bin" / "ssh"
    wrapper.parent.mkdir(exist_ok=True)
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {client} "$@"\n')
    wrapper.chmod(0o755)
    env = environment(folder / "home", PATH=f"{wrapper.parent}:{os.environ['PATH']}")
    # What Debian's service makes at its start.
    made = not (separation := Path("/run/sshd")).exists()
    separation.mkdir(mode=0o755, exist_ok=True)
    process = subprocess.Popen([sshd, "-D", "-e", "-f", str(server)], stderr=subprocess.PIPE)
    try:
        wait_for_port(port, process)
        yield f"ssh://{getpass.getuser()}@127.0.0.1:{port}", env
    finally:
        process.terminate()
        process.wait()
        if made:
            separation.rmdir()


def wait_for_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait until somebody listens there."""
    for _ in range(100):
        if process.poll() is not None:
            _, said = process.communicate()
            pytest.skip(f"sshd does not start here: {said.decode(errors='replace')[-200:]}")
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
