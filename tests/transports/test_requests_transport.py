"""One request of the blocking transport, on real sockets: what it sends and reads, and which responses are faults."""

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
from support.adapters import FunctionAdapter, response
from support.fixtures import Clock
from support.hostile_server import Server, answering, dripping, gzipped, http, refusing_url, serving
from support.send_request import STATUS, headers_of, redirecting, send
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

MIB = 1024 * 1024


def fault_of(raw_response: bytes, **arguments: Any) -> Fault:
    """Send one request to a server that sends this response, and return the fault."""
    with serving(answering(raw_response)) as server, pytest.raises(Fault) as caught:
        send(server.url, **arguments)
    return caught.value


def test_a_response_is_read_whole() -> None:
    """Status, headers with names in any case, and body."""
    with serving(answering(http("201 Created", b'{"a": 1}', "X-Thing: 7"))) as server:
        received = send(server.url)

    assert (received.status_code, received.headers["x-thing"], received.json_object()) == (201, "7", {"a": 1})


def test_a_request_has_the_user_agent_the_api_key_and_the_callers_headers() -> None:
    """And no header that requests would add."""
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


def test_a_connection_is_reused() -> None:
    """Each response is read to its exact end."""
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
def test_the_accepted_content_codings_are_undone(coding: str, packed: bytes) -> None:
    """In one member or several; also `deflate` without its header, as it is often sent."""
    with serving(answering(http("200 OK", packed, f"Content-Encoding: {coding}"))) as server:
        assert send(server.url).json_object() == {"result": "pending"}


@pytest.mark.parametrize(
    ("raw_response", "message"),
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
def test_an_unreadable_body_is_a_fault_with_its_status(raw_response: bytes, message: str) -> None:
    """The cap holds while reading and while unpacking."""
    fault = fault_of(raw_response, max_body_bytes=1000)

    assert (fault.kind, fault.status_code) == ("unreadable", 200)
    with pytest.raises(Fault, match=message):
        raise fault


@pytest.mark.parametrize("status", ["401 Unauthorized", "503 Busy"])
def test_an_error_status_with_an_unreadable_body_is_returned(status: str) -> None:
    """A 401 fails at once, whatever its body is."""
    with serving(answering(http(status, b"x" * 2000))) as server:
        received = send(server.url, max_body_bytes=1000)

    assert (received.status_code, received.body) == (int(status[:3]), b"")


BOMBS: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: http("200 OK", gzipped(b"\0" * 100 * MIB), "Content-Encoding: gzip"),
    "gzip twice": lambda: http("200 OK", gzipped(gzipped(b"\0" * 100 * MIB)), "Content-Encoding: gzip, gzip"),
    "the body of a redirect": lambda: http("302 Found", b"x" * 50 * MIB, "Location: /elsewhere"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_huge_body_does_not_fill_the_memory(name: str) -> None:
    """Packed, packed twice, and that of a redirect, which requests itself would read whole."""
    with serving(answering(BOMBS[name]())) as server:
        tracemalloc.start()
        with pytest.raises(Fault):
            send(server.url)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert peak < 8 * MIB


@pytest.mark.parametrize(
    ("raw_response", "kind"),
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
def test_a_response_that_breaks_http_is_a_fault(raw_response: bytes, kind: str) -> None:
    """And not an exception of a library below."""
    assert fault_of(raw_response).kind == kind


def test_a_refused_connection_is_a_fault_with_the_text_of_the_system() -> None:
    """The exceptions that wrap it contain the URL."""
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
    """Both the path of `base_url` and the id of a job."""

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
    """On the same origin, with the API key and the headers."""
    hops = [http("302 Found", b"", f"Location: /{number}") for number in range(3)]
    with serving(answering(*hops, http(), close=False)) as server:
        received = send(server.url, headers={"X-Api-Key": "k"})

    assert received.status_code == 200
    assert [request.split()[1] for request in server.requests] == [b"/status", b"/0", b"/1", b"/2"]
    assert [headers_of(request)["x-api-key"] for request in server.requests] == ["k"] * 4


def test_the_redirect_of_a_post_is_not_followed() -> None:
    """Any method but GET might be processed twice, so the response is returned."""
    with serving(redirecting("/elsewhere")) as server:
        transport = RequestsTransport(TransportConfig(server.url, user_agent="t", headers={}, request_timeout=60))
        received = run_sync(
            transport.send(Request("POST", "/jobs"), Deadline.after(60), lambda: False, new_connection=False)
        )
        transport.close()

    assert (received.status_code, len(server.requests)) == (302, 1)


def test_a_fourth_redirect_is_a_fault() -> None:
    """So a redirect loop ends."""
    with serving(answering(http("307 Temporary Redirect", b"", "Location: /status"), close=False)) as server:
        with pytest.raises(Fault, match="more than 3 redirects") as caught:
            send(server.url)

        assert len(server.requests) == 4
    assert caught.value.status_code == 307


@pytest.mark.parametrize("with_session", [False, True])
def test_a_redirect_to_another_origin_carries_neither_api_key_nor_headers(with_session: bool) -> None:
    """Nor what the caller's session would add; nor does a second redirect, to a third origin."""
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
    """The API key is sent to no other origin."""
    assert same_origin(one, other) is same


def test_verify_false_of_the_callers_session_is_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """requests would let a CA bundle of the environment override it."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    session = requests.Session()
    session.verify = False
    seen: list[Any] = []

    def look(request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        seen.append(settings["verify"])
        returned = requests.Response()
        returned.status_code, returned._content = 200, b"{}"
        return returned

    monkeypatch.setattr(session.get_adapter("https://"), "send", look)
    send("https://service.test", session=session)

    assert seen == [False]


def test_netrc_never_replaces_the_api_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """requests itself would replace it."""
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
    """The request line then has the absolute URL."""
    with serving(answering(http())) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        send("http://service.test")

    assert proxy.requests[0].startswith(b"GET http://service.test/status HTTP/1.1\r\n")


def test_the_callers_session_is_used_as_it_is_and_stays_open() -> None:
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


def test_cookies_are_not_stored() -> None:
    """The client's own session sends the same request each time."""
    with serving(answering(http("200 OK", b"{}", "Set-Cookie: a=b"), close=False)) as server:
        transport = RequestsTransport(TransportConfig(server.url, user_agent="t", headers={}, request_timeout=60))
        for _ in range(2):
            run_sync(transport.send(STATUS, Deadline.after(60), lambda: False, new_connection=False))
        run_sync(transport.send(Request("GET", "/other"), Deadline.after(60), lambda: False, new_connection=False))
        transport.close()

    assert not any("cookie" in headers_of(request) for request in server.requests)


def test_close_closes_the_idle_connections() -> None:
    """At once, and not when the garbage collector runs."""
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


def test_a_pool_that_is_used_again_keeps_its_class_of_connections() -> None:
    """After other hosts in between, or behind a proxy.

    A class that is derived from the one before, again and again, ends in RecursionError.
    """
    adapter = GuardedAdapter()
    for proxies in ({}, {"http": "http://127.0.0.1:9"}):
        kinds = set()
        for number in range(2 * sys.getrecursionlimit()):
            request = requests.Request("GET", f"http://127.0.0.{1 + number % (MAX_HOSTS + 1)}/").prepare()
            pool = adapter.get_connection_with_tls_context(request, True, proxies)
            kinds.add(pool.ConnectionCls)
        assert kinds == {GuardedHTTPConnection}
        assert isinstance(pool._get_conn(), GuardedHTTPConnection)


def test_a_pool_whose_queue_has_no_lock_is_supported() -> None:
    """That of gevent has none, once it has patched the standard library."""
    connections = [HTTPConnection("127.0.0.1", 1) for _ in range(2)]
    for connection, taken_at in zip(connections, (1.0, 2.0), strict=True):
        connection.sock, connection.reuse_url, connection.taken_at = object(), "other", taken_at  # type: ignore[attr-defined]  # as ours have
    pool: Any = SimpleNamespace(queue=[None, *connections])

    assert _take_idle(pool, "url") is connections[0]
    assert pool.queue == [None, connections[1]]
    connections[1].reuse_url = "url"  # type: ignore[attr-defined]  # as ours have
    assert _take_idle(pool, "url") is connections[1]
    assert _take_idle(pool, "url") is None
    assert pool.queue == []


def test_an_interrupt_never_leaves_a_connection_in_a_pool_twice() -> None:
    """At any line at which a signal handler may raise: two threads must never get the same connection."""

    class Interrupt(Exception):
        """The exception that a signal handler raises."""

    def interrupt_at(line: int) -> Callable[..., Any]:
        def trace(frame: FrameType, event: str, _: object) -> Any:
            if event == "line" and frame.f_code is _take_idle.__code__ and frame.f_lineno == line:
                raise Interrupt
            return trace

        return trace

    source, first = inspect.getsourcelines(_take_idle)
    locked = first + next(number for number, text in enumerate(source) if text.strip().startswith("with "))
    lines = {line for _, _, line in _take_idle.__code__.co_lines() if line is not None}
    ended = 0
    # Without the line of the `with` itself: Python runs no signal handler while it leaves a `with`.
    for line in sorted(line for line in lines if line > locked):
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
    assert ended == 1  # the line for an empty pool is not reached


def test_a_pool_is_freed_when_its_adapter_is_closed() -> None:
    """With its sockets, and without the garbage collector."""
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


def test_new_connection_opens_one_and_leaves_the_pool_unchanged() -> None:
    """The server may be about to close an idle one; those of other threads may be in use."""
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


def test_a_redirect_to_a_file_url_reaches_no_adapter() -> None:
    """Not even one that is mounted for `file://`."""
    session = requests.Session()
    files = FunctionAdapter(lambda _: pytest.fail("it was followed"))
    session.mount("file://", files)
    with serving(redirecting("file:///etc/passwd")) as server, pytest.raises(Fault, match=r"no http\(s\)") as caught:
        send(server.url, session=session)
    session.close()

    assert (caught.value.status_code, files.requests) == (302, [])


def test_an_unreadable_body_is_ignored_from_status_300_on() -> None:
    """Below 300 it is a fault."""
    with serving(answering(http("300 Multiple Choices", b"x" * 2000))) as server:
        assert (send(server.url, max_body_bytes=1000).status_code) == 300
    with serving(answering(http("299 Fine", b"x" * 2000))) as server, pytest.raises(Fault, match="longer than 1000"):
        send(server.url, max_body_bytes=1000)


@pytest.mark.parametrize("status", ["300 Multiple Choices", "302 Found", "401 Unauthorized", "503 Busy"])
def test_the_body_of_an_error_or_redirect_has_a_time_out_of_its_own(
    monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    """`STATUS_BODY_SECONDS`, which is shortened here."""
    monkeypatch.setattr(transport_module, "STATUS_BODY_SECONDS", 0.05)
    head = f"HTTP/1.1 {status}\r\nContent-Length: 999\r\n\r\n".encode()
    with serving(dripping(head, b"x", every=0.01)) as server:
        received = send(server.url)

    assert (received.status_code, received.body) == (int(status[:3]), b"")
    assert received.seconds < 1


def test_the_body_of_a_success_has_no_time_out_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a body would pass for an empty one."""
    monkeypatch.setattr(transport_module, "STATUS_BODY_SECONDS", 0.0)
    with serving(dripping(b"HTTP/1.1 299 Fine\r\nContent-Length: 10\r\n\r\n", b"x", every=0.01)) as server:
        assert send(server.url).body == b"x" * 10


def test_a_response_hook_of_the_caller_may_read_the_body_again() -> None:
    """From memory, as nothing is left on the connection."""
    seen: list[Any] = []
    session = requests.Session()
    session.hooks["response"].append(lambda response, **_: seen.extend([*response.iter_lines(), response.text]))
    with serving(answering(http("200 OK", b"one\ntwo"))) as server:
        send(server.url, session=session)
        session.close()

    assert seen == [b"one", b"two", "one\ntwo"]


def test_a_redirect_back_from_another_origin_carries_no_api_key() -> None:
    """The other origin chose that URL."""
    with ExitStack() as servers:
        targets: list[str] = []
        other = servers.enter_context(serving(lambda connection, server: redirecting(targets[0])(connection, server)))
        handler = answering(http("302 Found", b"", f"Location: {other.url}/a"), http(), close=False)
        first = servers.enter_context(serving(handler))
        targets.append(f"{first.url}/back")
        assert send(first.url, headers={"X-Api-Key": "k"}).status_code == 200

    assert [headers_of(request).get("x-api-key") for request in first.requests] == ["k", None]


def test_a_time_out_or_cancellation_in_an_adapter_is_no_fault(clock: Clock) -> None:
    """The adapter raises its own exception for it, and the transport raises `CallTimeout` or `CallCancelled`."""

    def slow(_: object) -> requests.Response:
        clock.tick(6)
        raise requests.ReadTimeout

    def cancelled(_: object) -> requests.Response:
        cancel.append(True)
        raise requests.ConnectionError

    cancel: list[bool] = []
    for respond, ended in ((slow, CallTimeout), (cancelled, CallCancelled)):
        session = requests.Session()
        session.mount("http://service.test", FunctionAdapter(respond))
        transport = RequestsTransport(
            TransportConfig("http://service.test", user_agent="t", headers={}, request_timeout=5, session=session)
        )
        with pytest.raises(ended):
            run_sync(
                transport.send(
                    Request("GET", "/status"), Deadline.after(60), lambda: bool(cancel), new_connection=False
                )
            )


def test_a_response_hook_of_the_caller_never_gets_a_body_that_is_too_long() -> None:
    """It would read all of it, without any limit."""
    called: list[str] = []
    session = requests.Session()
    session.hooks["response"].extend([lambda *_, **__: called.append("one"), lambda *_, **__: called.append("two")])
    with serving(answering(http("200 OK", b"x" * 1001))) as server, pytest.raises(Fault, match="longer than 1000"):
        send(server.url, session=session, max_body_bytes=1000)
    session.close()

    assert called == []


def test_an_adapter_is_called_with_stream_true() -> None:
    """Otherwise it may read the body itself."""
    adapter = FunctionAdapter(lambda _: response())
    session = requests.Session()
    session.mount("http://service.test", adapter)
    send("http://service.test", session=session)

    assert [arguments["stream"] for arguments in adapter.send_arguments] == [True]


def test_user_information_in_a_redirect_is_not_sent() -> None:
    """It does not become an `Authorization` header for the other origin."""
    with ExitStack() as servers:
        other = servers.enter_context(serving(answering(http())))
        target = other.url.replace("http://", "http://u:p@")
        first = servers.enter_context(serving(redirecting(f"{target}/a")))
        send(first.url, headers={"Authorization": "Bearer k"})

    assert "authorization" not in headers_of(other.requests[0])


def test_the_adapter_never_retries() -> None:
    """Its retries would not be counted as attempts."""
    with serving(answering(b"")) as server:
        with pytest.raises(Fault):
            send(server.url)

        assert len(server.requests) == 1


def test_a_redirect_to_another_origin_uses_no_client_certificate() -> None:
    """It identifies the client as the API key does."""

    def respond(request: requests.PreparedRequest) -> requests.Response:
        is_ours = str(request.url).startswith("http://service.test")
        made = response(302, b"", location="http://other.test/a") if is_ours else response()
        made.url, made.request = request.url or "", request
        return made

    adapter = FunctionAdapter(respond)
    session = requests.Session()
    session.cert = "mine.pem"
    session.mount("http://", adapter)
    send("http://service.test", session=session)

    assert [arguments["cert"] for arguments in adapter.send_arguments] == ["mine.pem", None]


def test_the_body_of_an_error_that_is_sent_in_two_parts_is_read() -> None:
    """It says what went wrong."""

    def handle(connection: socket.socket, server: Server) -> None:
        connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nno")
        server.pause(0.1)
        connection.sendall(b"pe")

    with serving(handle) as server:
        assert send(server.url).body == b"nope"
