"""Lookups of host names, which cannot be interrupted."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import Future
from typing import Any

import pytest
from support.fixtures import Clock

from translation_client._clock import monotonic
from translation_client._transports import connections, dns
from translation_client._transports.cancel_scope import (
    SLICE_SECONDS,
    CallTimeout,
    CancelScope,
)
from translation_client._transports.connections import GuardedHTTPConnection


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::1%lo"])
def test_an_ip_address_is_resolved_without_a_helper_thread(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """Otherwise each connection would start a thread."""
    monkeypatch.setattr(dns, "shared_lookup", lambda *_: pytest.fail("a helper was asked"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **_: [arguments])

    found: list[Any] = dns.resolve(host, 80, CancelScope(monotonic() + 60, lambda: False))

    assert found == [(host, 80)]


def test_a_lookup_that_hangs_runs_in_a_daemon_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not delay the exit of the program, and its name contains the host."""
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [release.wait(60)])
    with pytest.raises(CallTimeout):
        dns.resolve("stuck.test", 80, CancelScope(monotonic() + 0.05, lambda: False))
    helpers = [(thread.name, thread.daemon) for thread in threading.enumerate() if "stuck.test" in thread.name]
    release.set()

    assert helpers == [("resolve stuck.test", True)]


def test_a_forked_child_forgets_the_lookups_of_its_parent() -> None:
    """The helper threads do not exist in the child, so these lookups would never end."""
    dns._Lookup.lookups[("stuck.test", 80)] = Future()
    dns._forget_all()

    assert dns._Lookup.lookups == {}


def test_an_interrupt_at_the_start_of_a_lookup_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its type is unchanged, and the name is looked up anew next time."""
    start = threading.Thread.start

    def interrupt(_: threading.Thread) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupt)
    with pytest.raises(KeyboardInterrupt):
        dns.resolve("localhost", 80, CancelScope(monotonic() + 1, lambda: False))
    monkeypatch.setattr(threading.Thread, "start", start)

    assert dns.resolve("localhost", 80, CancelScope(monotonic() + 60, lambda: False))


def test_a_name_is_looked_up_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise an open client would never find a service that has moved. A failed lookup is not kept, either."""
    failure = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    results: Any = iter([failure, [1], [2]])

    def look_up(*_: Any, **__: Any) -> Any:
        if isinstance(result := next(results), OSError):
            raise result
        return result

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    guard = CancelScope(monotonic() + 60, lambda: False)
    with pytest.raises(socket.gaierror):
        dns.resolve("moves.test", 80, guard)
    found: list[Any] = [dns.resolve("moves.test", 80, guard) for _ in range(2)]

    assert found == [[1], [2]]
    assert dns._Lookup.lookups == {}


def test_each_address_gets_an_equal_share_of_the_time_to_connect(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole of its share, and no more. The cancel scope is checked in slices all the while."""
    started, tried, begun, slices = monotonic(), [], [], []

    def never(sock: socket.socket, timeout: float) -> bool:
        if sock not in tried:
            tried.append(sock)
            begun.append(monotonic() - started)
        slices.append(timeout)
        clock.tick(timeout)
        return False

    monkeypatch.setattr(connections, "wait_for_write", never)
    with socket.create_server(("127.0.0.1", 0)) as listener, CancelScope(monotonic() + 6, lambda: False):
        address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", listener.getsockname())
        monkeypatch.setattr(connections, "resolve", lambda *_: [address] * 3)
        with pytest.raises(CallTimeout):
            GuardedHTTPConnection("many.test", 80).connect()

    assert begun == pytest.approx([0, 2, 4], abs=0.15)
    assert max(slices) <= SLICE_SECONDS
