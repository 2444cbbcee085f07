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
from .http_handler import ConnectionHandler
from .jobs import Submission
from .lab import Arrival, Lab
from .scenario import Scenario

HOST = "127.0.0.1"

BACKLOG = 1024
"""How many connections the system queues: clients in a test may open a hundred each at once."""

POLL_SECONDS = 0.01
"""10 ms: how often a server whose faults include `refuse` checks whether to refuse connections."""


class Server:
    """A fake translation service on a loopback port.

    `with Server(scenario) as server:` serves in a thread of its own for the duration of the block. `serve_forever`
    serves in the calling thread. Durations and faults use real time, even if a test has frozen the clock.
    """

    def __init__(
        self, scenario: Scenario | None = None, *, port: int = 0, is_quiet: bool = True, service: str = "reference"
    ) -> None:
        """Listen on the port. Connections queue from now on, and are served by `serve_forever`.

        Args:
            scenario: The behaviour of the server. None for `Scenario()`.
            port: The port. 0 for a free one.
            is_quiet: False to log requests to stderr.
            service: The service to imitate: `reference`, `heygen`, `elevenlabs` or `azure`.

        Raises:
            OSError: The port cannot be bound; most likely it is in use.
            ValueError: There is no such service.
        """
        check_service(service)  # before a socket is open
        self._is_quiet = is_quiet
        self._listener = _bind(port)
        self._listener.listen(BACKLOG)
        self._is_listening = True
        self.port: int = self._listener.getsockname()[1]
        self._wakeup_writer, self._wakeup_reader = socket.socketpair()
        self._wakeup_writer.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wakeup_reader, selectors.EVENT_READ)
        self._lab = Lab(scenario, now=_real_monotonic_seconds, on_change=self._wake)
        self._app = create_app(self._lab, service)
        self._control_lock = threading.Lock()
        self._connections_lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._connection_threads: set[threading.Thread] = set()
        self._serving_thread: threading.Thread | None = None
        self._is_closing = False
        self._stopped = threading.Event()
        self._stopped.set()

    @property
    def url(self) -> str:
        """The base URL of the server."""
        return f"http://{HOST}:{self.port}"

    @property
    def requests(self) -> list[Arrival]:
        """The last 10 000 requests that arrived, oldest first."""
        return self._lab.arrivals

    @property
    def submissions(self) -> list[Submission]:
        """The last 10 000 jobs that were created, oldest first, with the fields of their requests."""
        return self._lab.submissions

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The current faults. Settable at any time, each as a `Fault` or text for `parse_fault`. Jobs are kept."""
        return self._lab.faults

    @faults.setter
    def faults(self, faults: Iterable[Fault | str]) -> None:
        self._lab.faults = faults

    def play(self, scenario: Scenario) -> None:
        """Restart with another scenario. Jobs and recorded requests are dropped."""
        self._lab.play(scenario)

    def serve_forever(self) -> None:
        """Serve until `close` is called."""
        self._stopped.clear()
        try:
            while not self._is_closing:
                self._listen_or_refuse()
                self._handle_events(POLL_SECONDS if self._lab.has_refusals else None)
        finally:
            self._stopped.set()

    def close(self) -> None:
        """Stop serving, close all connections and wait for their threads."""
        if self._is_closing:
            return
        self._is_closing = True
        self._wake()
        self._shut_down_connections()  # first, as the loop may be waiting for one of them
        self._stopped.wait()
        if self._serving_thread is not None:
            self._serving_thread.join()
        self._listener.close()
        self._shut_down_connections()
        for thread in self._connection_threads:
            thread.join()
        self._selector.close()
        self._wakeup_writer.close()
        self._wakeup_reader.close()

    def __enter__(self) -> Server:
        self._stopped.clear()
        self._serving_thread = threading.Thread(target=self.serve_forever, name="fake translation server", daemon=True)
        self._serving_thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wake(self) -> None:
        """Wake the loop of `serve_forever`, if it still runs."""
        with suppress(OSError):
            self._wakeup_writer.send(b"!")

    def _listen_or_refuse(self) -> None:
        is_refusing = self._lab.active_refuse_fault() is not None
        if is_refusing and self._is_listening:
            # Bound again without listening: connections are refused, and no outgoing connection gets the port.
            self._listener.close()
            self._listener = self._rebind()
            with self._control_lock:
                self._shut_down_connections()
        elif not is_refusing and not self._is_listening:
            self._listener.listen(BACKLOG)
        self._is_listening = not is_refusing

    def _rebind(self) -> socket.socket:
        while not self._is_closing:
            with suppress(OSError):  # another process took the port meanwhile, most likely for an outgoing connection
                return _bind(self.port)
            time.sleep(POLL_SECONDS)
        return socket.socket()

    def _handle_events(self, timeout: float | None) -> None:
        if self._is_listening:
            self._selector.register(self._listener, selectors.EVENT_READ)
        ready = [key.fileobj for key, _ in self._selector.select(timeout)]
        if self._is_listening:
            self._selector.unregister(self._listener)
        if self._wakeup_reader in ready:
            self._wakeup_reader.recv(4096)
        if self._listener in ready:
            self._accept()

    def _accept(self) -> None:
        try:
            connection, client_address = self._listener.accept()
        except OSError:  # the client disconnected, or no descriptor is left
            time.sleep(POLL_SECONDS)
            return
        thread = threading.Thread(target=self._serve, args=(connection, client_address), daemon=True)
        with self._connections_lock:
            self._connections.add(connection)
        try:
            thread.start()
        except RuntimeError:  # no thread is left
            self._close_connection(connection)
        else:
            self._connection_threads = {old for old in self._connection_threads if old.is_alive()} | {thread}

    def _serve(self, connection: socket.socket, client_address: Any) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ConnectionHandler(
                connection,
                client_address,
                app=self._app,
                wake_server=self._wake,
                control_lock=self._control_lock,
                is_quiet=self._is_quiet,
            )
        except OSError:
            pass  # the client disconnected during its request
        finally:
            self._close_connection(connection)

    def _close_connection(self, connection: socket.socket) -> None:
        with self._connections_lock:
            self._connections.discard(connection)
        connection.close()

    def _shut_down_connections(self) -> None:
        with self._connections_lock:
            for connection in self._connections:
                _shut_down(connection)


def _real_monotonic_seconds() -> float:
    """Return monotonic seconds that are real even if a test has frozen the time, as those of sockets are."""
    return time.clock_gettime(time.CLOCK_MONOTONIC) if hasattr(time, "clock_gettime") else time.monotonic()


def _bind(port: int) -> socket.socket:
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise
    return listener


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):  # the client closed it first
        connection.shutdown(socket.SHUT_RDWR)
