"""The server on a loopback socket, with a thread for each connection."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from .app import create_app
from .dialects import check_service
from .faults import Fault
from .http_handler import Connection
from .jobs import Submission
from .lab import Arrival, Lab
from .scenario import Scenario

HOST = "127.0.0.1"

BACKLOG = 1024

LOOK_SECONDS = 0.01
"""How often a server whose faults include `refuse` checks whether to refuse connections."""


class Server:
    """A fake translation service on a loopback port.

    `with Server(scenario) as server:` serves in a thread of its own for the length of the block. `serve_forever`
    serves in the calling thread. The server uses real time, even if a test has frozen the clock.
    """

    def __init__(
        self, scenario: Scenario | None = None, *, port: int = 0, is_quiet: bool = True, service: str = "reference"
    ) -> None:
        """Listen on the port. Connections are accepted from now on, and served by `serve_forever`.

        Args:
            scenario: The behaviour of the server. None for `Scenario()`.
            port: The port. 0 for a free one.
            is_quiet: False to log requests to stderr.
            service: The service to imitate: `reference`, `heygen`, `elevenlabs` or `azure`.

        Raises:
            OSError: The port is in use.
            ValueError: There is no such service.
        """
        check_service(service)  # before a socket is open
        self._is_quiet = is_quiet
        self._listener = _bound(port)
        self._listener.listen(BACKLOG)
        self._is_listening = True
        self.port: int = self._listener.getsockname()[1]
        self._bell, self._wire = socket.socketpair()
        self._bell.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wire, selectors.EVENT_READ)
        self._lab = Lab(scenario, now=_real_seconds, on_change=self._ring)
        self._app = create_app(self._lab, service)
        self._commanding = threading.Lock()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._serving: threading.Thread | None = None
        self._is_closing = False
        self._is_idle = threading.Event()
        self._is_idle.set()

    @property
    def url(self) -> str:
        """The base URL of the server."""
        return f"http://{HOST}:{self.port}"

    @property
    def requests(self) -> list[Arrival]:
        """The requests that arrived, oldest first."""
        return self._lab.arrivals

    @property
    def submissions(self) -> list[Submission]:
        """The jobs that were created, oldest first, with the fields of their requests."""
        return self._lab.submissions

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The current faults. Settable at any time, each as a `Fault` or text for `parse_fault`. Jobs are kept."""
        return self._lab.faults

    @faults.setter
    def faults(self, faults: Iterable[Fault | str]) -> None:
        self._lab.faults = faults

    def play(self, scenario: Scenario) -> None:
        """Restart with another scenario: without jobs, and without requests."""
        self._lab.play(scenario)

    def serve_forever(self) -> None:
        """Serve until `close` is called."""
        self._is_idle.clear()
        try:
            while not self._is_closing:
                self._listen_or_refuse()
                self._take(LOOK_SECONDS if self._lab.can_refuse else None)
        finally:
            self._is_idle.set()

    def close(self) -> None:
        """Stop serving, close all connections and wait for their threads."""
        if self._is_closing:
            return
        self._is_closing = True
        self._ring()
        self._close_connections()  # first, as the loop may be waiting for one of them
        self._is_idle.wait()
        if self._serving is not None:
            self._serving.join()
        self._listener.close()
        self._close_connections()
        for thread in self._threads:
            thread.join()
        self._selector.close()
        self._bell.close()
        self._wire.close()

    def __enter__(self) -> Server:
        self._is_idle.clear()
        self._serving = threading.Thread(target=self.serve_forever, name="fake translation server", daemon=True)
        self._serving.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ring(self) -> None:
        """Wake the loop, if it still runs."""
        with suppress(OSError):
            self._bell.send(b"!")

    def _listen_or_refuse(self) -> None:
        refuses = self._lab.refusal() is not None
        if refuses and self._is_listening:
            # Bound again without listening: connections are refused, and no other process can bind the port.
            self._listener.close()
            self._listener = self._bound_again()
            with self._commanding:
                self._close_connections()
        elif not refuses and not self._is_listening:
            self._listener.listen(BACKLOG)
        self._is_listening = not refuses

    def _bound_again(self) -> socket.socket:
        while not self._is_closing:
            with suppress(OSError):  # another process took the port meanwhile, most likely for an outgoing connection
                return _bound(self.port)
            time.sleep(LOOK_SECONDS)
        return socket.socket()

    def _take(self, seconds: float | None) -> None:
        if self._is_listening:
            self._selector.register(self._listener, selectors.EVENT_READ)
        ready = [key.fileobj for key, _ in self._selector.select(seconds)]
        if self._is_listening:
            self._selector.unregister(self._listener)
        if self._wire in ready:
            self._wire.recv(4096)
        if self._listener in ready:
            self._accept()

    def _accept(self) -> None:
        try:
            connected, address = self._listener.accept()
        except OSError:  # the client has disconnected, or no descriptor is left
            time.sleep(LOOK_SECONDS)
            return
        thread = threading.Thread(target=self._serve, args=(connected, address), daemon=True)
        with self._lock:
            self._open.add(connected)
        try:
            thread.start()
        except RuntimeError:  # no thread is left
            self._let_go(connected)
        else:
            self._threads = {one for one in self._threads if one.is_alive()} | {thread}

    def _serve(self, connected: socket.socket, address: Any) -> None:
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Connection(
                connected,
                address,
                app=self._app,
                refuse=self._ring,
                commanding=self._commanding,
                is_quiet=self._is_quiet,
            )
        except OSError:
            pass  # the client disconnected during its request
        finally:
            self._let_go(connected)

    def _let_go(self, connected: socket.socket) -> None:
        with self._lock:
            self._open.discard(connected)
        connected.close()

    def _close_connections(self) -> None:
        with self._lock:
            for connected in self._open:
                _shut(connected)


def _real_seconds() -> float:
    """Return monotonic seconds that are real even if a test has frozen the time, as those of sockets are."""
    return time.clock_gettime(time.CLOCK_MONOTONIC) if hasattr(time, "clock_gettime") else time.monotonic()


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
    except OSError:
        bound.close()
        raise
    return bound


def _shut(connected: socket.socket) -> None:
    with suppress(OSError):  # the client closed it first
        connected.shutdown(socket.SHUT_RDWR)
