"""The connections, sockets and pools of the blocking transport."""

from __future__ import annotations

import random
import socket
import ssl
import threading
from contextlib import nullcontext, suppress
from typing import Any
from unittest.mock import Mock

import pytest
import requests
import trustme
from support.hostile_server import answering, http, mute, serving
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError

from translation_client._clock import Deadline, monotonic
from translation_client._models import Request
from translation_client._transports.adapter import MAX_HOSTS, GuardedAdapter
from translation_client._transports.base import TransportConfig, run_sync
from translation_client._transports.cancel_scope import (
    CURRENT,
    CallTimeout,
    CancelScope,
)
from translation_client._transports.connections import GuardedHTTPConnection, GuardedHTTPSConnection, unguarded
from translation_client._transports.requests import RequestsTransport
from translation_client._transports.sessions import MAX_PREPARED_CALLS, Call
from translation_client._transports.sockets import (
    IGNORE_UNEXPECTED_EOF,
    GuardedSocket,
    GuardedTLSObject,
    GuardedTLSSocket,
)


def test_the_cache_of_prepared_requests_never_exceeds_its_limit() -> None:
    """A client that checks a million jobs does not fill the memory.

    The limit is checked after each request. A cached request is returned again, and another method is another request.
    """
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


def test_an_adapter_never_has_pools_for_more_than_max_hosts() -> None:
    """A server that redirects to ever new hosts does not fill the memory. All paths of a host share one pool."""
    adapter = GuardedAdapter()
    sizes = []
    for port in range(1, 100):
        for path in ("a", "b?c"):
            prepared = requests.Request("GET", f"http://127.0.0.1:{port}/{path}").prepare()
            adapter.get_connection_with_tls_context(prepared, True)
            sizes.append(len(adapter._pools))

    assert sizes[:8] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert max(sizes) == MAX_HOSTS


def test_close_closes_a_pool_that_is_still_referenced() -> None:
    """A request in another thread may refer to it; the garbage collector would not close it."""
    adapter = GuardedAdapter()
    pool = adapter.get_connection_with_tls_context(requests.Request("GET", "http://127.0.0.1:9/").prepare(), True)
    adapter.close()

    assert pool.pool is None


def test_a_connection_has_the_socket_options_and_source_address_of_urllib3() -> None:
    """Without TCP_NODELAY a request in two parts waits for the peer's delayed ACK."""
    with serving(mute) as server, CancelScope(monotonic() + 60, lambda: False):
        connection = GuardedHTTPConnection("127.0.0.1", server.port, source_address=("127.0.0.2", 0))
        connection.connect()
        assert connection.sock is not None
        try:
            assert connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert connection.sock.getsockname()[0] == "127.0.0.2"
            assert connection.sock.gettimeout()
        finally:
            connection.close()


def test_a_guarded_connection_works_without_a_cancel_scope() -> None:
    """The timeouts of urllib3 hold then."""
    assert CURRENT.scope is None
    with requests.Session() as session:
        session.mount("http://", GuardedAdapter())
        with serving(answering(http("200 OK", b"{}"), close=False)) as server:
            assert session.get(f"{server.url}/a", timeout=60).content == b"{}"
            assert session.get(f"{server.url}/b", timeout=60).reason == "OK"
        with serving(mute) as server, pytest.raises(requests.ReadTimeout):
            session.get(server.url, timeout=(60, 0.05))


def test_a_connection_accepts_none_as_socket_options() -> None:
    """It connects without setting any."""
    with serving(mute) as server, CancelScope(monotonic() + 60, lambda: False):
        connection = GuardedHTTPConnection("127.0.0.1", server.port, socket_options=None)
        connection.connect()
        connection.close()


def test_a_request_after_close_opens_a_new_connection() -> None:
    """It does not get a pool that is closed."""
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


def test_sendall_to_a_slow_peer_sends_everything_within_the_deadline() -> None:
    """How much the system's own `sendall` has sent is unknown when it breaks off."""
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
        with CancelScope(monotonic() + 60, lambda: False):
            guarded.sendall(data)
        reader.join(60)
        with CancelScope(monotonic() + 0.2, lambda: False), pytest.raises(CallTimeout):
            guarded.sendall(data)

    assert bytes(got) == data


def test_each_setting_of_verify_and_proxies_has_its_own_pool() -> None:
    """A connection without a proxy, or without verified certificates, is not reused for another setting."""
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


def test_a_given_tls_context_is_used() -> None:
    """It may have authorities or certificates that the default one does not."""
    context = ssl.create_default_context()
    with serving(mute) as server:
        server.over.set()
    connection = GuardedHTTPSConnection("127.0.0.1", server.port, ssl_context=context)
    with CancelScope(monotonic() + 60, lambda: False), pytest.raises(NewConnectionError):
        connection.connect()

    assert connection.ssl_context is context
    assert context.sslsocket_class is GuardedTLSSocket


@pytest.mark.parametrize("is_ended", [True, False])
def test_the_end_of_tls_within_tls_is_recorded(is_ended: bool) -> None:
    """`is_tls_cut_off` is True if the connection has ended without `close_notify`."""
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
    scope = CancelScope(monotonic() + 60, lambda: False)
    with scope:
        assert client.read(9) == b"file"
        with nullcontext() if is_ended else pytest.raises(ssl.SSLEOFError):
            assert client.read(9) == b""

    assert scope.is_tls_cut_off is not is_ended


def test_a_tls_socket_of_another_library_is_recorded_as_unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of pyOpenSSL, for instance: what it sends is not recorded."""
    scope = CancelScope(monotonic() + 60, lambda: False)
    connection: Any = GuardedHTTPSConnection("host.test", ssl_context=ssl.create_default_context())
    monkeypatch.setattr(HTTPSConnection, "connect", lambda self: setattr(self, "sock", Mock()))
    with scope:
        connection.connect()

    assert scope.is_unguarded


def test_a_connection_over_sockets_of_another_kind_is_recorded_as_unguarded() -> None:
    """That of a SOCKS proxy, for instance."""
    scope = CancelScope(monotonic() + 60, lambda: False)
    with serving(mute) as server, scope:
        connection = unguarded(HTTPConnection)("127.0.0.1", server.port)
        connection.connect()
        connection.close()

    assert scope.is_unguarded


def test_a_guarded_socket_without_a_cancel_scope_obeys_its_own_timeout() -> None:
    """Within a cancel scope, `settimeout` changes nothing, and the deadline of the scope holds."""
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
        with CancelScope(monotonic() + 60, lambda: False):
            guarded.settimeout(3)
            assert guarded.gettimeout() == 0.02
        with CancelScope(monotonic() + 0.1, lambda: False), pytest.raises(CallTimeout):
            guarded.recv(9)
