"""Each guard of a call was broken on purpose once; these tests were missing."""

from __future__ import annotations

import asyncio
import errno
import math
import random
import socket
import ssl
import threading
from concurrent.futures import Future
from contextlib import ExitStack, nullcontext, suppress
from http.client import BadStatusLine
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
import requests
import trustme
from support.adapters import Answers, response
from support.fixtures import Clock
from support.hostile_server import Server, answering, dripping, http, mute, serving
from support.transport import headers_of, redirecting, send
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import LocationParseError, MaxRetryError, NewConnectionError, ProtocolError, ReadTimeoutError

from translation_client import AsyncVideoTranslationClient, RequestFailed
from translation_client._clock import Deadline, now
from translation_client._models import Fault, Request
from translation_client._transports import connections, dns
from translation_client._transports import requests as transport_module
from translation_client._transports.adapter import MAX_HOSTS, GuardedAdapter
from translation_client._transports.base import TransportConfig, run_sync
from translation_client._transports.cancel_scope import (
    CURRENT,
    SLICE_SECONDS,
    CallCancelled,
    CallTimeout,
    CancelScope,
)
from translation_client._transports.connections import GuardedHTTPConnection, GuardedHTTPSConnection, unguarded
from translation_client._transports.errors import failed_before_send, root_reason
from translation_client._transports.requests import RequestsTransport
from translation_client._transports.sessions import MAX_PREPARED_CALLS, Call
from translation_client._transports.sockets import (
    IGNORE_UNEXPECTED_EOF,
    GuardedSocket,
    GuardedTLSObject,
    GuardedTLSSocket,
)


def test_a_guard_counts_down_in_slices(clock: Clock) -> None:
    """On frozen time, to the slice."""
    guard = CancelScope(now() + 10, lambda: False)

    assert (guard.require_remaining(), guard.next_slice()) == pytest.approx((10, 0.1))
    assert guard.child(3).require_remaining() == pytest.approx(3)
    assert guard.child(30).require_remaining() == pytest.approx(10)
    clock.tick(9.95)
    assert (guard.require_remaining(), guard.next_slice()) == pytest.approx((0.05, 0.05), abs=1e-5)
    clock.tick(0.05)
    for ended in (guard.require_remaining, guard.next_slice, guard.child(3).require_remaining):
        with pytest.raises(CallTimeout):
            ended()


"""More than is read at once."""


def test_a_redirect_out_of_http_reaches_no_adapter() -> None:
    """Not even one that is mounted for it."""
    session = requests.Session()
    files = Answers(lambda _: pytest.fail("it was followed"))
    session.mount("file://", files)
    with serving(redirecting("file:///etc/passwd")) as server, pytest.raises(Fault, match=r"no http\(s\)") as caught:
        send(server.url, session=session)
    session.close()

    assert (caught.value.status_code, files.requests) == (302, [])


def test_from_300_on_a_status_says_enough() -> None:
    """A body that breaks off takes it back before, and not from there on."""
    with serving(answering(http("300 Multiple Choices", b"x" * 2000))) as server:
        assert (send(server.url, max_body_bytes=1000).status_code) == 300
    with serving(answering(http("299 Fine", b"x" * 2000))) as server, pytest.raises(Fault, match="longer than 1000"):
        send(server.url, max_body_bytes=1000)


@pytest.mark.parametrize("status", ["300 Multiple Choices", "302 Found", "401 Unauthorized", "503 Busy"])
def test_the_body_behind_a_status_is_read_for_a_moment_only(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    """Without waiting for the whole second here."""
    monkeypatch.setattr(transport_module, "STATUS_BODY_SECONDS", 0.05)
    head = f"HTTP/1.1 {status}\r\nContent-Length: 999\r\n\r\n".encode()
    with serving(dripping(head, b"x", every=0.01)) as server:
        answer = send(server.url)

    assert (answer.status_code, answer.body) == (int(status[:3]), b"")
    assert answer.seconds < 1


def test_the_body_of_a_success_has_all_the_time_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an answer would pass for an empty one."""
    monkeypatch.setattr(transport_module, "STATUS_BODY_SECONDS", 0.0)
    with serving(dripping(b"HTTP/1.1 299 Fine\r\nContent-Length: 10\r\n\r\n", b"x", every=0.01)) as server:
        assert send(server.url).body == b"x" * 10


def test_a_server_that_hangs_up_without_a_word_is_said_to() -> None:
    """It has nothing to do with a CA bundle."""
    with serving(answering(b"")) as server, pytest.raises(Fault, match=r"^the connection broke$"):
        send(server.url)


@pytest.mark.parametrize("is_own_cause", [True, False])
def test_a_circle_of_causes_has_an_end(is_own_cause: bool) -> None:
    """As `raise error from error` in an adapter of the caller's makes one."""
    error, other = requests.ConnectionError("a"), requests.ConnectionError("b")
    error.__cause__ = error if is_own_cause else other
    other.__cause__ = error

    assert not failed_before_send(error)
    assert root_reason(error) == "the connection broke"


def test_an_error_that_holds_itself_has_an_end() -> None:
    """Its `str` has none."""
    error = OSError("a")
    error.args = (error,)

    assert not failed_before_send(error)
    assert root_reason(error) == "the connection broke"


@pytest.mark.parametrize("is_own_cause", [True, False])
def test_a_circle_of_causes_in_aiohttp_has_an_end(is_own_cause: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that never ends would stop the whole event loop."""

    async def refuse(*_: Any, **__: Any) -> Any:
        error = aiohttp.ClientResponseError(Mock(), (), status=400)
        error.__cause__ = error if is_own_cause else aiohttp.ClientResponseError(Mock(), (), status=401)
        error.__cause__.__cause__ = error
        raise error

    async def main() -> None:
        async with AsyncVideoTranslationClient("http://fake.test", max_faults=1) as client:
            with pytest.raises(RequestFailed):
                await client.check("j")

    monkeypatch.setattr(aiohttp.ClientSession, "_request", refuse)
    asyncio.run(main())


UNREACHABLE = OSError(errno.ENETUNREACH, "Network is unreachable")


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (UNREACHABLE, "connection", "^Network is unreachable$"),
        (OSError("s3cret"), "connection", "^the connection broke$"),
        (MaxRetryError(HTTPConnectionPool("host"), "/s3cret", UNREACHABLE), "connection", "^Network is unreachable$"),
        (ProtocolError("s3cret"), "connection", "^the connection broke$"),
        (LocationParseError("s3cret"), "connection", "^the connection broke$"),
        (BadStatusLine("s3cret"), "connection", "^the connection broke$"),
        (TypeError("s3cret"), "connection", "proxy variable in the environment may be broken"),
        (ValueError("s3cret"), "unreadable", r"^the response breaks HTTP \(ValueError\)$"),
        (TimeoutError("s3cret"), "timeout", "^no response in time$"),
        (ReadTimeoutError(HTTPConnectionPool("host"), "/s3cret", "s3cret"), "timeout", "^no response in time$"),
        (OSError("Could not find a suitable TLS CA certificate bundle, at s3cret"), "connection", "no CA bundle where"),
    ],
)
def test_what_an_adapter_raises_is_a_fault_in_clear_words(error: Exception, kind: str, says: str) -> None:
    """The errors of the layers below, bare."""

    def answer(_: object) -> requests.Response:
        raise error

    session = requests.Session()
    session.mount("http://service.test", Answers(answer))
    with pytest.raises(Fault, match=says) as caught:
        send("http://service.test", session=session)

    assert caught.value.kind == kind
    assert isinstance(caught.value.__cause__, requests.RequestException)
    assert "s3cret" not in str(caught.value.__cause__)


def test_the_nearer_of_the_two_limits_holds(clock: Clock) -> None:
    """What the adapter is told is what is left of the call."""
    adapter = Answers(lambda _: response())
    session = requests.Session()
    session.mount("http://service.test", adapter)
    transport = RequestsTransport(
        TransportConfig("http://service.test", user_agent="t", headers={}, request_timeout=5, session=session)
    )
    for seconds in (3, 30, math.inf):
        run_sync(
            transport.send(Request("GET", "/status"), Deadline.after(seconds), lambda: False, new_connection=False)
        )

    assert [told["timeout"] for told in adapter.told] == pytest.approx([3, 5, 5])


def test_a_hook_of_the_callers_may_read_the_body_again() -> None:
    """From what was read; the connection has nothing left."""
    seen: list[Any] = []
    session = requests.Session()
    session.hooks["response"].append(lambda response, **_: seen.extend([*response.iter_lines(), response.text]))
    with serving(answering(http("200 OK", b"one\ntwo"))) as server:
        send(server.url, session=session)
        session.close()

    assert seen == [b"one", b"two", "one\ntwo"]


def test_who_was_sent_away_once_gets_no_key_when_he_comes_back() -> None:
    """The other origin chose that URL."""
    with ExitStack() as servers:
        targets: list[str] = []
        other = servers.enter_context(serving(lambda connection, server: redirecting(targets[0])(connection, server)))
        answers = answering(http("302 Found", b"", f"Location: {other.url}/a"), http(), close=False)
        first = servers.enter_context(serving(answers))
        targets.append(f"{first.url}/back")
        assert send(first.url, headers={"X-Api-Key": "k"}).status_code == 200

    assert [headers_of(request).get("x-api-key") for request in first.requests] == ["k", None]


def test_an_adapter_that_lets_the_time_run_out_is_no_fault_of_the_server(clock: Clock) -> None:
    """It reports the end in its own way, and so do we."""

    def slow(_: object) -> requests.Response:
        clock.tick(6)
        raise requests.ReadTimeout

    def cancelled(_: object) -> requests.Response:
        cancel.append(True)
        raise requests.ConnectionError

    cancel: list[bool] = []
    for answer, ended in ((slow, CallTimeout), (cancelled, CallCancelled)):
        session = requests.Session()
        session.mount("http://service.test", Answers(answer))
        transport = RequestsTransport(
            TransportConfig("http://service.test", user_agent="t", headers={}, request_timeout=5, session=session)
        )
        with pytest.raises(ended):
            run_sync(
                transport.send(
                    Request("GET", "/status"), Deadline.after(60), lambda: bool(cancel), new_connection=False
                )
            )


def test_a_hook_of_the_callers_never_meets_a_body_that_was_not_capped() -> None:
    """It would read it whole, without any limit."""
    called: list[str] = []
    session = requests.Session()
    session.hooks["response"].extend([lambda *_, **__: called.append("one"), lambda *_, **__: called.append("two")])
    with serving(answering(http("200 OK", b"x" * 1001))) as server, pytest.raises(Fault, match="longer than 1000"):
        send(server.url, session=session, max_body_bytes=1000)
    session.close()

    assert called == []


def test_calls_are_kept_ready_up_to_the_cap_at_any_time() -> None:
    """And not only at the end."""
    transport = RequestsTransport(TransportConfig("http://host", user_agent="t", headers={}, request_timeout=60))
    ours: Any = transport._session
    first = ours.prepare(Call("GET", "http://host/0", {}))
    sizes = []
    for number in range(1, 300):
        ours.prepare(Call("GET", f"http://host/{number}", {}))
        sizes.append(len(ours._process.prepared_calls))
        if number == 100:
            assert ours.prepare(Call("GET", "http://host/0", {})) is first

    assert max(sizes) == MAX_PREPARED_CALLS
    assert ours.prepare(Call("POST", "http://host/299", {})) is not ours.prepare(Call("GET", "http://host/299", {}))


def test_an_adapter_is_told_to_stream() -> None:
    """Or it may read the body itself."""
    adapter = Answers(lambda _: response())
    session = requests.Session()
    session.mount("http://service.test", adapter)
    send("http://service.test", session=session)

    assert [told["stream"] for told in adapter.told] == [True]


def test_user_information_in_a_redirect_is_not_sent_on() -> None:
    """The other origin gets nothing but the four plain headers."""
    with ExitStack() as servers:
        other = servers.enter_context(serving(answering(http())))
        target = other.url.replace("http://", "http://u:p@")
        first = servers.enter_context(serving(redirecting(f"{target}/a")))
        send(first.url, headers={"Authorization": "Bearer k"})

    assert "authorization" not in headers_of(other.requests[0])


def test_the_adapter_repeats_nothing() -> None:
    """Nobody would count these calls."""
    with serving(answering(b"")) as server:
        with pytest.raises(Fault):
            send(server.url)

        assert len(server.requests) == 1


def test_pools_are_kept_for_a_few_hosts_at_any_time() -> None:
    """One for all paths of a host."""
    adapter = GuardedAdapter()
    sizes = []
    for port in range(1, 100):
        for path in ("a", "b?c"):
            prepared = requests.Request("GET", f"http://127.0.0.1:{port}/{path}").prepare()
            adapter.get_connection_with_tls_context(prepared, True)
            sizes.append(len(adapter._pools))

    assert sizes[:8] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert max(sizes) == MAX_HOSTS


def test_closing_closes_a_pool_that_somebody_holds() -> None:
    """A call of another thread, say; the garbage collector would not."""
    adapter = GuardedAdapter()
    pool = adapter.get_connection_with_tls_context(requests.Request("GET", "http://127.0.0.1:9/").prepare(), True)
    adapter.close()

    assert pool.pool is None


def test_a_connection_has_the_options_and_the_address_that_urllib3_gives_it() -> None:
    """Without TCP_NODELAY a request in two parts waits for the peer's delayed ACK."""
    with serving(mute) as server, CancelScope(now() + 60, lambda: False):
        connection = GuardedHTTPConnection("127.0.0.1", server.port, source_address=("127.0.0.2", 0))
        connection.connect()
        assert connection.sock is not None
        try:
            assert connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert connection.sock.getsockname()[0] == "127.0.0.2"
            assert connection.sock.gettimeout()
        finally:
            connection.close()


def test_outside_of_a_call_a_guarded_connection_is_as_any_other() -> None:
    """urllib3's time-outs hold then."""
    assert CURRENT.scope is None
    with requests.Session() as session:
        session.mount("http://", GuardedAdapter())
        with serving(answering(http("200 OK", b"{}"), close=False)) as server:
            assert session.get(f"{server.url}/a", timeout=60).content == b"{}"
            assert session.get(f"{server.url}/b", timeout=60).reason == "OK"
        with serving(mute) as server, pytest.raises(requests.ReadTimeout):
            session.get(server.url, timeout=(60, 0.05))


def test_a_connection_needs_no_options() -> None:
    """None is allowed."""
    with serving(mute) as server, CancelScope(now() + 60, lambda: False):
        connection = GuardedHTTPConnection("127.0.0.1", server.port, socket_options=None)
        connection.connect()
        connection.close()


def test_a_call_after_closing_opens_a_new_connection() -> None:
    """And finds no pool that is closed."""
    with serving(answering(http(), close=False)) as server:
        transport = RequestsTransport(TransportConfig(server.url, user_agent="t", headers={}, request_timeout=60))
        for _ in range(2):
            assert (
                run_sync(
                    transport.send(Request("GET", "/status"), Deadline.after(60), lambda: False, new_connection=False)
                ).status_code
                == 200
            )
            transport.close()


def test_a_peer_that_reads_slowly_gets_all_of_it_and_holds_no_call() -> None:
    """Nobody knows how much the system's own sendall has sent when it breaks off."""
    ours, peer = socket.socketpair()
    data = random.Random(2).randbytes(3_000_000)
    got = bytearray()
    full = threading.Event()

    def read() -> None:
        full.wait(0.3)
        while len(got) < len(data):
            got.extend(peer.recv(65536))

    reader = threading.Thread(target=read)
    with GuardedSocket(fileno=ours.detach()) as guarded, peer:
        reader.start()
        with CancelScope(now() + 60, lambda: False):
            guarded.sendall(data)
        reader.join(60)
        with CancelScope(now() + 0.2, lambda: False), pytest.raises(CallTimeout):
            guarded.sendall(data)

    assert bytes(got) == data


def test_each_way_of_connecting_has_its_own_pool() -> None:
    """One that was opened direct, or without looking at certificates, is not another one's."""
    adapter = GuardedAdapter()
    prepared = requests.Request("GET", "https://127.0.0.1:9/").prepare()
    ways: list[Any] = [
        (True, None, None),
        (False, None, None),
        (True, {"https": "http://127.0.0.1:10"}, None),
        (True, {"https": "http://127.0.0.1:11"}, None),
    ]
    pools = [adapter.get_connection_with_tls_context(prepared, *way) for way in ways]

    assert len({id(pool) for pool in pools}) == len(ways)
    assert [adapter.get_connection_with_tls_context(prepared, *way) for way in ways] == pools


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::1%lo"])
def test_a_number_needs_no_helper(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """That would be a thread for each connection."""
    monkeypatch.setattr(dns, "shared_lookup", lambda *_: pytest.fail("a helper was asked"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **_: [asked])

    found: list[Any] = dns.resolve(host, 80, CancelScope(now() + 60, lambda: False))

    assert found == [(host, 80)]


def test_a_helper_that_hangs_holds_up_no_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    """And it has a name that says what it does."""
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [release.wait(60)])
    with pytest.raises(CallTimeout):
        dns.resolve("stuck.test", 80, CancelScope(now() + 0.05, lambda: False))
    helpers = [(thread.name, thread.daemon) for thread in threading.enumerate() if "stuck.test" in thread.name]
    release.set()

    assert helpers == [("resolve stuck.test", True)]


def test_a_child_forgets_the_lookups_of_its_parent() -> None:
    """The helpers do not live on in a fork, so nobody would ever answer."""
    dns._Lookup.lookups[("stuck.test", 80)] = Future()
    dns._forget_all()

    assert dns._Lookup.lookups == {}


def test_an_interrupt_while_a_lookup_begins_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """As what it is, and the name is looked up anew next time."""
    start = threading.Thread.start

    def interrupt(_: threading.Thread) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupt)
    with pytest.raises(KeyboardInterrupt):
        dns.resolve("localhost", 80, CancelScope(now() + 1, lambda: False))
    monkeypatch.setattr(threading.Thread, "start", start)

    assert dns.resolve("localhost", 80, CancelScope(now() + 60, lambda: False))


def test_guards_nest() -> None:
    """The part of a call gives back to the whole, also when it is cut."""
    whole = CancelScope(now() + 60, lambda: False)
    part = whole.child(1)
    with whole:
        with part:
            assert CURRENT.scope is part
        assert CURRENT.scope is whole
    assert CURRENT.scope is None


def test_a_cancelled_call_has_no_time_left() -> None:
    """Being cancelled is the first thing that is said, also of what was shortened."""
    cancelled: list[bool] = []
    guard = CancelScope(now() + 5, lambda: bool(cancelled))
    part = guard.child(1)
    assert part.next_slice() == SLICE_SECONDS
    cancelled.append(True)
    for ended in (
        guard.require_remaining,
        guard.next_slice,
        part.require_remaining,
        CancelScope(now() - 1, lambda: True).require_remaining,
    ):
        with pytest.raises(CallCancelled):
            ended()


def test_another_origin_is_not_shown_the_certificate_of_the_session() -> None:
    """It says who we are as the key does."""

    def answer(request: requests.PreparedRequest) -> requests.Response:
        is_ours = str(request.url).startswith("http://service.test")
        made = response(302, b"", location="http://other.test/a") if is_ours else response()
        made.url, made.request = request.url or "", request
        return made

    adapter = Answers(answer)
    session = requests.Session()
    session.cert = "mine.pem"
    session.mount("http://", adapter)
    send("http://service.test", session=session)

    assert [told["cert"] for told in adapter.told] == ["mine.pem", None]


def test_the_body_of_an_error_that_takes_a_moment_is_read() -> None:
    """What went wrong stands in it."""

    def handle(connection: socket.socket, server: Server) -> None:
        connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nno")
        server.pause(0.1)
        connection.sendall(b"pe")

    with serving(handle) as server:
        assert send(server.url).body == b"nope"


def test_a_name_is_looked_up_anew_for_each_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a service that moves is never found again by a client that is open."""
    failure = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    answers: Any = iter([failure, [1], [2]])

    def look_up(*_: Any, **__: Any) -> Any:
        if isinstance(answer := next(answers), OSError):
            raise answer
        return answer

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    guard = CancelScope(now() + 60, lambda: False)
    with pytest.raises(socket.gaierror):
        dns.resolve("moves.test", 80, guard)
    found: list[Any] = [dns.resolve("moves.test", 80, guard) for _ in range(2)]

    assert found == [[1], [2]]
    assert dns._Lookup.lookups == {}


def test_each_address_has_its_share_of_the_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole of its share, and no more; seen by the guard in slices all the while."""
    started, tried, begun, slices = now(), [], [], []

    def never(sock: socket.socket, timeout: float) -> bool:
        if sock not in tried:
            tried.append(sock)
            begun.append(now() - started)
        slices.append(timeout)
        clock.tick(timeout)
        return False

    monkeypatch.setattr(connections, "wait_for_write", never)
    with socket.create_server(("127.0.0.1", 0)) as listener, CancelScope(now() + 6, lambda: False):
        address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", listener.getsockname())
        monkeypatch.setattr(connections, "resolve", lambda *_: [address] * 3)
        with pytest.raises(CallTimeout):
            GuardedHTTPConnection("many.test", 80).connect()

    assert begun == pytest.approx([0, 2, 4], abs=0.15)
    assert max(slices) <= SLICE_SECONDS


def test_a_context_that_is_given_is_used() -> None:
    """It may know authorities or certificates that ours does not."""
    context = ssl.create_default_context()
    with serving(mute) as server:
        server.over.set()
    connection = GuardedHTTPSConnection("127.0.0.1", server.port, ssl_context=context)
    with CancelScope(now() + 60, lambda: False), pytest.raises(NewConnectionError):
        connection.connect()

    assert connection.ssl_context is context
    assert context.sslsocket_class is GuardedTLSSocket


@pytest.mark.parametrize("is_ended", [True, False])
def test_the_end_of_tls_within_tls_is_recorded(is_ended: bool) -> None:
    """Or that it has not come, where the connection has ended."""
    authority = trustme.CA()
    of_server, of_client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("host.test").configure_cert(of_server)
    authority.configure_trust(of_client)
    of_client.sslobject_class = GuardedTLSObject
    of_client.options &= ~IGNORE_UNEXPECTED_EOF
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = of_client.wrap_bio(back, there, server_hostname="host.test")
    server = of_server.wrap_bio(there, back, server_side=True)
    for side in (client, server, client, server):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    server.write(b"file")
    if is_ended:
        with suppress(ssl.SSLWantReadError):
            server.unwrap()
    back.write_eof()
    scope = CancelScope(now() + 60, lambda: False)
    with scope:
        assert client.read(9) == b"file"
        with nullcontext() if is_ended else pytest.raises(ssl.SSLEOFError):
            assert client.read(9) == b""

    assert scope.is_tls_cut_off is not is_ended


def test_tls_over_a_socket_of_another_library_is_known_to_be_unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of pyOpenSSL, say: what it sends is not recorded."""
    scope = CancelScope(now() + 60, lambda: False)
    connection: Any = GuardedHTTPSConnection("host.test", ssl_context=ssl.create_default_context())
    monkeypatch.setattr(HTTPSConnection, "connect", lambda self: setattr(self, "sock", Mock()))
    with scope:
        connection.connect()

    assert scope.is_unguarded


def test_a_connection_over_sockets_of_another_kind_says_that_it_is_one() -> None:
    """That of a SOCKS proxy, say."""
    scope = CancelScope(now() + 60, lambda: False)
    with serving(mute) as server, scope:
        connection = unguarded(HTTPConnection)("127.0.0.1", server.port)
        connection.connect()
        connection.close()

    assert scope.is_unguarded


def test_outside_of_a_call_a_guarded_socket_is_as_any_other() -> None:
    """Its own time-out holds; during a call, that one alone has no say."""
    ours, peer = socket.socketpair()
    with GuardedSocket(fileno=ours.detach()) as guarded, peer:
        guarded.settimeout(0.02)
        assert guarded.gettimeout() == 0.02
        guarded.sendall(b"ping")
        assert peer.recv(9) == b"ping"
        with pytest.raises(TimeoutError):
            guarded.recv(9)
        with pytest.raises(TimeoutError):
            guarded.sendall(b"x" * 5_000_000)
        peer.sendall(b"pong")
        assert guarded.recv(9) == b"pong"
        with CancelScope(now() + 60, lambda: False):
            guarded.settimeout(3)
            assert guarded.gettimeout() == 0.02
        with CancelScope(now() + 0.1, lambda: False), pytest.raises(CallTimeout):
            guarded.recv(9)
