"""A status server that costs next to nothing, so that a benchmark measures the client: run as a child, prints its URL."""

from __future__ import annotations

import socket
import threading

BODY = b'{"result": "pending"}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: bench\r\nDate: Mon, 23 Nov 2026 09:00:00 GMT\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)


def respond_to_all(connection: socket.socket) -> None:
    """Answer whatever comes, until the peer hangs up."""
    with connection:
        while connection.recv(65536):
            connection.sendall(ANSWER)


def main() -> None:
    """Serve until the parent ends us."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=respond_to_all, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
