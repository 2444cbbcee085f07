"""Deadlines and timeouts on real sockets: no request lasts longer, whatever the server does."""

from __future__ import annotations

import math
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from support.ends_soon import LASTS_LONG, PATIENT, ends_soon
from support.hostile_server import Handler, Server, answering, dead_addresses, dripping, http, mute, relay, serving
from support.open_resources import is_nothing_more_open, open_resources
from support.tls_servers import drip_tls, over_tls, serving_raw

from translation_client import RequestFailed, UnexpectedAnswer, VideoTranslationClient, WaitTimeout

TIMEOUT = 0.7
SHORT: dict[str, Any] = {**PATIENT, "timeout": TIMEOUT}

STATUS_LINE = b"HTTP/1.1 200 OK\r\n"
HOSTILE: dict[str, Handler] = {
    "accepts and never answers": mute,
    "one byte of the status line at a time": dripping(b"HTTP/1.1 200 ", b"O"),
    "one byte of the headers at a time": dripping(STATUS_LINE + b"X-Drip: ", b"x"),
    "one header at a time": dripping(STATUS_LINE, b"X-Drip: x\r\n"),
    "one 100 Continue at a time": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "one byte of the body at a time": dripping(STATUS_LINE + b"Content-Length: 1000\r\n\r\n", b"x"),
    "one byte of an endless body at a time": dripping(STATUS_LINE + b"\r\n", b"x"),
    "one byte of a chunk size at a time": dripping(STATUS_LINE + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "endless chunks": dripping(STATUS_LINE + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", every=0.01),
    "one byte of the body of a redirect at a time": dripping(
        b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 999\r\n\r\n", b"x"
    ),
    "the body of an error at a time": dripping(b"HTTP/1.1 503 Busy\r\nContent-Length: 999\r\n\r\n", b"x"),
}


CALLS: dict[str, Callable[[VideoTranslationClient], Any]] = {
    "wait": lambda client: client.wait(),
    "check": lambda client: client.check(),
    "watch": lambda client: list(client.watch()),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", HOSTILE)
def test_the_deadline_ends_a_request_to_a_hostile_server(name: str, call: str) -> None:
    """`wait`, `check` and `watch` raise `WaitTimeout`, whatever the server sends meanwhile."""
    with (
        serving(HOSTILE[name]) as server,
        VideoTranslationClient(server.url, **SHORT) as client,
        ends_soon(TIMEOUT),
        pytest.raises(WaitTimeout),
    ):
        CALLS[call](client)


@pytest.mark.parametrize("name", HOSTILE)
def test_an_attempt_that_exceeds_request_timeout_is_a_fault(name: str) -> None:
    """The limit is for the whole attempt, not for each read. With `max_faults=1` the wait fails after it."""
    has_status = name == "the body of an error at a time"
    for limit in (0.3, 3, 12) if has_status else (0.3,):  # longer ones for a machine too busy to send it in 0.3 s
        with (
            serving(HOSTILE[name]) as server,
            VideoTranslationClient(server.url, timeout=LASTS_LONG, request_timeout=limit, max_faults=1) as client,
            ends_soon(limit),
            pytest.raises(RequestFailed) as caught,
        ):
            client.wait()
        if caught.value.status_code is not None:
            break
    assert ("failed: HTTP 503" if has_status else "failed: no response within 0.3 s") in str(caught.value)


def test_a_slow_response_within_its_limits_is_read_to_its_end() -> None:
    """The socket is read in slices of time, which are no limit of the request."""

    def slow(connection: socket.socket, server: Server) -> None:
        for byte in http("200 OK", b'{"result": "completed"}'):
            server.pause(0.004)
            connection.sendall(bytes([byte]))

    with serving(slow) as server, VideoTranslationClient(server.url, **PATIENT) as client:
        assert client.get_status() == "completed"


def test_a_wait_survives_a_request_that_hangs() -> None:
    """The request after it finds the job completed."""
    calls: list[int] = []

    def handle(connection: socket.socket, server: Server) -> None:
        calls.append(1)
        if len(calls) == 2:
            mute(connection, server)
        else:
            connection.sendall(
                http("200 OK", b'{"result": "completed"}' if len(calls) > 2 else b'{"result": "pending"}')
            )

    with (
        serving(handle) as server,
        VideoTranslationClient(
            server.url, timeout=LASTS_LONG, request_timeout=0.3, backoff_factor=0.1, max_faults=1000
        ) as client,
    ):
        assert client.get_status() == "completed"


@pytest.fixture
def dead_port() -> Iterator[int]:
    with dead_addresses("127.0.0.1", "127.0.0.2", "127.0.0.3") as port:
        yield port


def named(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    """Let the name `many.test` resolve to these addresses."""

    def lookup(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        assert host == "many.test"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)


def test_the_deadline_covers_all_addresses_of_a_name(dead_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three addresses where connecting hangs share the time of one request."""
    named(monkeypatch, *((f"127.0.0.{last}", dead_port) for last in (1, 2, 3)))

    with (
        VideoTranslationClient("http://many.test", **SHORT) as client,
        ends_soon(TIMEOUT),
        pytest.raises(WaitTimeout),
    ):
        client.wait()


def test_a_reachable_address_after_unreachable_ones_is_used(dead_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each address has its share of the time of the request."""
    with serving(answering(http("200 OK", b'{"result": "completed"}'))) as server:
        named(monkeypatch, ("127.0.0.1", dead_port), ("127.0.0.2", dead_port), ("127.0.0.1", server.port))
        with VideoTranslationClient(
            "http://many.test", timeout=LASTS_LONG, request_timeout=3, max_faults=1000
        ) as client:
            assert client.get_status() == "completed"


def test_a_name_that_resolves_to_no_address_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Like a name that is not known."""
    named(monkeypatch)

    with (
        VideoTranslationClient("http://many.test", max_faults=1) as client,
        pytest.raises(RequestFailed, match="could not be reached"),
    ):
        client.wait()


def test_the_deadline_ends_a_hanging_lookup_and_one_thread_serves_all_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one thread for a name, however many requests look it up."""
    release = threading.Event()

    def hang(*_: Any, **__: Any) -> list[Any]:
        release.wait(LASTS_LONG)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    before = threading.active_count()
    with VideoTranslationClient("http://stuck.test", timeout=0.3, request_timeout=LASTS_LONG) as client:
        for _ in range(3):
            with ends_soon(0.3), pytest.raises(WaitTimeout):
                client.wait()
        assert threading.active_count() == before + 1
    release.set()
    with (
        VideoTranslationClient("http://stuck.test", max_faults=1) as client,
        pytest.raises(RequestFailed, match="not known"),
    ):
        client.wait()


def test_a_lookup_whose_thread_cannot_start_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The failed start is a fault of one attempt; later attempts look the name up again."""
    start = threading.Thread.start

    def refuse_once(thread: threading.Thread) -> None:
        monkeypatch.setattr(threading.Thread, "start", start)
        raise RuntimeError("can't start new thread")

    with serving(answering(http("200 OK", b'{"result": "completed"}'), close=False)) as server:
        monkeypatch.setattr(threading.Thread, "start", refuse_once)
        with VideoTranslationClient(f"http://localhost:{server.port}", **PATIENT) as client:
            assert client.get_status() == "completed"


def sent_and_closed(listener: socket.socket) -> list[bytes]:
    """Return what each client in the queue of the listener sent before it closed; fails if one does not close."""
    sent: list[bytes] = []
    while True:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return sent
        with connection, connection.makefile("rb") as stream:
            connection.settimeout(LASTS_LONG)
            sent.append(stream.read())


def test_requests_ended_by_the_deadline_leave_no_thread_and_no_socket() -> None:
    """The listener accepts nothing meanwhile, so that all that is counted is the client's."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        silent.setblocking(False)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with VideoTranslationClient(url, timeout=0.05) as client:
            before = open_resources()
            for _ in range(20):
                with pytest.raises(WaitTimeout):
                    client.wait()
            assert is_nothing_more_open(before)
            sent = sent_and_closed(silent)

    assert any(sent)  # on a busy machine, a request may have sent nothing in 0.05 s
    assert all(request == b"" or request.startswith(b"GET /status HTTP/1.1\r\n") for request in sent)


@pytest.mark.parametrize("status", ["401 Unauthorized", "404 Not Found"])
def test_a_401_or_404_whose_body_drips_fails_at_the_first_attempt(status: str) -> None:
    """Its status is known; its body is read for a second at the most."""
    with (
        serving(dripping(f"HTTP/1.1 {status}\r\nContent-Length: 999\r\n\r\n".encode(), b"x")) as server,
        VideoTranslationClient(server.url, **PATIENT) as client,
        ends_soon(1),
        pytest.raises(RequestFailed, match=f"HTTP {status}") as caught,
    ):
        client.wait()

    assert caught.value.attempts == 1


def test_an_endless_body_is_read_with_little_memory() -> None:
    """The limit of 1 MiB is enforced while reading; the peak of memory stays below 8 MiB."""

    def endless(connection: socket.socket, server: Server) -> None:
        connection.sendall(STATUS_LINE + b"\r\n")
        while not server.over.is_set():
            connection.sendall(b"x" * 65536)

    with serving(endless) as server, VideoTranslationClient(server.url, **PATIENT, max_faults=1) as client:
        tracemalloc.start()
        try:
            with pytest.raises(UnexpectedAnswer, match="the body is longer than 1048576 bytes"):
                client.wait()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak < 8 * 1024 * 1024


@pytest.fixture
def trusted(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
    """A certificate authority that `REQUESTS_CA_BUNDLE` trusts, without `no_proxy`."""
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return authority


def test_a_request_over_tls_succeeds(trusted: trustme.CA) -> None:
    """With the CA bundle that `REQUESTS_CA_BUNDLE` names."""
    handle = over_tls(trusted, answering(http("200 OK", b'{"result": "completed"}'), close=False))

    with serving_raw(handle) as server, VideoTranslationClient(server.url, api_key="k") as client:
        assert client.get_status() == "completed"
    assert b"Authorization: Bearer k" in server.requests[0]


def test_an_untrusted_certificate_is_a_fault_that_names_the_reason(authority: trustme.CA) -> None:
    """The error contains `CERTIFICATE_VERIFY_FAILED`."""
    with (
        serving_raw(over_tls(authority, mute)) as server,
        VideoTranslationClient(server.url, max_faults=1) as client,
        pytest.raises(RequestFailed, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        client.wait()


@pytest.mark.parametrize("handle", [mute, drip_tls], ids=["mute", "dripping"])
def test_the_deadline_ends_a_tls_handshake(handle: Handler) -> None:
    """The handshake is part of the request."""
    with (
        serving_raw(handle) as server,
        VideoTranslationClient(server.url, **SHORT) as client,
        ends_soon(TIMEOUT),
        pytest.raises(WaitTimeout),
    ):
        client.wait()


def test_the_deadline_ends_a_dripping_body_over_tls(trusted: trustme.CA) -> None:
    """The body is read in slices of time over TLS, too."""
    with (
        serving_raw(over_tls(trusted, dripping(STATUS_LINE + b"Content-Length: 1000\r\n\r\n", b"x"))) as server,
        VideoTranslationClient(server.url, **SHORT) as client,
        ends_soon(TIMEOUT),
        pytest.raises(WaitTimeout),
    ):
        client.wait()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_deadline_ends_a_dripping_response_of_a_proxy(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """To a request in the clear, or to CONNECT."""
    with serving(dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x")) as proxy:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        with (
            VideoTranslationClient(f"{scheme}://service.test", **SHORT) as client,
            ends_soon(TIMEOUT),
            pytest.raises(WaitTimeout),
        ):
            client.wait()


def relaying(authority: trustme.CA, target_port: int) -> Handler:
    """A proxy over TLS that responds to CONNECT after 0.3 s, and then relays bytes."""

    def handle(connection: socket.socket, server: Server) -> None:
        server.pause(0.3)
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", target_port)) as target:
            relay(connection, target, server)

    return over_tls(authority, handle)


def test_a_request_over_tls_through_a_proxy_over_tls_succeeds(
    trusted: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when a response takes longer than one slice of time, in which the socket is read."""

    def handle(connection: socket.socket, server: Server) -> None:
        server.pause(0.3)
        connection.sendall(http("200 OK", b'{"result": "completed"}'))

    with serving_raw(over_tls(trusted, handle)) as target, serving_raw(relaying(trusted, target.port)) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        with VideoTranslationClient(target.url, **PATIENT, max_faults=1) as client:
            assert client.get_status() == "completed"


def test_the_deadline_ends_a_dripping_response_of_a_proxy_over_tls(
    trusted: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the response to CONNECT."""
    with serving_raw(over_tls(trusted, dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x"))) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        with (
            VideoTranslationClient("https://service.test", **SHORT) as client,
            ends_soon(TIMEOUT),
            pytest.raises(WaitTimeout),
        ):
            client.wait()


def test_an_infinite_timeout_leaves_request_timeout_in_force() -> None:
    """`timeout=math.inf` removes the limit of the wait alone."""
    with (
        serving(mute) as server,
        VideoTranslationClient(server.url, timeout=math.inf, request_timeout=0.2, max_faults=1) as client,
        ends_soon(0.2),
        pytest.raises(RequestFailed),
    ):
        client.wait()
