"""The kernel's table of sockets is read as this machine writes it."""

from __future__ import annotations

import os
import socket
from contextlib import closing

import pytest

from imgopt_pipeline.builds.checks.probing import ask_at, health_page, listeners, listening, socket_table


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.3"), (socket.AF_INET6, "::1")])
def test_where_a_socket_of_this_process_listens(family: socket.AddressFamily, address: str) -> None:
    with closing(socket.socket(family)) as opened:
        try:
            opened.bind((address, 0))
        except OSError:
            pytest.skip(f"this machine has no {address}")
        opened.listen()
        port, inode = opened.getsockname()[1], str(os.fstat(opened.fileno()).st_ino)
        table = socket_table(os.getpid())
        assert port in listening(table)
        assert (address, inode) in {(one.address, one.inode) for one in listeners(table) if one.port == port}
        assert ask_at(("127.0.0.9", address), port, None).opens
    assert not ask_at((address,), port, None, seconds=0.5).opens


def test_the_name_server_of_the_engine_is_no_port_of_the_application() -> None:
    row = "   0: 0B00007F:88ED 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2625581 1"
    assert listening(row) == frozenset()


@pytest.mark.parametrize(
    ("test", "page"),
    [
        (["CMD-SHELL", "curl -f http://localhost:9000/health?full=1 || exit 1"], (9000, "/health?full=1")),
        (["CMD", "wget", "-q", "http://127.0.0.1/ping"], (None, "/ping")),
        (["CMD", "true"], (None, "")),
        (None, (None, "")),
    ],
)
def test_the_page_that_a_healthcheck_asks_for(test: list[str] | None, page: tuple[int | None, str]) -> None:
    assert health_page({"Healthcheck": {"Test": test}} if test else {}) == page
