"""No response is taken for that to another request: interim, doubled, repeated and late ones, in both clients."""

from __future__ import annotations

import asyncio
import inspect
import io
import os
import random
import ssl
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests
import trustme
import urllib3
from support.ends_soon import LASTS_LONG, ends_soon
from support.fixtures import LogLines
from support.scripted_server import (
    NEXT_REQUEST,
    Arrived,
    Part,
    Respond,
    Scripted,
    bytewise,
    interim,
    response,
    scripted,
)

from fake_server import Scenario, Server
from fake_server.storage import result_body
from translation_client import (
    AsyncVideoTranslationClient,
    Job,
    RequestFailed,
    TranslationClientError,
    TranslationStatus,
    UnexpectedAnswer,
    VideoTranslationClient,
)
from translation_client._transports import connections
from translation_client._transports.framing import MAX_INTERIM_RESPONSES
from translation_client._transports.matched_response import matched
from translation_client.services.service import Service
from translation_client.services.submission import SubmitSpec

CLIENTS = (VideoTranslationClient, AsyncVideoTranslationClient)
both_clients = pytest.mark.parametrize("kind", CLIENTS, ids=["blocking", "asyncio"])

NAMED = Service(
    name="named",
    status_path="/status/{job_id}",
    id_field="about",
    status_field="result",
    delete_path="/jobs/{job_id}",
    submit=SubmitSpec("/jobs"),
)
UNNAMED = Service(
    name="unnamed", status_path="/status/{job_id}", status_field="result", delete_path="/jobs/{job_id}", id_field=None
)

both_services = pytest.mark.parametrize("service", [NAMED, UNNAMED], ids=["named", "unnamed"])


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@asynccontextmanager
async def opened(kind: type[Any], url: str, **more: Any) -> AsyncIterator[Any]:
    client = kind(url, **{"service": UNNAMED, "sleep": lambda _: None, "request_timeout": LASTS_LONG, **more})
    try:
        yield client
    finally:
        closed = client.close()
        if inspect.isawaitable(closed):
            await closed


async def call(client: Any, name: str, *arguments: Any, **more: Any) -> Any:
    """Call a method of either client, and return all of its result."""
    result = getattr(client, name)(*arguments, **more)
    if isinstance(result, AsyncIterator):
        return [one async for one in result]
    if isinstance(result, Iterator):
        return list(result)
    return await result if inspect.isawaitable(result) else result


def about(job: str, **more: Any) -> bytes:
    """Make the response to a status request: job A is completed, and any other is pending."""
    return response({"result": "completed" if job == "A" else "pending", "about": job, **more})


def use(kind: type[Any], url: str, use_it: Callable[[Any], Coroutine[Any, Any, Any]], **more: Any) -> Any:
    async def main() -> Any:
        async with opened(kind, url, **more) as client:
            return await use_it(client)

    return asyncio.run(main())


def in_turn(jobs: str, respond: Respond) -> Respond:
    """Respond to one request after the other as if it were about the next of some jobs.

    Requests for one URL share a connection, and nothing but the order tells their responses apart.
    """
    turn = iter(jobs)
    return lambda request: respond(request._replace(path=f"/status/{next(turn)}"))


def checked(kind: type[Any], server: Scripted, checks: int = 2, turns: int = 0) -> list[tuple[str, str]]:
    """Check a job again and again, each time after the server has sent all that it has to send.

    Args:
        kind: The class of the client.
        server: The server.
        checks: The number of checks.
        turns: The steps of the event loop between checks, in which it may read what has arrived.
    """

    async def check(client: Any) -> list[tuple[str, str]]:
        seen = []
        for _ in range(checks):
            found = await call(client, "check", "J")
            seen.append((str(found.status), found.payload["about"]))
            server.settle()
            for _ in range(turns):
                await asyncio.sleep(0)
        return seen

    result: list[tuple[str, str]] = use(kind, server.url, check)
    return result


RIGHT = [("completed", "A"), ("pending", "B")]

INTERIM: dict[str, list[Part]] = {
    "100": [interim(100)],
    "102": [interim(102)],
    "103": [interim(103)],
    "199": [interim(199)],
    "several": [interim(103), interim(100), interim(102), interim(103)],
    "after a pause": [interim(103), 0.05],
    "several with pauses": [interim(102), 0.02, interim(102), 0.02, interim(100), 0.02],
    "with fields of a body": [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n", 0.02],
}


@both_clients
@pytest.mark.parametrize("before", INTERIM)
@pytest.mark.parametrize("how", ["each by itself", "in one packet", "one byte at a time"])
def test_interim_responses_are_skipped(kind: type[Any], before: str, how: str, lines: LogLines) -> None:
    """Whatever their number and their packets. The connection is kept."""

    def respond(request: Arrived) -> list[Part]:
        parts = [*INTERIM[before], about(request.job)]
        if how == "each by itself":
            return parts
        data = b"".join(part for part in parts if isinstance(part, bytes))
        return [data] if how == "in one packet" else bytewise(data)

    with scripted(in_turn("ABA", respond)) as server:
        assert checked(kind, server, 3) == [*RIGHT, RIGHT[0]]
        assert server.connections == 1


@both_clients
def test_an_interim_response_may_come_before_any_final_response(kind: type[Any], lines: LogLines) -> None:
    """An error, a response without a body, a redirect, and one in chunks."""
    final = {
        "GET /status/gone": response(b"{}", "404 Not Found"),
        "DELETE /jobs/A": b"HTTP/1.1 204 No Content\r\n\r\n",
        "GET /status/moved": response(b"", "302 Found", "Location: /status/C"),
        "GET /status/C": chunked(about("C")),
    }

    def respond(request: Arrived) -> list[Part]:
        return [interim(103), 0.02, final[f"{request.method} {request.path}"]]

    async def use_it(client: Any) -> str:
        with pytest.raises(RequestFailed, match="404"):
            await call(client, "check", "gone")
        assert await call(client, "delete", "A") is None
        return str((await call(client, "check", "moved")).payload["about"])

    with scripted(respond) as server:
        assert use(kind, server.url, use_it) == "C"
        assert [request.connection for request in server.arrived] == [1, 2, 3, 3]  # one for each method that is called


@both_clients
@pytest.mark.parametrize("code", [100, 103])
def test_endless_interim_responses_are_a_fault(kind: type[Any], code: int, lines: LogLines) -> None:
    """As soon as there are more than 100, and not only at the timeout."""

    def respond(request: Arrived) -> Iterator[Part]:
        many = MAX_INTERIM_RESPONSES if request.job == "A" else MAX_INTERIM_RESPONSES + 1
        yield from [interim(code)] * many
        if request.job == "A":
            yield about("A")
        while request.job != "A":
            yield interim(code)

    async def use_it(client: Any) -> None:
        assert (await call(client, "check", "A")).payload["about"] == "A"
        with pytest.raises(UnexpectedAnswer, match=r"more than 100 interim \(1xx\) responses"):
            await call(client, "check", "B")

    with scripted(respond) as server, ends_soon(LASTS_LONG / 3):
        use(kind, server.url, use_it, max_faults=2, request_timeout=LASTS_LONG)
    assert [request.job for request in server.arrived] == ["A", "B", "B"]


@both_clients
def test_interim_responses_do_not_extend_request_timeout(kind: type[Any], lines: LogLines) -> None:
    """They come every 0.25 s, and the request ends after 0.6 s."""

    def respond(request: Arrived) -> Iterator[Part]:
        for _ in range(MAX_INTERIM_RESPONSES):
            yield interim(102)
            yield 0.25

    async def use_it(client: Any) -> None:
        with pytest.raises(RequestFailed, match=r"no response within 0\.6 s"):
            await call(client, "check", "A")

    with scripted(respond) as server, ends_soon(0.6):
        use(kind, server.url, use_it, max_faults=1, request_timeout=0.6)


@both_clients
def test_switching_protocols_is_a_fault_and_its_connection_is_closed(kind: type[Any], lines: LogLines) -> None:
    """101 is a final response, and what follows it is not HTTP."""

    def respond(request: Arrived) -> list[Part]:
        if len(server.arrived) == 1:
            return [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", NEXT_REQUEST]
        return [about(request.job)]

    with scripted(in_turn("AAB", respond)) as server:
        assert checked(kind, server) == RIGHT
        assert [request.connection for request in server.arrived] == [1, 2, 2]


def following(*parts: Part) -> Callable[[bytes], list[Part]]:
    return lambda once: [once, *parts]


LEFTOVERS: dict[str, Callable[[bytes], list[Part]]] = {
    "doubled": lambda once: [once + once],
    "repeated": lambda once: [once, 0.02, once],
    "two and a half times": lambda once: [once + once + once[:40]],
    "half of it again": lambda once: [once + once[: len(once) // 2]],
    "half of it again, and then the rest": lambda once: [once + once[:40], 0.03, once[40:]],
    "half of it again, later": lambda once: [once, 0.03, once[: len(once) // 2]],
    "the beginning of a status line": lambda once: [once + b"HTTP/1.1 2"],
    "the beginning of an interim response": lambda once: [once + interim()[:-2]],
    "an interim response": lambda once: [once + interim()],
    "an interim response, later": lambda once: [once, 0.02, interim()],
    "a timeout that nobody asked for": following(0.02, response(b"", "408 Request Timeout")),
    "bytes that are no HTTP, later": following(0.02, b"\r\n\r\ngarbage\r\n"),
    "many times": lambda once: [once * 40],
    "a line break": lambda once: [once + b"\r\n"],
    "a line feed": lambda once: [once + b"\n"],
    "a line break, later, and again with the next request": following(0.02, b"\r\n", NEXT_REQUEST, about("A")),
    "a line break behind the last chunk": lambda once: [chunked(once) + b"\r\n"],
    "in chunks, and again": lambda once: [chunked(once) * 2],
    "in chunks, and half again": lambda once: [chunked(once) + chunked(once)[:-9]],
    "closed in order": lambda once: [once],
}


def chunked(once: bytes) -> bytes:
    """Make the same response with its body in one chunk."""
    body = once.partition(b"\r\n\r\n")[2]
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


KINDS_AND_TURNS = [(VideoTranslationClient, 0), (AsyncVideoTranslationClient, 0), (AsyncVideoTranslationClient, 5)]


@pytest.mark.parametrize(("kind", "turns"), KINDS_AND_TURNS, ids=["blocking", "asyncio", "asyncio that reads"])
@pytest.mark.parametrize("leftover", LEFTOVERS)
def test_leftovers_of_a_response_are_not_taken_for_the_next_response(
    kind: type[Any], turns: int, leftover: str, lines: LogLines
) -> None:
    """They close the connection, without a fault."""

    def respond(request: Arrived) -> list[Part]:
        once = about(request.job)
        return LEFTOVERS[leftover](once) if request.job == "A" else [once]

    with scripted(in_turn("ABB", respond)) as server:
        assert checked(kind, server, 3, turns) == [*RIGHT, RIGHT[1]]
        is_clean = leftover == "closed in order"
        assert [request.connection for request in server.arrived] == ([1, 1, 1] if is_clean else [1, 2, 2])
    assert not lines.of("check_failed")


def test_a_body_longer_than_its_content_length_closes_the_connection(lines: LogLines) -> None:
    """To aiohttp, such bytes in the packet of a response make it malformed."""

    def respond(request: Arrived) -> list[Part]:
        return [about(request.job) + b'{"result": "completed", "about": "A"}']

    with scripted(in_turn("BAB", respond)) as server:
        assert [job for _, job in checked(VideoTranslationClient, server, 3)] == ["B", "A", "B"]
        assert [request.connection for request in server.arrived] == [1, 2, 3]


@both_clients
@pytest.mark.parametrize("pause", [0.0, 0.02])
def test_bytes_after_the_204_of_a_deletion_are_not_taken_for_the_next_response(
    kind: type[Any], pause: float, lines: LogLines
) -> None:
    """The bytes come with it, or 0.02 s later. The next request is for the same URL."""

    def respond(request: Arrived) -> list[Part]:
        if request.method == "DELETE":
            empty = b"HTTP/1.1 204 No Content\r\n\r\n"
            return [empty, pause, about("A")] if pause else [empty + about("A")]
        return [about("B")]

    async def use_it(client: Any) -> str:
        await call(client, "delete", "J")
        server.settle()
        return str((await call(client, "check", "J")).payload["about"])

    with scripted(respond) as server:
        assert use(kind, server.url, use_it, service=replace(UNNAMED, delete_path=UNNAMED.status_path)) == "B"
        assert [request.connection for request in server.arrived] == [1, 2]


@both_clients
@pytest.mark.parametrize("pause", [0.0, 0.02])
@pytest.mark.parametrize("head", ["204 No Content", "204 No Content\r\nContent-Length: 50", "304 Not Modified"])
def test_bytes_after_a_204_or_304_are_not_taken_for_the_next_response(
    kind: type[Any], head: str, pause: float, lines: LogLines
) -> None:
    """It has no body. The bytes come with it, or 0.02 s later. The status is a fault, and the retry gets its own response."""

    def respond(request: Arrived) -> list[Part]:
        if len(server.arrived) == 1:
            empty = f"HTTP/1.1 {head}\r\n\r\n".encode()
            return [empty, pause, about("B")] if pause else [empty + about("B")]
        return [about(request.job)]

    async def check_twice(client: Any) -> list[str]:
        return [(await call(client, "check", "J")).payload["about"] for _ in range(2)]

    with scripted(in_turn("AAB", respond)) as server:
        assert use(kind, server.url, check_twice, sleep=lambda _: server.settle()) == ["A", "B"]
        assert [request.connection for request in server.arrived] == [1, 2, 2]


@both_clients
@pytest.mark.parametrize(
    "head",
    [
        "204 No Content\r\nContent-Length: 50",
        "204 No Content\r\nContent-Length: abc",
        "204 No Content\r\nTransfer-Encoding: chunked",
        "304 Not Modified\r\nContent-Length: abc",
        "304 Not Modified\r\nContent-Length: 5, 6",
        "304 Not Modified\r\nTransfer-Encoding: chunked",
        "304 Not Modified\r\nTransfer-Encoding: gzip, chunked",
    ],
)
def test_a_204_or_304_that_announces_a_body_closes_the_connection(kind: type[Any], head: str, lines: LogLines) -> None:
    """The body, which it must not have, may arrive with the next request."""

    def respond(request: Arrived) -> list[Part]:
        return [f"HTTP/1.1 {head}\r\n\r\n".encode() if len(server.arrived) == 1 else about(request.job)]

    async def check(client: Any) -> str:
        return str((await call(client, "check", "J")).payload["about"])

    with scripted(respond) as server:
        assert use(kind, server.url, check) == "J"
        assert [request.connection for request in server.arrived] == [1, 2]


@pytest.fixture
def secured(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ssl.SSLContext:
    """The TLS context of a server whose authority is in `REQUESTS_CA_BUNDLE`."""
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def padded(job: str, size: int) -> bytes:
    """Make a response of so many bytes."""
    return next(once for spare in range(size) if len(once := about(job, pad="x" * (size - spare))) == size)


@pytest.mark.parametrize(("kind", "turns"), KINDS_AND_TURNS, ids=["blocking", "asyncio", "asyncio that reads"])
@pytest.mark.parametrize("leftover", LEFTOVERS)
def test_leftovers_over_tls_are_not_taken_for_the_next_response(
    kind: type[Any], turns: int, leftover: str, secured: ssl.SSLContext, lines: LogLines
) -> None:
    """They may lie in the TLS layer."""

    def respond(request: Arrived) -> list[Part]:
        once = about(request.job)
        return LEFTOVERS[leftover](once) if request.job == "A" else [once]

    with scripted(in_turn("ABB", respond), secured) as server:
        assert checked(kind, server, 3, turns) == [*RIGHT, RIGHT[1]]
        is_clean = leftover == "closed in order"
        assert [request.connection for request in server.arrived] == ([1, 1, 1] if is_clean else [1, 2, 2])


@both_clients
@pytest.mark.parametrize("size", [io.DEFAULT_BUFFER_SIZE, io.DEFAULT_BUFFER_SIZE - 1, 3000, 5000])
def test_leftovers_in_the_tls_record_of_a_response_are_not_taken_for_the_next(
    kind: type[Any], size: int, secured: ssl.SSLContext, lines: LogLines
) -> None:
    """If a record is decrypted and half read, its socket is not readable to a poll."""

    def respond(request: Arrived) -> list[Part]:
        once = padded(request.job, size)
        return [once + once] if request.job == "A" else [once]

    with scripted(in_turn("ABB", respond), secured) as server:
        assert checked(kind, server, 3) == [*RIGHT, RIGHT[1]]
        assert [request.connection for request in server.arrived] == [1, 2, 2]


@both_clients
@pytest.mark.parametrize("leftover", ["doubled", "repeated"])
def test_leftovers_over_a_proxy_are_not_taken_for_the_next_response(
    kind: type[Any], leftover: str, monkeypatch: pytest.MonkeyPatch, lines: LogLines
) -> None:
    """Interim responses are skipped, and leftovers close the connection to the proxy."""

    def respond(request: Arrived) -> list[Part]:
        once = about(request.job)
        return [interim(), 0.02, *(LEFTOVERS[leftover](once) if request.job == "A" else [once])]

    async def use_it(client: Any) -> list[str]:
        seen = []
        for _ in range(3):
            seen.append((await call(client, "check", "J")).payload["about"])
            proxy.settle()
        return seen

    with scripted(in_turn("ABB", respond)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert use(kind, "http://service.test", use_it) == ["A", "B", "B"]
        assert [request.connection for request in proxy.arrived] == [1, 2, 2]


CONNECTED = b"HTTP/1.1 200 Connection Established\r\n\r\n"


@both_clients
@pytest.mark.parametrize("reply", [[interim(103) + CONNECTED], [interim(100), 0.02, interim(103), 0.02, CONNECTED]])
def test_leftovers_through_a_tunnel_are_not_taken_for_the_next_response(
    kind: type[Any], reply: list[Part], secured: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, lines: LogLines
) -> None:
    """The response of the proxy to CONNECT may come after an interim one, too."""

    def respond(request: Arrived) -> list[Part]:
        once = about(request.job)
        return [interim(), 0.02, once + once if request.job == "A" else once]

    with scripted(in_turn("ABB", respond), secured) as server, scripted(lambda _: reply) as proxy:
        proxy.relay_to = server.port
        monkeypatch.setenv("https_proxy", proxy.url)
        assert checked(kind, server, 3) == [*RIGHT, RIGHT[1]]
        assert [request.connection for request in server.arrived] == [1, 2, 2]
        assert [request.method for request in proxy.arrived] == ["CONNECT"] * 2


@pytest.mark.parametrize("size", [300, io.DEFAULT_BUFFER_SIZE])
def test_leftovers_over_tls_in_tls_are_not_taken_for_the_next_response(
    size: int, secured: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, lines: LogLines
) -> None:
    """The inner TLS layer may hold bytes that are decrypted."""

    def respond(request: Arrived) -> list[Part]:
        once = padded(request.job, size)
        return [interim(), once + once if request.job == "A" else once]

    with scripted(in_turn("ABB", respond), secured) as server, scripted(lambda _: [CONNECTED], secured) as proxy:
        proxy.relay_to = server.port
        monkeypatch.setenv("https_proxy", proxy.url)
        assert checked(VideoTranslationClient, server, 3) == [*RIGHT, RIGHT[1]]
        assert [request.connection for request in server.arrived] == [1, 2, 2]


@pytest.mark.parametrize("size", [300, io.DEFAULT_BUFFER_SIZE, 20_000])
def test_a_download_over_tls_is_refused_if_unrelated_bytes_follow(
    size: int, secured: ssl.SSLContext, tmp_path: Path, lines: LogLines
) -> None:
    """Read by http.client, or decrypted and unread. Another response, or a line break, is no part of the file."""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()
    file = b"\0\0\0\x18ftypmp42" + bytes(size - 12)
    parts: list[Part] = [head + file + bytes(3000)]
    with (
        scripted(lambda _: parts, secured) as server,
        VideoTranslationClient(server.url, service=UNNAMED, sleep=lambda _: None) as client,
    ):
        job = Job("j", TranslationStatus.COMPLETED, "completed", result_url=f"{server.url}/file")
        with pytest.raises(UnexpectedAnswer, match="more bytes than the response announced") as caught:
            client.download(job, tmp_path / "refused")
        assert [path for path in tmp_path.iterdir() if path.suffix != ".pem"] == []
        refused = len(server.arrived)
        assert refused == caught.value.attempts == 10
        for name, behind in {"another": head + file, "a line": b"\r\n"}.items():
            parts[:] = [head + file + behind]
            assert client.download(job, tmp_path / name).read_bytes() == file
        assert [request.path for request in server.arrived] == ["/file"] * (refused + 2)


def test_bytes_after_the_response_to_connect_are_not_taken_for_a_response(
    secured: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, lines: LogLines
) -> None:
    """The tunnel is not used, and no request was sent. In aiohttp they break the handshake or are dropped."""

    def reply(_: Arrived) -> list[Part]:
        return [CONNECTED + about("A") if len(proxy.arrived) == 1 else CONNECTED]

    with (
        scripted(lambda request: [about(request.job)], secured) as server,
        scripted(reply) as proxy,
        VideoTranslationClient(server.url, service=UNNAMED, sleep=lambda _: None) as client,
    ):
        proxy.relay_to = server.port
        monkeypatch.setenv("https_proxy", proxy.url)
        assert client.check("B").payload == {"result": "pending", "about": "B"}
        assert len(proxy.arrived) == 2
    assert [line["fault"] for line in lines.of("check_failed")] == ["connection"]


def test_connections_share_the_tls_context_of_a_ca_bundle(secured: ssl.SSLContext, lines: LogLines) -> None:
    """The bundle is read again if the file changes."""
    with scripted(lambda request: [about(request.job)], secured) as server:
        bundle = Path(os.environ["REQUESTS_CA_BUNDLE"])
        before = connections._shared_tls_context.cache_info()
        with VideoTranslationClient(server.url, service=UNNAMED, max_faults=1) as client:
            for job in "ABC":
                assert client.check(job).payload["about"] == job
            after = connections._shared_tls_context.cache_info()
            assert (after.misses - before.misses, after.hits - before.hits, server.connections) == (1, 2, 3)
            trustme.CA().cert_pem.write_to_path(str(bundle))
            with pytest.raises(RequestFailed, match="CERTIFICATE_VERIFY_FAILED"):
                client.check("D")
            bundle.write_text("no certificate")
            with pytest.raises(RequestFailed, match="no certificate"):
                client.check("E")


def test_tls_contexts_of_another_library_are_not_shared(
    secured: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, lines: LogLines
) -> None:
    """Also if it takes over after the first request. That of truststore has a lock for the length of a handshake."""
    made = []

    class Own(ssl.SSLContext):
        """A context of another library."""

        def __init__(self, *_: Any) -> None:
            made.append(self)

    with (
        scripted(lambda request: [about(request.job)], secured) as server,
        VideoTranslationClient(server.url, service=UNNAMED, max_faults=1) as client,
    ):
        assert client.check("A").payload["about"] == "A"
        shared = connections._shared_tls_context.cache_info()
        monkeypatch.setattr(urllib3.util.ssl_, "SSLContext", Own)
        for job in "BC":
            assert client.check(job).payload["about"] == job
    assert len(made) == 2
    assert connections._shared_tls_context.cache_info() == shared


def test_the_tls_context_of_a_directory_of_certificates_is_not_shared(
    secured: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lines: LogLines
) -> None:
    """The certificates that were read from it would be trusted for ever."""
    (tmp_path / "directory").mkdir()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "directory"))
    shared = connections._shared_tls_context.cache_info()
    with (
        scripted(lambda request: [about(request.job)], secured) as server,
        VideoTranslationClient(server.url, service=UNNAMED, max_faults=1) as client,
        pytest.raises(RequestFailed, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        client.check("A")
    assert connections._shared_tls_context.cache_info() == shared


@pytest.mark.parametrize("before", ["103", "after a pause", "several", "199"])
def test_an_interim_response_through_a_callers_requests_session_is_a_fault(before: str, lines: LogLines) -> None:
    """requests takes it for the final one. Its connection is closed, so that the next request does not get the rest."""

    def respond(request: Arrived) -> list[Part]:
        return [*INTERIM[before], about(request.job)] if request.job == "A" else [about(request.job)]

    with scripted(respond) as server, requests.Session() as session:
        client = VideoTranslationClient(
            server.url, service=UNNAMED, session=session, sleep=lambda _: None, max_faults=2
        )
        for _ in range(2):
            with pytest.raises(UnexpectedAnswer, match=r"HTTP 1\d\d.* is no final response") as caught:
                client.check("A")
            assert caught.value.status_code == (199 if before == "199" else 103)
            server.settle()
            assert client.check("B").payload == {"result": "pending", "about": "B"}
    assert [request.connection for request in server.arrived] == [1, 2, 3, 3, 4, 5]


def test_an_interim_response_through_a_callers_aiohttp_session_is_skipped(lines: LogLines) -> None:
    """aiohttp skips it by itself."""

    def respond(request: Arrived) -> list[Part]:
        return [interim(), 0.02, about(request.job)]

    async def main() -> list[str]:
        async with aiohttp.ClientSession() as session:
            client = AsyncVideoTranslationClient(server.url, service=UNNAMED, session=session)
            return [(await client.check(job)).payload["about"] for job in "AB"]

    with scripted(respond) as server:
        assert asyncio.run(main()) == ["A", "B"]


def test_any_class_of_connections_can_match_responses_to_requests() -> None:
    """Such as that for SOCKS proxies, which has a module of its own."""

    class Own(urllib3.connection.HTTPConnection):
        """A connection of another library."""

    kind = matched(Own)
    assert issubclass(kind, Own)
    assert matched(kind) is kind
    with scripted(lambda request: [interim(), about(request.job) * 2]) as server:
        pool = urllib3.HTTPConnectionPool("127.0.0.1", server.port)
        pool.ConnectionCls = kind
        bodies = [pool.request("GET", f"/status/{job}", timeout=LASTS_LONG).data for job in "AB"]
        pool.close()
    assert [body[-4:] for body in bodies] == [b'"A"}', b'"B"}']
    assert [request.connection for request in server.arrived] == [1, 2]


ROUTES = ("status", "create", "result", "delete", "languages", "upload", "bulk")


@both_clients
@pytest.mark.parametrize("fault", ["early-hints@0.01", "processing@0.01", "doubled"])
def test_every_method_of_the_client_gets_its_own_response(
    kind: type[Any], fault: str, tmp_path: Path, lines: LogLines
) -> None:
    """Two jobs, from upload to deletion, where interim responses or a copy come with each response."""
    faults = [f"{route}/every-1:{fault}" for route in ROUTES]
    video = tmp_path / "video.mp4"
    video.write_bytes(b"\0" * 5000)

    async def use_it(client: Any) -> None:
        assert "Spanish (Spain)" in await call(client, "languages")
        jobs = [await call(client, "submit", one, "Spanish (Spain)") for one in (video, "https://x.test/y.mp4")]
        ids = [job.id for job in jobs]
        assert len(set(ids)) == 2
        assert [job.id for job in await call(client, "check_all", ids)] == ids
        assert [(await call(client, "check", one)).payload["data"]["id"] for one in ids] == ids
        assert (await call(client, "watch", ids[0]))[-1].payload["data"]["id"] == ids[0]
        finished = await call(client, "wait_all", ids)
        assert [(job.id, str(job.status)) for job in finished] == [(one, "completed") for one in ids]
        for one in ids:
            assert (await call(client, "wait", one)).id == one
            path = await call(client, "download", one, tmp_path / one)
            assert path.read_bytes() == bytes(result_body(one, 70_000))
            await call(client, "delete", one)
        assert [submission.job_id for submission in server.submissions] == ids

    with Server(Scenario(duration=0.1, faults=faults, result_bytes=70_000), service="heygen") as server:
        use(kind, server.url, use_it, service="heygen", api_key="k-1234567", sleep=None, backoff_factor=0.05)
    assert not lines.of("check_failed")


@both_clients
def test_a_submission_is_sent_on_a_new_connection(kind: type[Any], lines: LogLines) -> None:
    """A response that is left over would name another job."""

    def respond(request: Arrived) -> list[Part]:
        if request.method == "POST":
            return [response({"id": f"job-{request.connection}"}, "201 Created")]
        return [about(request.job), NEXT_REQUEST, response({"id": "of-somebody-else"}, "201 Created")]

    async def use_it(client: Any) -> list[str]:
        await call(client, "check", "A")
        return [(await call(client, "submit", "https://x.test/y.mp4", "de")).id for _ in range(2)]

    with scripted(respond) as server:
        assert use(kind, server.url, use_it, service=NAMED) == ["job-2", "job-3"]


def once_more(respond: Callable[[Arrived], bytes]) -> Respond:
    """Send each response once more with the next request on its connection."""

    def parts(request: Arrived) -> list[Part]:
        once = respond(request)
        return [once, NEXT_REQUEST, once]

    return parts


@both_clients
@pytest.mark.parametrize("what", ["video", "upload", "form"])
def test_three_submissions_make_three_jobs(kind: type[Any], what: str, tmp_path: Path, lines: LogLines) -> None:
    """Neither with an idempotency key nor with a file does one get the response to another."""
    made: Counter[str] = Counter()

    def respond(request: Arrived) -> bytes:
        if request.path.endswith("languages"):
            return response({"data": {"languages": ["German"]}})
        made[request.path] += 1
        if request.path.endswith("assets"):
            return response({"data": {"asset_id": f"asset-{made[request.path]}"}})
        job_id = f"job-{made[request.path]}"
        return response({"data": {"video_translation_ids": [job_id]}, "dubbing_id": job_id})

    video = tmp_path / "video.mp4"
    video.write_bytes(b"\0" * 5000)

    async def use_it(client: Any) -> list[str]:
        source = "https://x.test/y.mp4" if what == "video" else video
        return [(await call(client, "submit", source, "German")).id for _ in range(3)]

    with scripted(once_more(respond)) as server:
        service = "elevenlabs" if what == "form" else "heygen"
        assert use(kind, server.url, use_it, service=service, api_key="k-1234567") == ["job-1", "job-2", "job-3"]
    posted = [request.connection for request in server.arrived if request.method == "POST"]
    assert len(set(posted)) == len(posted)
    assert made["/v3/assets"] == (3 if what == "upload" else 0)


@both_clients
def test_an_error_of_the_iteration_of_a_submission_is_not_lost(kind: type[Any], lines: LogLines) -> None:
    """Azure accepts the first submission, and refuses the iteration of the second one."""

    def respond(request: Arrived) -> bytes:
        name = request.job.partition("?")[0]
        if "/iterations/" in request.path and name == "order-2":
            return response({"error": {"code": "QuotaExceeded", "message": "no quota"}}, "400 Bad Request")
        return response({"id": name, "status": "Succeeded"}, "201 Created" if request.method == "PUT" else "200 OK")

    async def use_it(client: Any) -> None:
        assert (await call(client, "submit", "https://x.test/1.mp4", "es", idempotency_key="order-1")).id == "order-1"
        with pytest.raises(RequestFailed, match="no quota"):
            await call(client, "submit", "https://x.test/2.mp4", "es", idempotency_key="order-2")

    with scripted(once_more(respond)) as server:
        use(kind, server.url, use_it, service="azure", api_key="k-1234567")


@both_clients
def test_a_response_to_a_deletion_is_not_taken_for_that_to_another(kind: type[Any], lines: LogLines) -> None:
    """Though neither names its job: the second job cannot be deleted."""

    def respond(request: Arrived) -> bytes:
        return response(b"", "204 No Content") if request.job == "A" else response(b"{}", "409 Conflict")

    async def use_it(client: Any) -> None:
        await call(client, "delete", "A")
        with pytest.raises(RequestFailed, match="409"):
            await call(client, "delete", "B")

    with scripted(once_more(respond)) as server:
        use(kind, server.url, use_it)


@both_clients
@pytest.mark.parametrize("is_redirected", [False, True])
def test_a_download_does_not_take_the_file_of_another_job(
    kind: type[Any], is_redirected: bool, tmp_path: Path, lines: LogLines
) -> None:
    """Files of the same length, from the same host."""

    def respond(request: Arrived) -> bytes:
        if is_redirected and request.path.startswith("/file/"):
            return response(b"", "302 Found", f"Location: /stored/{request.job}")
        return response(request.job.encode() * 1000, "200 OK", "Content-Type: video/mp4")

    async def use_it(client: Any) -> None:
        for name in ("1", "2", "3"):
            job = Job(name, TranslationStatus.COMPLETED, "completed", result_url=f"{server.url}/file/{name}")
            path = await call(client, "download", job, tmp_path / name)
            assert path.read_bytes() == name.encode() * 1000

    with scripted(once_more(respond)) as server:
        use(kind, server.url, use_it)


@both_clients
def test_a_late_response_after_a_redirect_is_not_taken_for_the_file(
    kind: type[Any], tmp_path: Path, lines: LogLines
) -> None:
    """Each request on the way to the file has a connection of its own."""

    def respond(request: Arrived) -> list[Part]:
        if request.path == "/stored":
            return [response(b"mine" * 1000, "200 OK", "Content-Type: video/mp4")]
        redirect = response(b"", "302 Found", "Location: /stored")
        return [redirect, NEXT_REQUEST, response(b"else" * 1000, "200 OK", "Content-Type: video/mp4")]

    async def use_it(client: Any) -> bytes:
        job = Job("A", TranslationStatus.COMPLETED, "completed", result_url=f"{server.url}/file")
        path: Path = await call(client, "download", job, tmp_path / "file")
        return path.read_bytes()

    with scripted(respond) as server:
        assert use(kind, server.url, use_it) == b"mine" * 1000


@both_clients
@pytest.mark.parametrize("is_submission", [False, True])
def test_a_late_status_response_is_not_taken_for_the_list_of_languages(
    kind: type[Any], is_submission: bool, lines: LogLines
) -> None:
    """The list names no job, so that the response could not be told apart from it by its id."""

    def respond(request: Arrived) -> list[Part]:
        if request.method == "POST":
            return [response({"data": {"video_translation_ids": ["B"]}})]
        if "languages" in request.path:
            return [response({"data": {"languages": ["Spanish (Spain)"]}})]
        once = response({"data": {"id": "A", "status": "running"}})
        return [once, NEXT_REQUEST, once]

    async def use_it(client: Any) -> Any:
        await call(client, "check", "A")
        if is_submission:
            return (await call(client, "submit", "https://videos.test/a.mp4", "Spanish (Spain)")).id
        return await call(client, "languages")

    with scripted(respond) as server:
        found = use(kind, server.url, use_it, service="heygen", api_key="k-0123456789")
        assert found == ("B" if is_submission else ["Spanish (Spain)"])


SHUFFLED = ("plain", "plain", "interim", "doubled", "repeated", "chunked", "bytewise", "half", "closed")


def shuffled(request: Arrived, chance: random.Random, once: bytes, kinds: tuple[str, ...]) -> list[Part]:
    """Send a response in one of many ways."""
    how = chance.choice(kinds)
    early: list[Part] = [interim(chance.choice([100, 102, 103]))] * chance.randrange(3)
    if how == "interim":
        return [*early, chance.choice([0.0, 0.002]), once]
    if how == "doubled":
        return [*early, once + once]
    if how == "repeated":
        return [*early, once, chance.choice([0.0, 0.001, 0.003]), once]
    if how == "chunked":
        return [chunked(once) * chance.randint(1, 2)]
    if how == "bytewise":
        return bytewise(once + once[: chance.randrange(30)])
    if how == "half":
        return [once + once[: chance.randrange(1, len(once))]]
    if how == "late":
        return [once, NEXT_REQUEST, once]
    if how == "closed":
        return [once.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")]
    return [once]


def shuffling(seed: int, kinds: tuple[str, ...], checks: int = 1) -> Respond:
    """Respond about a job: pending for some checks, and then completed."""
    chance = random.Random(seed)
    lock = threading.Lock()
    counts: Counter[str] = Counter()

    def respond(request: Arrived) -> list[Part]:
        with lock:
            counts[request.job] += 1
            word = "completed" if counts[request.job] >= checks else "pending"
            once = response({"result": word, "about": request.job, "pad": "x" * chance.choice([0, 50, 9000])})
            return shuffled(request, chance, once, kinds)

    return respond


@both_clients
@pytest.mark.parametrize("seed", range(3))
def test_leftovers_in_random_order_mix_no_jobs_up(kind: type[Any], seed: int, lines: LogLines) -> None:
    """They come before the next request for the same URL, and no request fails."""
    jobs = "".join(random.Random(seed).choices("ABCDE", k=150))

    with scripted(in_turn(jobs, shuffling(seed, SHUFFLED))) as server:
        assert [job for _, job in checked(kind, server, len(jobs))] == list(jobs)
    assert not lines.of("check_failed")


@both_clients
@both_services
@pytest.mark.parametrize("again", [[NEXT_REQUEST], [NEXT_REQUEST, 0.05]])
def test_a_copy_that_comes_after_the_next_request_is_not_taken_for_its_response(
    kind: type[Any], service: Service, again: list[Part], lines: LogLines
) -> None:
    """A connection is used again for the same URL alone."""

    def respond(request: Arrived) -> list[Part]:
        return [about(request.job), *again, about(request.job)]

    async def check(client: Any) -> list[str]:
        return [(await call(client, "check", job)).payload["about"] for job in "AABABBCA"]

    with scripted(respond) as server:
        assert use(kind, server.url, check, service=service) == list("AABABBCA")
    assert not lines.of("check_failed")


@both_clients
@both_services
@pytest.mark.parametrize("status", ["401 Unauthorized", "404 Not Found", "410 Gone", "429 Too Many Requests"])
def test_a_copy_of_an_error_after_the_next_request_does_not_end_another_job(
    kind: type[Any], service: Service, status: str, lines: LogLines
) -> None:
    """The error names no job, whatever the service."""
    refused = response(b"{}", status, "Retry-After: 86400")

    def respond(request: Arrived) -> list[Part]:
        return [refused, NEXT_REQUEST, refused] if request.job == "A" else [about(request.job)]

    async def use_it(client: Any) -> str:
        with pytest.raises(TranslationClientError, match=status[:3]):
            await call(client, "check", "A")
        return str((await call(client, "check", "B")).payload["about"])

    with scripted(respond) as server:
        assert use(kind, server.url, use_it, service=service, max_faults=1) == "B"
        assert [request.job for request in server.arrived] == ["A", "B"]


@both_clients
@both_services
def test_a_connection_is_used_again_for_the_same_url_alone(kind: type[Any], service: Service, lines: LogLines) -> None:
    """One for another URL replaces it: a client that makes one request at a time has one connection."""

    async def check(client: Any) -> None:
        for job in "AAABBBABC":
            await call(client, "check", job)
            server.wait_until_open(1)

    with scripted(lambda request: [about(request.job)]) as server:
        use(kind, server.url, check, service=service)
        assert [request.connection for request in server.arrived] == [1, 1, 1, 2, 2, 2, 3, 4, 5]


@both_clients
def test_a_redirect_is_followed_on_the_connection_of_its_request(kind: type[Any], lines: LogLines) -> None:
    """On the same host it is about the same job, wherever it leads."""

    def respond(request: Arrived) -> list[Part]:
        if request.path.startswith("/status/"):
            return [response(b"", "307 Temporary Redirect", f"Location: /moved/{request.job}")]
        return [about(request.job)]

    async def check(client: Any) -> list[str]:
        return [(await call(client, "check", job)).payload["about"] for job in "AABB"]

    with scripted(respond) as server:
        assert use(kind, server.url, check) == list("AABB")
        assert [request.connection for request in server.arrived] == [1, 1, 1, 1, 2, 2, 2, 2]


async def check_at_once(client: Any, jobs: str) -> None:
    """Check jobs in parallel, in threads or tasks."""
    is_blocking = isinstance(client, VideoTranslationClient)
    await asyncio.gather(*(asyncio.to_thread(client.check, job) if is_blocking else client.check(job) for job in jobs))


def meeting(first: int) -> Respond:
    """Respond about a job; the first requests wait until so many of them have arrived."""
    everybody = threading.Barrier(first)
    left = iter(range(first))

    def respond(request: Arrived) -> list[Part]:
        if next(left, None) is not None:
            everybody.wait(LASTS_LONG)
        return [about(request.job)]

    return respond


@both_clients
@pytest.mark.parametrize("is_secured", [False, True], ids=["plain", "tls"])
def test_the_connection_that_has_been_idle_longest_is_replaced(
    kind: type[Any], is_secured: bool, secured: ssl.SSLContext, lines: LogLines
) -> None:
    """There are as many as were needed at once. None is replaced if one can be used again."""

    async def use_it(client: Any) -> None:
        await check_at_once(client, "ABC")
        for job in "CBACBADBADCA":
            await call(client, "check", job)
        server.wait_until_open(3)

    with scripted(meeting(3), secured if is_secured else None) as server:
        use(kind, server.url, use_it)
        server.wait_until_open(0)
        again = server.arrived[3:]
        assert "".join(request.job for request in again) == "CBACBADBADCA"
        # The connection for D replaces that for C, which was used before those for B and A; later C replaces B.
        assert [request.job for request in again if request.connection > 3] == ["D", "D", "C"]
        assert [request.connection for request in again if request.connection > 3] == [4, 4, 5]


@both_clients
def test_a_redirect_to_another_host_keeps_both_connections(kind: type[Any], lines: LogLines) -> None:
    """From check to check."""

    async def check(client: Any) -> list[str]:
        return [(await call(client, "check", "A")).payload["about"] for _ in range(3)]

    with scripted(lambda request: [about(request.job)]) as other:
        moved = response(b"", "307 Temporary Redirect", f"Location: {other.url}/status/A")
        with scripted(lambda _: [moved]) as server:
            assert use(kind, server.url, check) == ["A"] * 3
            assert [request.connection for request in (*server.arrived, *other.arrived)] == [1] * 6


@both_services
@pytest.mark.parametrize("seed", range(3))
def test_late_responses_in_random_order_mix_no_jobs_up_in_tasks(service: Service, seed: int, lines: LogLines) -> None:
    """Five tasks share one client."""

    async def use_it(client: Any) -> None:
        async def check_some(chance: random.Random) -> None:
            for job in chance.choices("ABCDE", k=40):
                assert (await client.check(job)).payload["about"] == job

        await asyncio.gather(*(check_some(random.Random(f"{seed}/{number}")) for number in range(5)))

    with scripted(shuffling(seed, (*SHUFFLED, "late", "late"))) as server:
        use(AsyncVideoTranslationClient, server.url, use_it, service=service, max_faults=100)


@both_services
@pytest.mark.parametrize("seed", range(3))
def test_late_responses_in_random_order_mix_no_jobs_up_in_threads(service: Service, seed: int, lines: LogLines) -> None:
    """Five threads share one client."""
    wrong: list[object] = []

    def check_some(client: VideoTranslationClient, chance: random.Random) -> None:
        try:
            for job in chance.choices("ABCDE", k=40):
                found = client.check(job).payload["about"]
                wrong.extend([(job, found)] if job != found else [])
        except BaseException as error:  # noqa: BLE001  # told in the test's own thread
            wrong.append(error)

    with (
        scripted(shuffling(seed, (*SHUFFLED, "late", "late"))) as server,
        # Half a response that comes just after the next request can swallow the Content-Length of its response.
        VideoTranslationClient(
            server.url, service=service, max_faults=100, request_timeout=1, sleep=lambda _: None
        ) as client,
    ):
        threads = [
            threading.Thread(target=check_some, args=(client, random.Random(f"{seed}/{number}"))) for number in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


@both_clients
@both_services
def test_jobs_of_a_batch_get_their_own_responses(kind: type[Any], service: Service, lines: LogLines) -> None:
    """The server reports a job as completed at its fourth request, amid leftovers of any kind."""
    jobs = [f"job-{number}" for number in range(40)]

    async def use_it(client: Any) -> list[Any]:
        found: list[Any] = await call(client, "wait_all", jobs, max_in_flight=6)
        return found

    with scripted(shuffling(5, (*SHUFFLED, "late"), checks=4)) as server:
        found = use(
            kind, server.url, use_it, service=service, max_faults=100, sleep=None, backoff_factor=0.01, max_delay=0.02
        )
    assert [(job.id, job.payload["about"]) for job in found] == [(job, job) for job in jobs]


@both_clients
def test_jobs_of_a_batch_get_their_own_responses_that_have_no_id_field(kind: type[Any], lines: LogLines) -> None:
    """All leftovers come with the response."""
    jobs = [f"job-{number}" for number in range(40)]

    async def use_it(client: Any) -> list[Any]:
        found: list[Any] = await call(client, "wait_all", jobs, max_in_flight=6)
        return found

    with scripted(shuffling(6, ("plain", "interim", "doubled", "chunked", "half"), checks=4)) as server:
        found = use(kind, server.url, use_it, sleep=None, backoff_factor=0.01, max_delay=0.02)
    assert [(job.id, job.payload["about"]) for job in found] == [(job, job) for job in jobs]
    assert not lines.of("check_failed")


@both_clients
def test_a_connection_with_a_response_about_another_job_is_not_used_again(kind: type[Any], lines: LogLines) -> None:
    """A late response makes one fault, and not one for each request after it."""

    def respond(request: Arrived) -> list[Part]:
        once = about(request.job)
        if len(server.arrived) == 1:
            return [once, NEXT_REQUEST, about("B")]
        return [NEXT_REQUEST, once] if request.connection == 1 else [once]

    async def use_it(client: Any) -> list[str]:
        return [(await call(client, "check", "A")).payload["about"] for _ in range(4)]

    with scripted(respond) as server:
        assert use(kind, server.url, use_it, service=NAMED) == ["A"] * 4
    assert [request.connection for request in server.arrived] == [1, 1, 2, 2, 2]
    assert [line["error"] for line in lines.of("check_failed")] == ["the response is about job 'B', not 'A'"]


@both_clients
def test_responses_about_another_job_end_a_wait_with_both_ids_in_the_error(kind: type[Any], lines: LogLines) -> None:
    """After `max_faults` attempts."""

    async def use_it(client: Any) -> TranslationClientError:
        with pytest.raises(UnexpectedAnswer, match=r"is about job 'A', not 'B'") as caught:
            await call(client, "wait", "B")
        return caught.value

    with scripted(lambda _: [about("A")]) as server:
        error = use(kind, server.url, use_it, service=NAMED, max_faults=3)
    assert (error.job_id, error.attempts, error.job) == ("B", 3, None)
