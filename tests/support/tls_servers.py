"""Handlers of `hostile_server` over TLS: for certificates, handshakes, and servers that get no request in the clear."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import trustme

from support.ends_soon import LASTS_LONG
from support.hostile_server import Handler, Server


def over_tls(authority: trustme.CA, handle: Handler) -> Handler:
    """Shake hands, read the request, and go on as `handle`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def handle_tls(connection: socket.socket, server: Server) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            server.requests.append(secured.recv(65536))
            handle(secured, server)

    return handle_tls


@contextmanager
def serving_raw(handle: Handler) -> Iterator[Server]:
    """Hand over each connection at once, one after the other, without reading a request in the clear first."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(f"https://127.0.0.1:{listener.getsockname()[1]}", listener.getsockname()[1])

        def accept() -> None:
            with suppress(OSError):
                while not server.over.is_set():
                    connection, _ = listener.accept()
                    connection.settimeout(LASTS_LONG)
                    with connection, suppress(OSError):
                        handle(connection, server)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(LASTS_LONG)


def drip_tls(connection: socket.socket, server: Server) -> None:
    """A record that never ends."""
    connection.sendall(b"\x16\x03\x03\x40\x00")
    while not server.pause(0.15):
        connection.sendall(b"\x02")
