"""Cancelling a wait from another thread or by Ctrl-C, in a sleep or a hanging request; and clients across a fork."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.child_processes import running
from support.ends_soon import DROWSY, ENDS_SOON, LASTS_LONG, PATIENT, ends_soon
from support.hostile_server import HOSTILE_ENDLESS, Handler, answering, dead_addresses, http, mute, serving

from translation_client import VideoTranslationClient, WaitCancelled
from translation_client._transports import dns

pytestmark = pytest.mark.covered

PENDING: Handler = answering(http(), close=False)


@pytest.fixture
def dead_port() -> Iterator[int]:
    with dead_addresses("127.0.0.1") as port:
        yield port


def end_by(how: str, client: VideoTranslationClient, cancel: threading.Event) -> Callable[[], None]:
    return client.close if how == "close" else cancel.set


@pytest.mark.parametrize("how", ["close", "event"])
@pytest.mark.parametrize(
    "handle",
    [PENDING, mute, *HOSTILE_ENDLESS],
    ids=["sleeping", "mute", "dripping headers", "dripping body"],
)
def test_a_wait_ends_soon_after_it_is_cancelled(handle: Handler, how: str) -> None:
    """During a sleep, without a response, or while headers or a body drip; no further request is sent."""
    cancel = threading.Event()
    with (
        serving(handle) as server,
        VideoTranslationClient(server.url, **DROWSY) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(client.wait, cancel=cancel)
        until(lambda: len(server.requests) == 1)
        time.sleep(0.1)
        with ends_soon():
            end_by(how, client, cancel)()
            error = waiting.exception(LASTS_LONG)

        assert isinstance(error, WaitCancelled)
        assert len(server.requests) == 1


SYN_SENT = "02"
"""The state, in `/proc/net/tcp`, of a connection whose SYN is not acknowledged yet."""

TLS_HANDSHAKE = b"\x16"
"""The content type of the first record of a client (RFC 8446, section 5.1)."""


def connecting_to(port: int) -> int:
    """Count the sockets of this machine that connect to a port of loopback, as the kernel lists them (proc(5))."""
    entries = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(entry[2].endswith(f":{port:04X}") and entry[3] == SYN_SENT for entry in entries)


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A listener on loopback that accepts no connection by itself."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LASTS_LONG)
        yield listener


@pytest.mark.parametrize("where", ["resolving", "connecting", "shaking hands"])
def test_a_request_is_cancelled_during_a_lookup_a_connect_or_a_tls_handshake(
    where: str, monkeypatch: pytest.MonkeyPatch, dead_port: int, silent: socket.socket
) -> None:
    """Before there is any response to read. `close` is called once the request is known to hang there."""
    is_resolving, release = threading.Event(), threading.Event()
    others = connecting_to(dead_port)

    def hang(*_: object, **__: object) -> list[object]:
        is_resolving.set()
        release.wait(LASTS_LONG)
        return []

    url = {
        "resolving": "http://hangs.test",
        "connecting": f"http://127.0.0.1:{dead_port}",
        "shaking hands": f"https://127.0.0.1:{silent.getsockname()[1]}",
    }[where]
    if where == "resolving":
        monkeypatch.setattr(socket, "getaddrinfo", hang)
    with ThreadPoolExecutor(1) as pool, VideoTranslationClient(url, **DROWSY) as client, ExitStack() as accepted:
        waiting = pool.submit(client.wait)
        if where == "resolving":
            assert is_resolving.wait(LASTS_LONG)
        elif where == "connecting":
            until(lambda: connecting_to(dead_port) > others)
        else:
            connection = accepted.enter_context(silent.accept()[0])
            connection.settimeout(LASTS_LONG)
            assert connection.recv(1) == TLS_HANDSHAKE
        with ends_soon():
            client.close()
            error = waiting.exception(LASTS_LONG)
        release.set()

    assert isinstance(error, WaitCancelled)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_forked_during_a_dns_lookup_can_make_requests() -> None:
    """The lock of the lookups is held at the fork. The child does not wait for a thread that it does not have."""
    with serving(PENDING) as server, dns._Lookup.lock:
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            try:
                VideoTranslationClient(f"http://localhost:{server.port}", **PATIENT).check()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_close_cancels_the_waits_of_all_threads() -> None:
    """Eight threads share the client."""
    with serving(PENDING) as server, ThreadPoolExecutor(8) as pool:
        client = VideoTranslationClient(server.url, **DROWSY)
        waits = [pool.submit(client.wait) for _ in range(8)]
        until(lambda: len(server.requests) == 8)
        client.close()

        assert {type(wait.exception(ENDS_SOON)) for wait in waits} == {WaitCancelled}


def test_ctrl_c_ends_a_wait_at_once() -> None:
    """In the middle of a sleep, with `KeyboardInterrupt`."""
    code = (
        "import sys\n"
        "from translation_client import VideoTranslationClient\n"
        "VideoTranslationClient(sys.argv[1], backoff_factor=60, timeout=60, request_timeout=60).get_status()\n"
    )
    with (
        serving(PENDING) as server,
        running([sys.executable, "-c", code, server.url]) as script,
    ):
        until(lambda: len(server.requests) == 1)
        time.sleep(0.2)
        script.send_signal(signal.SIGINT)
        _, err = script.communicate(timeout=2 * ENDS_SOON)  # the sleep takes a minute

    assert err.rstrip().endswith("KeyboardInterrupt")
    assert script.returncode != 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_client_can_be_used_in_parent_and_child_after_a_fork() -> None:
    """Each has connections of its own: on a shared one, the responses would be mixed up."""
    peers: list[object] = []

    def handle(connection: object, server: object) -> None:
        peers.append(connection.getpeername())  # type: ignore[attr-defined]  # a socket
        connection.sendall(http())  # type: ignore[attr-defined]  # the same

    with serving(handle) as server, VideoTranslationClient(server.url) as client:
        client.check()
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            try:
                client.check()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        client.check()

    assert len(peers) == 3
    assert peers[0] == peers[2] != peers[1]


def until(happened: Callable[[], bool]) -> None:
    """Wait until a condition is true, for a minute at the most."""
    end = time.monotonic() + LASTS_LONG
    while not happened():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)
