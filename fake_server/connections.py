"""How is one connection served? Requests are read by `http.server`; the steps of each answer are played on the socket."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler
from typing import Any

from .app import MAX_REQUEST_BYTES
from .control import CONTROL_PREFIX
from .delivery import End, Pause, Send, Step, steps
from .exchange import Asked, exchange
from .faults import Fault
from .replies import Reply, json_reply

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""`SO_LINGER`, on and for no time: closing the socket resets the connection."""

REFUSAL_SECONDS = 5.0
"""How long a connection waits to be closed with all others, where connections are to be refused."""


class UnreadableRequest(Exception):
    """A request whose body cannot be read; holds what to answer."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status_code)
        self.reply = reply


class Connection(BaseHTTPRequestHandler):
    """One connection, from its first request to its end."""

    protocol_version = "HTTP/1.1"

    def __init__(
        self,
        connected: socket.socket,
        address: Any,
        *,
        app: Any,
        refuse: Callable[[], None],
        commanding: threading.Lock,
        is_quiet: bool,
    ) -> None:
        """Serve it, until the client has gone, an answer ends it, or it is shut down.

        Args:
            connected: The socket; who made it closes it.
            address: Of the client.
            app: The WSGI app.
            refuse: Called when all connections are to be closed, and new ones refused.
            commanding: Held while a control request is answered, which may be what has all connections closed.
            is_quiet: Whether requests stay out of the log on stderr.
        """
        self._app = app
        self._refuse = refuse
        self._commanding = commanding
        self._is_quiet = is_quiet
        super().__init__(connected, address, None)  # type: ignore[arg-type]  # the server is only kept, never used

    def _serve(self) -> None:
        with self._commanding if self.path.startswith(f"{CONTROL_PREFIX}/") else nullcontext():
            self._answer()

    def _answer(self) -> None:
        try:
            asked = Asked(self.command, self.path, self.headers.items(), self._read_body())
            reply, fault = exchange(self._app, asked)
        except UnreadableRequest as error:
            reply, fault = error.reply, None
            self.close_connection = True
        self._log(reply, fault)
        try:
            self._play(steps(reply, fault, keep_alive=not self.close_connection))
        except OSError:  # the client has gone, or the server closes
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815  # as http.server calls them

    def _read_body(self) -> bytes:
        if "Transfer-Encoding" in self.headers:
            raise UnreadableRequest(json_reply({"error": "a request says how long it is: Content-Length"}, 411))
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdecimal()):
            raise UnreadableRequest(json_reply({"error": f"Content-Length is a number, got {length!r}"}, 400))
        if int(length) > MAX_REQUEST_BYTES:
            raise UnreadableRequest(json_reply({"error": f"a request has {MAX_REQUEST_BYTES} bytes at the most"}, 413))
        return self.rfile.read(int(length))

    def _play(self, played: Iterator[Step]) -> None:
        for step in played:
            if isinstance(step, Send):
                self.connection.sendall(step.data)
            elif isinstance(step, Pause):
                self._wait(step.seconds)
            else:
                self._end(step)

    def _end(self, end: End) -> None:
        self.close_connection = end is not End.KEEP
        if end is End.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        elif end is End.HANG:
            self._wait(None)
        elif end is End.REFUSE:
            self._refuse()
            self._wait(REFUSAL_SECONDS)

    def _wait(self, seconds: float | None) -> None:
        """Let seconds pass, or all the time that there is.

        Raises:
            OSError: The client has gone, or the server closes.
        """
        if seconds == 0:
            return
        until = None if seconds is None else time.perf_counter() + seconds
        self.connection.settimeout(seconds)
        try:
            gone = not self.connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return
        finally:
            self.connection.settimeout(None)
        if gone:
            raise ConnectionAbortedError("the client has gone")
        # It has sent its next request already, and cannot be heard going any more.
        time.sleep(REFUSAL_SECONDS if until is None else max(0.0, until - time.perf_counter()))

    def _log(self, reply: Reply, fault: Fault | None) -> None:
        if not self._is_quiet:
            self.log_request(reply.status_code if fault is None else fault.action)

    def log_message(self, format: str, *values: Any) -> None:  # noqa: A002  # the base class calls it so
        """Log as `http.server` does, unless quiet."""
        if not self._is_quiet:
            super().log_message(format, *values)
