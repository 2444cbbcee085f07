"""One call: what it carries where, what it reads, and what it makes of broken answers. Real sockets, nobody sleeps."""

import asyncio
import gc
import inspect
import socket
import sys
import threading
import tracemalloc
import weakref
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import pytest
import requests
from support.adapters import Answers, response
from support.fixtures import Clock
from support.hostile_server import Server, answering, dripping, gzipped, http, refusing_url, serving
from support.transport import STATUS, headers_of, redirecting, send
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection

from translation_client import AsyncVideoTranslationClient, VideoTranslationClient
from translation_client._auth.urls import same_origin
from translation_client._clock import Deadline
from translation_client._models import Fault, Request
from translation_client._transports import requests as transport_module
from translation_client._transports.adapter import MAX_HOSTS, GuardedAdapter, _take_idle
from translation_client._transports.base import TransportConfig, run_sync
from translation_client._transports.cancel_scope import (
    CallCancelled,
    CallTimeout,
)
from translation_client._transports.connections import GuardedHTTPConnection
from translation_client._transports.requests import RequestsTransport
from translation_client._transports.sessions import MAX_PREPARED_CALLS, Call

MIB = 1024 * 1024


def fault_of(answer: bytes, **arguments: Any) -> Fault:
    """Make one call to a server that answers so, and expect a fault."""
    with serving(answering(answer)) as server, pytest.raises(Fault) as caught:
        send(server.url, **arguments)
    return caught.value


def test_an_answer_is_read_whole() -> None:
    """Status, headers in any case, and body."""
    with serving(answering(http("201 Created", b'{"a": 1}', "X-Thing: 7"))) as server:
        answer = send(server.url)

    assert (answer.status_code, answer.headers["x-thing"], answer.json_object()) == (201, "7", {"a": 1})


def test_a_request_says_who_we_are_and_carries_key_and_headers() -> None:
    """And nothing that requests would add."""
    with serving(answering(http())) as server:
        send(server.url, headers={"Authorization": "Bearer k", "X-Mine": "1"})

    assert headers_of(server.requests[0]) == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": "test/1",
        "accept": "application/json",
        "accept-encoding": "gzip, deflate",
        "authorization": "Bearer k",
        "x-mine": "1",
    }


def test_a_connection_is_used_again() -> None:
    """Also after an answer that was read to its exact end."""
    peers: set[Any] = set()

    def handle(connection: socket.socket, server: Server) -> None:
        peers.add(connection.getpeername())
        connection.sendall(http())

    with serving(handle) as server:
        transport = RequestsTransport(TransportConfig(server.url, user_agent="t", headers={}, request_timeout=60))
        for _ in range(3):
            run_sync(transport.send(STATUS, Deadline.after(60), lambda: False, new_connection=False))
        transport.close()

    assert len(peers) == 1


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzipped(b'{"result": "pending"}')),
        ("x-gzip", gzipped(b'{"result": "pending"}')),
        ("gzip", gzipped(b'{"result": ') + gzipped(b'"pending"}')),
        ("deflate", zlib.compress(b'{"result": "pending"}')),
        ("deflate", zlib.compress(b'{"result": "pending"}')[2:-4]),
        ("deflate, gzip", gzipped(zlib.compress(b'{"result": "pending"}'))),
        ("identity", b'{"result": "pending"}'),
    ],
)
def test_the_codings_that_are_asked_for_are_undone(coding: str, packed: bytes) -> None:
    """In one member or in several, also "deflate" as it is often sent, without its header."""
    with serving(answering(http("200 OK", packed, f"Content-Encoding: {coding}"))) as server:
        assert send(server.url).json_object() == {"result": "pending"}


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (http("200 OK", b"x" * 2000), "longer than 1000 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000, "longer than 1000 bytes"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" + b"x" * 1000 + b"\r\n1\r\nx\r\n0\r\n\r\n",
            "longer",
        ),
        (http("200 OK", gzipped(b"x" * 2000), "Content-Encoding: gzip"), "longer than 1000 bytes"),
        (
            http("200 OK", gzipped(gzipped(b"x" * 10 * MIB)), "Content-Encoding: gzip, gzip"),
            "longer than 1000 bytes",
        ),
        (http("200 OK", gzipped(b"")[:-4] * 9, "Content-Encoding: gzip"), "does not unpack"),
        (http("200 OK", gzipped(b"") * 17, "Content-Encoding: gzip"), "more than 16 members"),
        (
            http("200 OK", gzipped(gzipped(gzipped(b"{}"))), "Content-Encoding: gzip, gzip, gzip"),
            "more than 2 content codings",
        ),
        (http("200 OK", b"x", "Content-Encoding: br"), "not accepted"),
        (http("200 OK", b"no gzip", "Content-Encoding: gzip"), "does not unpack"),
        (http("200 OK", gzipped(b"abc")[:-9], "Content-Encoding: gzip"), "breaks off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n{", "breaks off|shorter"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc", "breaks off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n", "breaks off"),
    ],
)
def test_a_body_that_cannot_be_read_is_a_fault_with_its_status(answer: bytes, says: str) -> None:
    """The cap holds while reading and while unpacking."""
    fault = fault_of(answer, max_body_bytes=1000)

    assert (fault.kind, fault.status_code) == ("unreadable", 200)
    with pytest.raises(Fault, match=says):
        raise fault


@pytest.mark.parametrize("status", ["401 Unauthorized", "503 Busy"])
def test_a_body_that_cannot_be_read_takes_no_status_back(status: str) -> None:
    """401 fails at once, whatever comes behind it."""
    with serving(answering(http(status, b"x" * 2000))) as server:
        answer = send(server.url, max_body_bytes=1000)

    assert (answer.status_code, answer.body) == (int(status[:3]), b"")


BOMBS: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: http("200 OK", gzipped(b"\0" * 100 * MIB), "Content-Encoding: gzip"),
    "gzip twice": lambda: http("200 OK", gzipped(gzipped(b"\0" * 100 * MIB)), "Content-Encoding: gzip, gzip"),
    "the body of a redirect": lambda: http("302 Found", b"x" * 50 * MIB, "Location: /elsewhere"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_does_not_fill_the_memory(name: str) -> None:
    """A redirect's body too, which requests itself would read whole."""
    with serving(answering(BOMBS[name]())) as server:
        tracemalloc.start()
        with pytest.raises(Fault):
            send(server.url)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert peak < 8 * MIB


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", "connection"),
        (b"HTTP/1.1 20", "connection"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "connection"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "connection"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "connection"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000 + b"\r\n\r\n", "connection"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", "unreadable"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n", "unreadable"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\xff\xfe\r\nContent-Length: 0\r\n\r\n", "unreadable"),
        (b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n", "unreadable"),
    ],
)
def test_what_breaks_http_is_a_fault(answer: bytes, kind: str) -> None:
    """And not an exception of some library below."""
    assert fault_of(answer).kind == kind


def test_nobody_listening_is_a_connection_fault_in_the_systems_words() -> None:
    """The wrappers around it hold the URL."""
    with refusing_url() as url, pytest.raises(Fault, match="Connection refused") as caught:
        send(url)

    assert caught.value.kind == "connection"


@pytest.mark.parametrize(
    "path",
    [
        "/übersetzung",
        "/v1;x=ü",
        "/a%20b",
        "/a|b",
        "/%7Euser",
        "/a[1]",
        "/%zz",
        "/%c3%bc",
        '/"a"',
        "/{a}^`",
        "/+",
        "/a/../b/./c",
    ],
)
def test_both_transports_send_a_url_in_the_same_bytes(path: str) -> None:
    """Of `base_url` and of an id."""

    async def check(url: str) -> None:
        async with AsyncVideoTranslationClient(url) as client:
            await client.check("ü/a b")

    with serving(answering(http())) as server:
        with VideoTranslationClient(server.url + path) as client:
            client.check("ü/a b")
        asyncio.run(check(server.url + path))

    blocking, with_aiohttp = (request.split(b"\r\n")[0] for request in server.requests)
    assert blocking == with_aiohttp


def test_three_redirects_are_followed() -> None:
    """On the same origin with key and headers."""
    hops = [http("302 Found", b"", f"Location: /{number}") for number in range(3)]
    with serving(answering(*hops, http(), close=False)) as server:
        answer = send(server.url, headers={"X-Api-Key": "k"})

    assert answer.status_code == 200
    assert [request.split()[1] for request in server.requests] == [b"/status", b"/0", b"/1", b"/2"]
    assert [headers_of(request)["x-api-key"] for request in server.requests] == ["k"] * 4


def test_only_a_get_is_redirected() -> None:
    """Anything else might be done twice; who asked decides."""
    with serving(redirecting("/elsewhere")) as server:
        transport = RequestsTransport(TransportConfig(server.url, user_agent="t", headers={}, request_timeout=60))
        answer = run_sync(
            transport.send(Request("POST", "/jobs"), Deadline.after(60), lambda: False, new_connection=False)
        )
        transport.close()

    assert (answer.status_code, len(server.requests)) == (302, 1)


def test_a_fourth_redirect_is_a_fault() -> None:
    """A loop ends."""
    with serving(answering(http("307 Temporary Redirect", b"", "Location: /status"), close=False)) as server:
        with pytest.raises(Fault, match="more than 3 redirects") as caught:
            send(server.url)

        assert len(server.requests) == 4
    assert caught.value.status_code == 307


@pytest.mark.parametrize("with_session", [False, True])
def test_another_origin_gets_neither_key_nor_headers(with_session: bool) -> None:
    """Nor what the caller's session would add; also not when that origin sends us back."""
    arguments: dict[str, Any] = {"headers": {"Authorization": "Bearer k", "X-Api-Key": "k", "X-Mine": "1"}}
    session = requests.Session()
    session.headers["X-Session"] = "s"
    session.auth = ("u", "p")
    session.cookies.set("c", "v")
    if with_session:
        arguments["session"] = session
    with ExitStack() as servers:
        last = servers.enter_context(serving(answering(http())))
        other = servers.enter_context(serving(redirecting(f"{last.url}/b")))
        first = servers.enter_context(serving(redirecting(f"{other.url}/a")))
        assert send(first.url, **arguments).status_code == 200
    session.close()

    assert headers_of(first.requests[0])["authorization"] == "Bearer k"
    for request in (other.requests[0], last.requests[0]):
        assert set(headers_of(request)) <= {"host", "user-agent", "accept", "accept-encoding"}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://host/a", "http://host/b?c", True),
        ("http://host", "http://host:80/", True),
        ("https://host", "https://host:443/", True),
        ("http://host", "http://HOST/", True),
        ("https://host:8443", "http://host:8443/", False),
        ("http://host", "https://host/", False),
        ("http://host", "http://host:8080/", False),
        ("http://host", "http://host.evil/", False),
        ("http://host", "http://other/", False),
        ("http://host:80", "http://host:443/", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(one: str, other: str, same: bool) -> None:
    """The key goes no further."""
    assert same_origin(one, other) is same


def test_a_session_that_verifies_nothing_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """requests would let a CA bundle of the environment beat it."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    session = requests.Session()
    session.verify = False
    seen: list[Any] = []

    def look(request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        seen.append(settings["verify"])
        answered = requests.Response()
        answered.status_code, answered._content = 200, b"{}"
        return answered

    monkeypatch.setattr(session.get_adapter("https://"), "send", look)
    send("https://service.test", session=session)

    assert seen == [False]


def test_a_cap_holds_for_what_is_kept_ready() -> None:
    """A client that is asked for a million jobs fills no memory."""
    transport = RequestsTransport(TransportConfig("http://host", user_agent="t", headers={}, request_timeout=60))
    session: Any = transport._session
    for number in range(300):
        session.prepare(Call("GET", f"http://host/{number}", {}))

    assert len(session._process.prepared_calls) <= MAX_PREPARED_CALLS


def test_a_netrc_never_replaces_our_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """requests would, behind our back."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    seen = []
    for session in (None, requests.Session()):
        with serving(answering(http())) as server:
            send(server.url, headers={"Authorization": "Bearer k"}, session=session)
        seen.append(headers_of(server.requests[0])["authorization"])

    assert seen == ["Bearer k", "Bearer k"]


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """And guarded as everything else."""
    with serving(answering(http())) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        send("http://service.test")

    assert proxy.requests[0].startswith(b"GET http://service.test/status HTTP/1.1\r\n")


def test_a_callers_session_is_used_as_it_is_and_stays_open() -> None:
    """With its hooks, cookies, auth and adapters."""
    session = requests.Session()
    session.auth = ("u", "p")
    session.cookies.set("c", "v")
    hooked: list[int] = []
    session.hooks["response"].append(lambda response, **_: hooked.append(response.status_code))
    adapter = session.get_adapter("http://")
    with serving(answering(http(), close=False)) as server:
        send(server.url, session=session)
        assert session.get(server.url).status_code == 200
        session.close()

    assert headers_of(server.requests[0])["authorization"].startswith("Basic ")
    assert headers_of(server.requests[0])["cookie"] == "c=v"
    assert hooked == [200, 200]
    assert session.get_adapter("http://") is adapter


def test_cookies_are_not_kept() -> None:
    """Our own session asks the same question each time."""
    with serving(answering(http("200 OK", b"{}", "Set-Cookie: a=b"), close=False)) as server:
        transport = RequestsTransport(TransportConfig(server.url, user_agent="t", headers={}, request_timeout=60))
        for _ in range(2):
            run_sync(transport.send(STATUS, Deadline.after(60), lambda: False, new_connection=False))
        run_sync(transport.send(Request("GET", "/other"), Deadline.after(60), lambda: False, new_connection=False))
        transport.close()

    assert not any("cookie" in headers_of(request) for request in server.requests)


def test_closing_closes_the_idle_connections() -> None:
    """Not some time later, by the garbage collector; and a later call would open new ones."""
    closed = threading.Event()

    def handle(connection: socket.socket, server: Server) -> None:
        connection.sendall(http())
        connection.settimeout(60)
        if connection.recv(1, socket.MSG_PEEK) == b"":
            closed.set()

    with serving(handle) as server:
        transport = RequestsTransport(TransportConfig(server.url, user_agent="t", headers={}, request_timeout=60))
        run_sync(transport.send(STATUS, Deadline.after(60), lambda: False, new_connection=False))
        assert not closed.is_set()
        transport.close()
        assert closed.wait(60)


def test_pools_are_kept_for_a_few_hosts_only() -> None:
    """A server that redirects to ever new hosts fills no memory."""
    adapter = GuardedAdapter()

    for port in range(1, 100):
        adapter.get_connection_with_tls_context(requests.Request("GET", f"http://127.0.0.1:{port}/").prepare(), True)

    assert len(adapter._pools) <= MAX_HOSTS


def test_a_pool_that_comes_again_keeps_its_class_of_connections() -> None:
    """After hosts in between, or behind a proxy: what is made of that of before, again and again, ends in RecursionError."""
    adapter = GuardedAdapter()
    for proxies in ({}, {"http": "http://127.0.0.1:9"}):
        kinds = set()
        for number in range(2 * sys.getrecursionlimit()):
            request = requests.Request("GET", f"http://127.0.0.{1 + number % (MAX_HOSTS + 1)}/").prepare()
            pool = adapter.get_connection_with_tls_context(request, True, proxies)
            kinds.add(pool.ConnectionCls)
        assert kinds == {GuardedHTTPConnection}
        assert isinstance(pool._get_conn(), GuardedHTTPConnection)


def test_a_pool_whose_queue_has_no_lock_is_used_too() -> None:
    """That of gevent has none, once it has patched the standard library."""
    connections = [HTTPConnection("127.0.0.1", 1) for _ in range(2)]
    for connection, taken_at in zip(connections, (1.0, 2.0), strict=True):
        connection.sock, connection.reuse_url, connection.taken_at = object(), "other", taken_at  # type: ignore[attr-defined]  # as one of ours
    pool: Any = SimpleNamespace(queue=[None, *connections])

    assert _take_idle(pool, "url") is connections[0]
    assert pool.queue == [None, connections[1]]
    connections[1].reuse_url = "url"  # type: ignore[attr-defined]  # as one of ours
    assert _take_idle(pool, "url") is connections[1]
    assert _take_idle(pool, "url") is None
    assert pool.queue == []


def test_an_interrupt_leaves_no_connection_twice_in_a_pool() -> None:
    """At whatever line a signal handler raises: two threads must never get the same one."""

    class Interrupt(Exception):
        """As a signal handler raises it."""

    def interrupt_at(line: int) -> Callable[..., Any]:
        def trace(frame: FrameType, event: str, _: object) -> Any:
            if event == "line" and frame.f_code is _take_idle.__code__ and frame.f_lineno == line:
                raise Interrupt
            return trace

        return trace

    source, first = inspect.getsourcelines(_take_idle)
    locked = next(number for number, text in enumerate(source) if text.strip().startswith("with "))
    ended = 0
    for line in range(
        first + locked + 1, first + len(source)
    ):  # Python itself calls no handler while it leaves a `with`
        pool: Any = HTTPConnectionPool("127.0.0.1", maxsize=3)
        connections = [pool._get_conn() for _ in range(3)]
        with ExitStack() as sockets:
            for connection in connections:
                connection.sock = sockets.enter_context(socket.socket())
                connection.reuse_url, connection.taken_at = "other", 0.0
                pool._put_conn(connection)
            before = sys.gettrace()
            sys.settrace(interrupt_at(line))
            try:
                _take_idle(pool.pool, "url")
                ended += 1
            except Interrupt:
                pass
            finally:
                sys.settrace(before)
            assert len(set(map(id, pool.pool.queue))) == len(pool.pool.queue) in (2, 3)
            assert not pool.pool.mutex.locked()
    assert ended == 1  # the line for an empty pool


def test_a_pool_ends_with_its_adapter() -> None:
    """And its sockets, without waiting for the garbage collector."""
    adapter = GuardedAdapter()
    pool = weakref.ref(
        adapter.get_connection_with_tls_context(requests.Request("GET", "http://x.test/").prepare(), True)
    )
    gc.disable()
    try:
        assert pool() is not None
        adapter.close()
        assert pool() is None
    finally:
        gc.enable()


def test_a_call_that_needs_a_new_connection_gets_one_and_leaves_the_others_alone() -> None:
    """One that lay idle may be closed by the server just now; those of other threads may be in use."""
    connections: list[socket.socket] = []

    def handle(connection: socket.socket, server: Server) -> None:
        connections.append(connection)
        connection.sendall(http())

    with serving(handle) as server:
        transport = RequestsTransport(TransportConfig(server.url, user_agent="t", headers={}, request_timeout=60))
        for new_connection in (False, True, True, False):
            run_sync(transport.send(STATUS, Deadline.after(60), lambda: False, new_connection=new_connection))
        transport.close()

    first, second, third, fourth = connections
    assert first is fourth
    assert len({id(one) for one in (first, second, third)}) == 3


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
