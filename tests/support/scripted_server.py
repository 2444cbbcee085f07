"""Real sockets, responses as lists of parts: for the order of bytes, pauses and requests on kept-alive connections."""

from __future__ import annotations

import json
import math
import select
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

NEXT_REQUEST = math.inf
"""A part: nothing more is sent until the next request is there."""

Part = bytes | float
"""Bytes that are sent, or seconds that pass; `NEXT_REQUEST`."""

IDLE_SECONDS = 60.0
"""How long the server waits for anything: a test that fails ends all the same."""


class Arrived(NamedTuple):
    """A request.

    Attributes:
        connection: The number of its connection, from 1.
        method: In capitals.
        path: As it stands in the request line.
    """

    connection: int
    method: str
    path: str

    @property
    def job(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[1]


Respond = Callable[[Arrived], Iterable[Part]]


@dataclass
class Scripted:
    """A server that runs.

    Attributes:
        port: Where it listens.
        url: The same.
        arrived: The requests so far.
        relay_to: The port that the bytes after a CONNECT go to.
    """

    port: int
    url: str
    arrived: list[Arrived] = field(default_factory=list)
    relay_to: int = 0
    _connections: int = 0
    _closed: int = 0
    _done: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def settle(self) -> None:
        """Wait until every part of every response has been sent, but for those after `NEXT_REQUEST`."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._done == len(self.arrived), IDLE_SECONDS)

    @property
    def connections(self) -> int:
        """How many there have been."""
        return self._connections

    def wait_until_open(self, connections: int) -> None:
        """Wait until so many connections are open."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._connections - self._closed == connections, IDLE_SECONDS)

    def _ended(self) -> None:
        with self._changed:
            self._closed += 1
            self._changed.notify_all()

    def _opened(self) -> int:
        with self._changed:
            self._connections += 1
            return self._connections

    def _came(self, request: Arrived) -> None:
        with self._changed:
            self.arrived.append(request)

    def _answered(self) -> None:
        with self._changed:
            self._done += 1
            self._changed.notify_all()


@contextmanager
def scripted(respond: Respond, context: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    """Serve for the length of a block.

    Args:
        respond: Gives the parts of the response to a request.
        context: For TLS.
    """

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.request.settimeout(IDLE_SECONDS)
                with self.request if context is None else context.wrap_socket(self.request, True) as connected:
                    _Talk(connected, running).go(respond)

    with _Server(("127.0.0.1", 0), Handler) as server:
        port = server.server_address[1]
        running = Scripted(port, f"{'http' if context is None else 'https'}://127.0.0.1:{port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            server.shut_all()
            thread.join()


class _Server(socketserver.ThreadingTCPServer):
    request_queue_size = 128
    daemon_threads = False

    def __init__(self, *arguments: Any) -> None:
        self._open: list[socket.socket] = []
        super().__init__(*arguments)

    def get_request(self) -> Any:
        connected, address = super().get_request()
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open.append(connected)
        return connected, address

    def shut_all(self) -> None:
        for connected in self._open:
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        raise


class _Talk:
    """One connection. The next request is recorded before the parts after it are sent: the client may then reset it."""

    def __init__(self, connected: socket.socket, running: Scripted) -> None:
        self._connected = connected
        self._running = running
        self._number = running._opened()
        self._rest = b""
        self._early: Arrived | None = None

    def go(self, respond: Respond) -> None:
        """Answer each request until the client has gone."""
        try:
            while request := self._early or self._next_request():
                self._early = None
                self._play(respond(request))
                if request.method == "CONNECT":
                    _relay(self._connected, self._running.relay_to)
                    return
        finally:
            if self._early is not None:
                self._running._answered()  # as well as it could be
            self._running._ended()

    def _next_request(self) -> Arrived | None:
        while b"\r\n\r\n" not in self._rest:
            if not (data := self._connected.recv(65536)):
                return None
            self._rest += data
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        sizes = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
        while len(self._rest) < sum(sizes):
            self._rest += self._connected.recv(65536)
        self._rest = self._rest[sum(sizes) :]
        method, path, _ = head.decode("latin-1").split(" ", 2)
        request = Arrived(self._number, method, path)
        self._running._came(request)
        return request

    def _play(self, parts: Iterable[Part]) -> None:
        is_answered = False
        try:
            for part in parts:
                if isinstance(part, bytes):
                    self._connected.sendall(part)
                elif part == NEXT_REQUEST:
                    self._running._answered()
                    is_answered = True
                    self._early = self._early or self._next_request()
                    if self._early is None:
                        return
                else:
                    time.sleep(part)
        finally:
            if not is_answered:
                self._running._answered()


def _relay(one: socket.socket, port: int) -> None:
    """Pass bytes on in both directions, until one side ends. One thread does it: two must not share a TLS socket."""
    with socket.create_connection(("127.0.0.1", port)) as other:
        while True:
            for source, target in ((one, other), (other, one)):
                if not (_is_pending(source) or select.select([source], [], [], 0.001)[0]):
                    continue
                if not (data := source.recv(65536)):
                    return
                target.sendall(data)


def _is_pending(source: socket.socket) -> bool:
    return isinstance(source, ssl.SSLSocket) and source.pending() > 0


def response(body: bytes | dict[str, Any] = b"", status: str = "200 OK", *fields: str) -> bytes:
    """Build a response with its length; a `dict` is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *fields, "", ""]).encode() + content


def interim(code: int = 103) -> bytes:
    """Build an interim response."""
    return f"HTTP/1.1 {code} Interim\r\nX-Any: thing\r\n\r\n".encode()


def bytewise(data: bytes) -> list[Part]:
    """Split into single bytes."""
    return [data[place : place + 1] for place in range(len(data))]
