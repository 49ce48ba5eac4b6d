"""A proxy in front of an engine's socket that lets a test act at a chosen request, or refuse it.

Belongs here: forwarding. Does not belong here: what happens at which request; that is a test's `gate`.
"""

import http.client
import os
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

Gate = Callable[[str, str], int | None]
"""Called with method and path before a request is forwarded; a status it returns is sent instead."""

_CHUNK_BYTES = 1 << 16


def read_only(method: str, path: str) -> int | None:
    """The gate of a socket proxy that lets nothing be changed."""
    return None if method in ("GET", "HEAD") else 403


@contextmanager
def unix_proxy(upstream: Path, listen: Path, gate: Gate) -> Iterator[str]:
    """A proxy on a unix socket; its URL."""
    with _serving(_UnixServer(str(listen), _handler(upstream, gate))):
        yield f"unix://{listen}"


@contextmanager
def tcp_proxy(upstream: Path, gate: Gate, *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A proxy on a port of this machine; its URL. A client takes the engine behind it for a remote one."""
    server = _TcpServer(("127.0.0.1", 0), _handler(upstream, gate))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    with _serving(server):
        yield f"tcp://127.0.0.1:{server.server_address[1]}"


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    with server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


class _Upstream(http.client.HTTPConnection):
    """A connection to the engine's socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("engine")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(os.fspath(self._path))


def _handler(upstream: Path, gate: Gate) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status = gate(self.command, self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                if status is not None:
                    self._send(status, {"Content-Type": "text/plain"}, b"refused by the proxy")
                else:
                    self._forward(body)
            except (ConnectionError, http.client.HTTPException):
                self.close_connection = True

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_POST(self) -> None:
            self.do_GET()

        def do_DELETE(self) -> None:
            self.do_GET()

        def _forward(self, body: bytes) -> None:
            connection = _Upstream(upstream)
            try:
                connection.request(self.command, self.path, body=body or None, headers=dict(self.headers.items()))
                answer = connection.getresponse()
                kept = ("Content-Type", "X-Docker-Container-Path-Stat", "Api-Version")
                headers = {name: value for name in kept if (value := answer.getheader(name))}
                if answer.chunked:
                    self._stream(answer, headers)
                else:
                    self._send(answer.status, headers, answer.read())
            finally:
                connection.close()

        def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(content))}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def _stream(self, answer: http.client.HTTPResponse, headers: dict[str, str]) -> None:
            self.send_response(answer.status)
            for name, value in (headers | {"Transfer-Encoding": "chunked"}).items():
                self.send_header(name, value)
            self.end_headers()
            while chunk := answer.read1(_CHUNK_BYTES):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")

        def address_string(self) -> str:
            return "client"

        def log_message(self, *_: Any) -> None:
            """Tests print nothing."""

    return Handler
