"""Real sockets, `http.server`: for uploads and downloads of real size, and files that arrive slowly or stop halfway."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.ends_soon import LASTS_LONG

KEY = "key-0123456789"


MIB = 1024 * 1024


Play = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def playing(play: Play) -> Iterator[tuple[str, list[str]]]:
    """A server that does with each request whatever a test says; its URL, and the method and path of each request."""
    request_lines: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            request_lines.append(f"{self.command} {self.path}")
            self.close_connection = True
            with suppress(OSError):  # the client has gone, which is what some tests are about
                play(self)

        do_GET = do_POST = do_PUT = do_DELETE = do  # noqa: N815  # as http.server calls them

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", request_lines
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def send_ok(handler: BaseHTTPRequestHandler, body: bytes, **head: str) -> None:
    handler.send_response(200)
    for name, value in {"Content-Length": str(len(body)), "Connection": "close", **head}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def length_of(handler: BaseHTTPRequestHandler) -> int:
    return int(handler.headers["Content-Length"])


def link(url: str) -> bytes:
    return json.dumps({"result": "completed", "result_url": f"{url}/file"}).encode()


def begin_file(handler: BaseHTTPRequestHandler) -> bool:
    """Send where the file is, or the head of its response. Returns True if the file comes next."""
    if "status" in handler.path:
        send_ok(handler, link(f"http://{handler.headers['Host']}"))
        return False
    handler.send_response(200)
    handler.send_header("Content-Length", "6")
    handler.end_headers()
    return True


def dripping_file(every: float) -> Play:
    """A file of six bytes, with so many seconds before each."""

    def play(handler: BaseHTTPRequestHandler) -> None:
        for byte in b"abcdef" if begin_file(handler) else b"":
            time.sleep(every)
            handler.wfile.write(bytes([byte]))

    return play


def standing_file(over: threading.Event) -> Play:
    """A file whose second half does not come while the test lasts."""

    def play(handler: BaseHTTPRequestHandler) -> None:
        if begin_file(handler):
            handler.wfile.write(b"abc")
            over.wait(LASTS_LONG)

    return play
