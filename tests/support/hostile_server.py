"""Real sockets, a function for each request: for servers that stall, drip, hang up or send what is no HTTP."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from support.ends_soon import LASTS_LONG

Handler = Callable[[socket.socket, "Server"], None]

PENDING = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 21\r\n\r\n{"result": "pending"}'


@dataclass
class Server:
    """What a running server knows: where it is, what it was asked, and when it has to end."""

    url: str
    port: int
    requests: list[bytes] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def pause(self, seconds: float) -> bool:
        """Wait; true if the test is over."""
        return self.over.wait(seconds)


@contextmanager
def serving(handle: Handler) -> Iterator[Server]:
    """Serve for the length of a block: each connection is read to the end of its headers, then handed to `handle`."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    port = listener.getsockname()[1]
    server = Server(f"http://127.0.0.1:{port}", port)
    threads = [threading.Thread(target=_accept_all, args=(listener, handle, server), daemon=True)]
    threads[0].start()
    try:
        yield server
    finally:
        server.over.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        threads[0].join(LASTS_LONG)


def _accept_all(listener: socket.socket, handle: Handler, server: Server) -> None:
    handlers: list[threading.Thread] = []
    while not server.over.is_set():
        try:
            connection, _ = listener.accept()
        except OSError:
            break
        connection.settimeout(0.05)
        handlers.append(threading.Thread(target=_handle, args=(connection, handle, server), daemon=True))
        handlers[-1].start()
    for thread in handlers:
        thread.join(LASTS_LONG)


def _handle(connection: socket.socket, handle: Handler, server: Server) -> None:
    with connection, suppress(OSError):
        while request := _read_request(connection, server):
            server.requests.append(request)
            connection.settimeout(LASTS_LONG)
            handle(connection, server)
            connection.settimeout(0.05)


def _read_request(connection: socket.socket, server: Server) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data and not server.over.is_set():  # aiohttp sends a body along with the headers
        try:
            part = connection.recv(65536)
        except TimeoutError:
            continue
        if not part:
            return b""
        data += part
    return data if b"\r\n\r\n" in data else b""  # a body that came after its headers is no request


@contextmanager
def dead_addresses(*addresses: str) -> Iterator[int]:
    """A port on which connecting hangs, on several addresses of loopback: listeners whose queue is full."""
    with ExitStack() as opened:
        first = opened.enter_context(socket.create_server((addresses[0], 0), backlog=0))
        port = first.getsockname()[1]
        for address in addresses[1:]:
            opened.enter_context(socket.create_server((address, port), backlog=0))
        for address in addresses * 4:
            filler = opened.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex((address, port))
        yield port


@contextmanager
def refusing_url() -> Iterator[str]:
    """A URL whose port refuses connections. It stays bound, or the server of another test could get it meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def answering(*responses: bytes, close: bool = True) -> Handler:
    """Answer with the given bytes, one after the other; the last one from then on."""
    left = list(responses)
    lock = threading.Lock()

    def handle(connection: socket.socket, server: Server) -> None:
        with lock:
            response = left.pop(0) if len(left) > 1 else left[0]
        connection.sendall(response)
        if close:
            connection.shutdown(socket.SHUT_WR)

    return handle


def dripping(before: bytes, drip: bytes, every: float = 0.15) -> Handler:
    """Send something, and then drip for ever."""

    def handle(connection: socket.socket, server: Server) -> None:
        connection.sendall(before)
        while not server.pause(every):
            connection.sendall(drip)

    return handle


def mute(connection: socket.socket, server: Server) -> None:
    """Read the request and never answer."""
    server.over.wait(LASTS_LONG)


def relay(one: socket.socket, other: socket.socket, server: Server) -> None:
    """Pass bytes on in both directions until one side ends, or the test does."""
    while not server.over.is_set():
        for source, sink in ((one, other), (other, one)):
            source.settimeout(0.02)
            with suppress(TimeoutError):
                data = source.recv(65536)
                if not data:
                    return
                sink.settimeout(LASTS_LONG)  # or a part of it could be lost
                sink.sendall(data)


def http(status: str = "200 OK", body: bytes = b'{"result": "pending"}', *headers: str) -> bytes:
    """Build a complete response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


HOSTILE_ENDLESS: tuple[Handler, ...] = (
    dripping(b"HTTP/1.1 200 OK\r\nX-Drip: ", b"x"),
    dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"),
)


def gzipped(data: bytes) -> bytes:
    """Pack without a date: the tests that are made of it are called the same at all times."""
    return gzip.compress(data, mtime=0)
