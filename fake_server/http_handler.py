"""One connection: `http.server` parses the requests, and the steps of each response are played on the socket."""

from __future__ import annotations

import math
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

from .control_api import CONTROL_PREFIX
from .faults import WIRE_ACTIONS, Fault
from .replies import Reply
from .wire import AwaitRequest, End, Pause, Send, Step, steps
from .wsgi import Asked, exchange, refused_unread

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""`SO_LINGER` with a timeout of 0: closing the socket resets the connection."""

READ_BYTES = 65536

SHORTEST_WAIT_SECONDS = 0.001
"""The shortest socket timeout, as 0 would make the socket non-blocking."""

COMMAND_SECONDS = 5.0
"""The timeout for sending the response to a control request. No refusal begins before its end."""

REFUSAL_SECONDS = 5.0
"""How long a connection waits to be closed with all others when a refusal begins."""


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
        """Serve the connection until the client disconnects, a response ends it, or the server shuts down.

        Args:
            connected: The socket. The caller closes it.
            address: The address of the client.
            app: The WSGI app.
            refuse: Called to close all connections and refuse new ones.
            commanding: Held while a control request is handled, as that may be what closes all connections.
            is_quiet: False to log requests to stderr.
        """
        self._app = app
        self._refuse = refuse
        self._commanding = commanding
        self._is_quiet = is_quiet
        super().__init__(connected, address, None)  # type: ignore[arg-type]  # the server is stored and never used

    def _serve(self) -> None:
        refused = refused_unread(self.headers)  # type: ignore[arg-type]  # enough of a mapping
        if refused is not None:
            self.close_connection = True
            self._answer(refused, None)
            return
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True  # the client disconnected during its request
            return
        self._answer_asked(Asked(self.command, self.path, self.headers.items(), body))

    def _answer_asked(self, asked: Asked) -> None:
        if not asked.target.startswith(f"{CONTROL_PREFIX}/"):
            self._answer(*exchange(self._app, asked))
            return
        with self._commanding:
            self.connection.settimeout(COMMAND_SECONDS)
            self._answer(*exchange(self._app, asked))
            self.connection.settimeout(None)

    def _answer(self, reply: Reply, fault: Fault | None) -> None:
        self._log(reply, fault)
        try:
            self._play(steps(reply, fault, keep_alive=not self.close_connection, is_head=self.command == "HEAD"))
        except OSError:  # the client disconnected, or the server is closing
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815  # of http.server

    def _play(self, played: Iterator[Step]) -> None:
        for step in played:
            if isinstance(step, Send):
                self.connection.sendall(step.data)
            elif isinstance(step, Pause):
                self._wait(step.seconds)
            elif isinstance(step, AwaitRequest):
                self._await_request(step.seconds)
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
        """Wait for some seconds, or without end for None. Discards what the client sends.

        Raises:
            OSError: The client has disconnected, or the server is closing.
        """
        until = math.inf if seconds is None else time.perf_counter() + seconds
        try:
            while (left := until - time.perf_counter()) > 0:
                self.connection.settimeout(None if seconds is None else left)
                if not self.connection.recv(READ_BYTES):
                    raise ConnectionAbortedError("the client has gone")
        except TimeoutError:
            return
        finally:
            self.connection.settimeout(None)

    def _await_request(self, seconds: float) -> None:
        """Wait for the first byte of the next request, which stays in the buffer, or for some seconds.

        Raises:
            OSError: The client has disconnected, or the server is closing.
        """
        self.connection.settimeout(None if seconds == math.inf else max(seconds, SHORTEST_WAIT_SECONDS))
        try:
            if not self.connection.recv(1, socket.MSG_PEEK):
                raise ConnectionAbortedError("the client has gone")
        except TimeoutError:
            return
        finally:
            self.connection.settimeout(None)

    def _log(self, reply: Reply, fault: Fault | None) -> None:
        self.log_request(fault.action if fault is not None and fault.action in WIRE_ACTIONS else reply.status_code)

    def log_message(self, format: str, *values: Any) -> None:  # noqa: A002  # the name in the base class
        """Log as `http.server` does, unless quiet."""
        if not self._is_quiet:
            super().log_message(format, *values)
