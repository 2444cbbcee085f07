"""The handler of one connection: `http.server` parses the requests, and the steps of each response are run."""

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
from .wire import AwaitRequest, End, Pause, Send, Step, wire_steps
from .wsgi import WSGIRequest, call_app, header_error

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""`SO_LINGER` with a timeout of 0: closing the socket resets the connection."""

RECV_BYTES = 65536

MIN_TIMEOUT_SECONDS = 0.001
"""The shortest socket timeout, as 0 would make the socket non-blocking."""

CONTROL_TIMEOUT_SECONDS = 5.0
"""The timeout for sending the response to a control request, as connections are not refused before its end."""

REFUSAL_TIMEOUT_SECONDS = 5.0
"""How long a connection waits for the server to close it when connections are refused."""


class ConnectionHandler(BaseHTTPRequestHandler):
    """The handler of one connection, from its first request to its end."""

    protocol_version = "HTTP/1.1"

    def __init__(
        self,
        connection: socket.socket,
        client_address: Any,
        *,
        app: Any,
        wake_server: Callable[[], None],
        control_lock: threading.Lock,
        is_quiet: bool,
    ) -> None:
        """Serve the connection until the client disconnects, a response ends it, or the server shuts down.

        Args:
            connection: The socket. The caller closes it.
            client_address: The address of the client.
            app: The WSGI app.
            wake_server: Called to close all connections and to refuse new ones.
            control_lock: Held while a control request is handled, as that may close all connections.
            is_quiet: False to log requests to stderr.
        """
        self._app = app
        self._refuse_connections = wake_server
        self._control_lock = control_lock
        self._is_quiet = is_quiet
        super().__init__(connection, client_address, None)  # type: ignore[arg-type]  # the server is not used

    def _handle_request(self) -> None:
        error_reply = header_error(self.headers)  # type: ignore[arg-type]  # enough of a mapping
        if error_reply is not None:
            self.close_connection = True
            self._send_reply(error_reply, None)
            return
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True  # the client disconnected during its request
            return
        self._respond_to(WSGIRequest(self.command, self.path, self.headers.items(), body))

    def _respond_to(self, request: WSGIRequest) -> None:
        if not request.target.startswith(f"{CONTROL_PREFIX}/"):
            self._send_reply(*call_app(self._app, request))
            return
        with self._control_lock:
            self.connection.settimeout(CONTROL_TIMEOUT_SECONDS)
            self._send_reply(*call_app(self._app, request))
            self.connection.settimeout(None)

    def _send_reply(self, reply: Reply, fault: Fault | None) -> None:
        self._log_reply(reply, fault)
        try:
            self._run(wire_steps(reply, fault, keep_alive=not self.close_connection, is_head=self.command == "HEAD"))
        except OSError:  # the client disconnected, or the server is closing
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _handle_request  # noqa: N815  # of http.server

    def _run(self, steps: Iterator[Step]) -> None:
        for step in steps:
            if isinstance(step, Send):
                self.connection.sendall(step.data)
            elif isinstance(step, Pause):
                self._wait(step.seconds)
            elif isinstance(step, AwaitRequest):
                self._await_request(step.seconds)
            else:
                self._end_connection(step)

    def _end_connection(self, end: End) -> None:
        self.close_connection = end is not End.KEEP
        if end is End.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        elif end is End.HANG:
            self._wait(None)
        elif end is End.REFUSE:
            self._refuse_connections()
            self._wait(REFUSAL_TIMEOUT_SECONDS)

    def _wait(self, seconds: float | None) -> None:
        """Wait for some seconds, or without limit if None. Discards what the client sends.

        Raises:
            OSError: The client disconnected, or the server is closing.
        """
        deadline = math.inf if seconds is None else time.perf_counter() + seconds
        try:
            while (remaining := deadline - time.perf_counter()) > 0:
                self.connection.settimeout(None if seconds is None else remaining)
                if not self.connection.recv(RECV_BYTES):
                    raise ConnectionAbortedError("the client disconnected")
        except TimeoutError:
            return
        finally:
            self.connection.settimeout(None)

    def _await_request(self, seconds: float) -> None:
        """Wait for the first byte of the next request, which stays in the buffer, but not longer than some seconds.

        Raises:
            OSError: The client disconnected, or the server is closing.
        """
        self.connection.settimeout(None if seconds == math.inf else max(seconds, MIN_TIMEOUT_SECONDS))
        try:
            if not self.connection.recv(1, socket.MSG_PEEK):
                raise ConnectionAbortedError("the client disconnected")
        except TimeoutError:
            return
        finally:
            self.connection.settimeout(None)

    def _log_reply(self, reply: Reply, fault: Fault | None) -> None:
        self.log_request(fault.action if fault is not None and fault.action in WIRE_ACTIONS else reply.status_code)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name in the base class
        """Log as `http.server` does, unless quiet."""
        if not self._is_quiet:
            super().log_message(format, *args)
