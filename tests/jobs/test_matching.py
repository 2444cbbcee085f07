"""Matching of responses to jobs: the id in a response, and the bytes that a connection may still hold."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import requests
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_parser import HttpResponseParserPy
from support.adapters import BASE_URL, FunctionAdapter, response
from support.both_clients import over_the_adapter
from support.fixtures import Clock, LogLines
from urllib3.util.ssltransport import SSLTransport

from translation_client import (
    AsyncVideoTranslationClient,
    Job,
    TranslationClientError,
    UnexpectedAnswer,
    VideoTranslationClient,
)
from translation_client._models import Response, WrongJob
from translation_client._transports.async_connections import _has_unread
from translation_client._transports.matched_response import has_decrypted
from translation_client.services import SERVICES
from translation_client.services.service import Service

KEY = "k-1234567890-abc"

NAMING = Service(
    name="naming",
    single_job_path="/status",
    status_path="/status/{job_id}",
    delete_path="/jobs/{job_id}",
    id_field=("job.id", "id"),
    result_path="/jobs/{job_id}/result",
)

Respond = Callable[[requests.PreparedRequest], requests.Response]


class Both:
    """A client of one kind, whose requests go to a function. Its methods are called without `await`."""

    def __init__(self, kind: type[Any], respond: Respond, clock: Clock, **more: Any) -> None:
        self.adapter = FunctionAdapter(respond)
        session = requests.Session()
        session.mount("http://", self.adapter)
        usual = {"service": NAMING, "api_key": KEY, "sleep": clock.tick, "max_faults": 3, **more}
        if kind is VideoTranslationClient:
            self.client = VideoTranslationClient(BASE_URL, session=session, **usual)
        else:
            self.client = AsyncVideoTranslationClient(BASE_URL, **usual)  # type: ignore[assignment]  # of the same methods
            over_the_adapter(self.client, session)  # type: ignore[arg-type]  # as above

    def call(self, name: str, *arguments: Any, **more: Any) -> Any:
        """Call a method, and return its complete result."""
        if isinstance(self.client, VideoTranslationClient):
            result = getattr(self.client, name)(*arguments, **more)
            return list(result) if name == "watch" else result
        return asyncio.run(self._awaited(name, *arguments, **more))

    async def _awaited(self, name: str, *arguments: Any, **more: Any) -> Any:
        result = getattr(self.client, name)(*arguments, **more)
        return [one async for one in result] if name == "watch" else await result


both_clients = pytest.mark.parametrize(
    "kind", [VideoTranslationClient, AsyncVideoTranslationClient], ids=["blocking", "asyncio"]
)


def saying(*bodies: object) -> Respond:
    """A function that responds with these bodies, one after the other, and repeats the last one."""
    left = list(bodies)
    return lambda _: response(body=json.dumps(left.pop(0) if len(left) > 1 else left[0]).encode())


def done(**more: Any) -> dict[str, Any]:
    return {"status": "completed", **more}


@both_clients
@pytest.mark.parametrize("method", ["check", "wait", "watch", "check_all"])
def test_a_response_about_another_job_is_a_fault(kind: type[Any], method: str, clock: Clock, lines: LogLines) -> None:
    """The check is retried until a response is about the requested job."""
    both = Both(kind, saying(done(id="job-2"), done(id="job-2"), done(id="job-1", mine=True)), clock)
    found = both.call(method, ["job-1"] if method == "check_all" else "job-1")

    job = found if isinstance(found, Job) else found[-1]
    assert (job.id, job.payload) == ("job-1", done(id="job-1", mine=True))
    failed = [(line["fault"], line["error"]) for line in lines.of("check_failed")]
    assert failed == [("unreadable", "the response is about job 'job-2', not 'job-1'")] * 2


@both_clients
@pytest.mark.parametrize("method", ["check", "wait", "watch", "delete", "download"])
def test_the_error_after_responses_about_another_job_names_both_jobs(
    kind: type[Any], method: str, clock: Clock, lines: LogLines, tmp_path: Any
) -> None:
    """Every attempt gets a response about the other job."""
    both = Both(kind, saying(done(job={"id": "job-2"}, id="job-1")), clock)
    with pytest.raises(UnexpectedAnswer, match=r"3 attempts in a row.* is about job 'job-2', not 'job-1'") as caught:
        both.call(method, "job-1", *([tmp_path / "x"] if method == "download" else []))

    assert (caught.value.job_id, caught.value.attempts, caught.value.job) == ("job-1", 3, None)
    assert "mix up" in str(caught.value)
    assert not list(tmp_path.iterdir())


@both_clients
@pytest.mark.parametrize(
    ("requested_id", "named_id"),
    [
        ("job-1", "job-1"),
        ("job-1", "JOB-1"),
        ("Straße", "STRAßE"),
        ("a b/c", "A%20b%2fc"),
        ("100%", "100%"),
        ("100%", "100%25"),
        ("caf\u00e9", "CAFE\u0301"),
        ("cafe\u0301", "caf%C3%A9"),
        ("17", 17),
        ("17", 17.0),
        ("job-1", None),
        ("job-1", ""),
        (None, "job-2"),
        (None, ["job-2"]),
    ],
)
def test_a_response_with_the_id_of_its_job_or_no_id_is_accepted(
    kind: type[Any], requested_id: str | None, named_id: object, clock: Clock, lines: LogLines
) -> None:
    """Case, percent-encoding and Unicode normalization make no other id, and numbers are text.

    A check of the single job has no id, and accepts any.
    """
    both = Both(kind, saying(done(id=named_id)), clock)
    job = both.call("check", requested_id)

    assert (job.id, job.payload["id"]) == (requested_id or "", named_id)
    assert len(both.adapter.requests) == 1


@both_clients
@pytest.mark.parametrize(
    ("requested_id", "named_id", "shown"),
    [
        ("job-1", "17", "17"),
        ("17x", 18, "18"),
        ("17x", "017", "017"),
        ("17x", "0", "0"),
        ("job-1", "job-1 ", "job-1 "),
        ("straße", "STRASSE", "STRASSE"),
        ("a b", "a+b", "a+b"),
        ("job-1", "job%2D2", "job%2D2"),
        ("7", 8.0, "8"),
        ("7", 7.5, "7.5"),
        ("7", True, "true"),
        ("1", False, "false"),
        ("7", ["7"], '["7"]'),
        ("7", {"value": "8"}, '{"value": "8"}'),
        ("7", [], "[]"),
    ],
)
def test_a_response_with_another_id_is_an_error(
    kind: type[Any], requested_id: str, named_id: object, shown: str, clock: Clock, lines: LogLines
) -> None:
    """Also with an id that looks similar, or is neither text nor a number."""
    for method in ("check", "delete"):
        with pytest.raises(UnexpectedAnswer) as caught:
            Both(kind, saying(done(id=named_id)), clock).call(method, requested_id)
        assert f"about job {shown!r}, not {requested_id!r}" in str(caught.value)


@both_clients
@pytest.mark.parametrize("service", ["naming", "heygen"])
def test_the_id_of_a_request_is_redacted_for_api_keys_alone(
    kind: type[Any], service: str, clock: Clock, lines: LogLines
) -> None:
    """The value of another header may be a part of every id, in single and in bulk requests."""
    other = f"acme-{KEY}"
    body = done(id=other) if service == "naming" else many(other, "acme-3")
    both = Both(
        kind, saying(body), clock, service=NAMING if service == "naming" else "heygen", headers={"X-Of": "acme"}
    )
    with pytest.raises(UnexpectedAnswer):
        both.call("check_all", ["acme-1", "acme-2"])

    first = lines.of("check_failed")[0]["error"]
    assert first == "the response is about job '[redacted]-[redacted]', not 'acme-1'"
    lines.clear()


def test_a_secret_in_the_id_of_a_response_is_redacted(clock: Clock, lines: LogLines) -> None:
    """That id is text of the server, of any length, and is escaped and shortened. Ids themselves are no secrets."""
    both = Both(VideoTranslationClient, saying(done(id=f"a{KEY}b\x1b[2J" + "c" * 10_000)), clock)
    with pytest.raises(UnexpectedAnswer) as caught:
        both.call("check", "job-1")

    for text in (
        str(caught.value),
        repr(caught.value.__cause__),
        *(line["error"] for line in lines.of("check_failed")),
    ):
        assert KEY not in text
        assert "\x1b" not in text
        assert "about job 'a[redacted]b\\x1b[2Jccc" in text.replace("\\\\", "\\")
        assert len(text) < 1000


@both_clients
def test_a_response_to_a_deletion_with_the_id_of_its_job_or_no_id_is_accepted(
    kind: type[Any], clock: Clock, lines: LogLines
) -> None:
    """The body may be missing, or no JSON."""
    for respond in (
        saying({"id": "JOB-1"}),
        saying([]),
        lambda _: response(204, b""),
        lambda _: response(200, b"gone"),
    ):
        assert Both(kind, respond, clock).call("delete", "job-1") is None


@both_clients
def test_a_deletion_is_retried_after_a_response_about_another_job(
    kind: type[Any], clock: Clock, lines: LogLines
) -> None:
    """The 404 of the retry is no error, as the first request may have deleted the job."""
    replies = iter([response(body=b'{"id": "job-2"}'), response(404, b"{}")])
    both = Both(kind, lambda _: next(replies), clock)

    assert both.call("delete", "job-1") is None
    assert [request.method for request in both.adapter.requests] == ["DELETE", "DELETE"]


@pytest.mark.parametrize(
    ("service", "payload"),
    [
        ("heygen", {"data": {"id": "{}", "status": "completed", "video_url": "https://x/y"}}),
        ("heygen", {"data": {"video_translate_id": "{}", "status": "success", "url": "https://x/y"}}),
        ("heygen", {"data": {"id": "", "video_translate_id": "{}", "status": "success", "url": "https://x/y"}}),
        ("elevenlabs", {"dubbing_id": "{}", "status": "dubbed"}),
        ("azure", {"id": "{}", "status": "Succeeded", "result": {"translatedVideoFileUrl": "https://x/y"}}),
    ],
)
def test_responses_of_services_with_a_job_id_are_matched_to_the_job(service: str, payload: dict[str, Any]) -> None:
    """The fields are those of the published references of the services."""

    def response_about(job_id: str) -> Response:
        return Response(200, {}, json.dumps(payload).replace("{}", job_id).encode())

    assert str(SERVICES[service].read_status(response_about("JOB-1"), "job-1").status) == "completed"
    with pytest.raises(WrongJob):
        SERVICES[service].read_status(response_about("job-2"), "job-1")


def test_responses_of_the_reference_service_have_no_job_id() -> None:
    """An `id` in its response is not compared."""
    body = {"id": "job-2", "result": "pending"}
    assert SERVICES["reference"].id_field is None
    assert SERVICES["reference"].read_status(Response(200, {}, json.dumps(body).encode()), "job-1").id == "job-1"


@both_clients
@pytest.mark.parametrize("status", ["Failed", "Succeeded"])
def test_a_response_about_the_operation_of_another_submission_is_an_error(
    kind: type[Any], status: str, clock: Clock, lines: LogLines
) -> None:
    """The failure of that operation does not prove that this submission created no job."""
    both = Both(kind, lambda request: operations(request, status), clock, service="azure")
    with pytest.raises(UnexpectedAnswer, match=r"about operation 'theirs', not 'mine\.translation'") as caught:
        both.call("submit", "https://videos.example.com/talk.mp4", "es", idempotency_key="mine")

    assert caught.value.may_have_been_accepted is True


AZURE_RESPONSES = {
    "translation": ("other", None, "job 'other', not 'mine'"),
    "translation of a number": (9999, None, "job '9999', not 'mine'"),
    "operation": ("mine", f"{BASE_URL}/operations/other.translation?v=1", "operation 'other.translation', not {ours}"),
    "operation elsewhere": (
        None,
        "https://azure.test/v/operations/other.translation",
        "operation 'other.translation', not {ours}",
    ),
    "operation of no URL": (
        "MINE",
        "https://[/operations/other%00.iteration",
        "operation 'other\\x00.iteration', not",
    ),
}


@both_clients
@pytest.mark.parametrize("step", ["translations", "iterations"])
@pytest.mark.parametrize("what", AZURE_RESPONSES)
def test_a_response_about_the_submission_of_another_job_is_retried(
    kind: type[Any], step: str, what: str, clock: Clock, lines: LogLines
) -> None:
    """The job may have been accepted. The PUT requests are idempotent, and the key resumes the submission."""
    named, located, shown = AZURE_RESPONSES[what]

    def respond(request: Any) -> requests.Response:
        of = request.url.rpartition("/")[0].rpartition("/")[2]
        if request.method == "GET" or of != step:
            return response(201, b'{"id": "mine.translation", "status": "Succeeded"}' if of == "operations" else b"{}")
        head = {} if located is None else {"operation_location": located}
        return response(201, json.dumps({"id": named, "status": "NotStarted"}).encode(), **head)

    both = Both(kind, respond, clock, service="azure")
    with pytest.raises(UnexpectedAnswer) as caught:
        both.call("submit", "https://videos.example.com/talk.mp4", "es", idempotency_key="mine")

    expected = shown.format(ours="'mine.iteration'" if step == "iterations" else "'mine.translation'")
    assert f"3 attempts in a row; the last: the response is about {expected}" in str(caught.value)
    assert "idempotency_key='mine'" in str(caught.value)
    assert (caught.value.may_have_been_accepted, caught.value.idempotency_key) == (True, "mine")
    assert len(both.adapter.requests) == (3 if step == "translations" else 5)


@both_clients
def test_a_submission_continues_after_a_response_about_another_job(
    kind: type[Any], clock: Clock, lines: LogLines
) -> None:
    """The same PUT is sent again."""
    named_ids = iter(["other", "mine", "mine.translation", "other", "mine"])
    both = Both(
        kind,
        lambda _: response(body=json.dumps({"id": next(named_ids), "status": "Succeeded"}).encode()),
        clock,
        service="azure",
    )
    assert both.call("submit", "https://videos.example.com/talk.mp4", "es", idempotency_key="mine").id == "mine"
    assert [request.method for request in both.adapter.requests] == ["PUT", "PUT", "GET", "PUT", "PUT"]


def operations(request: Any, status: str) -> requests.Response:
    """Respond as Azure, but about another operation than the requested one."""
    if request.method == "PUT":
        return response(201, b'{"id": "mine"}')
    return response(body=json.dumps({"id": "theirs", "status": status}).encode())


def many(*jobs: str) -> dict[str, Any]:
    return {"data": [{"video_id": job, "status": "running", "who": job} for job in jobs]}


@both_clients
def test_a_bulk_response_about_other_jobs_alone_is_a_fault(kind: type[Any], clock: Clock, lines: LogLines) -> None:
    """Other jobs beside the requested ones are left out."""
    both = Both(kind, saying(many("x", "y"), many("b", "x", "A")), clock, service="heygen")
    jobs = both.call("check_all", ["a", "b"])

    assert [(job.id, job.payload["who"]) for job in jobs] == [("a", "A"), ("b", "b")]
    assert [line["error"] for line in lines.of("check_failed")] == ["the response is about job 'x', not 'a'"]


def test_ids_in_a_bulk_response_are_compared_case_sensitively_first() -> None:
    """If a service has ids that differ only in case, no job gets the status of the other one."""
    bulk = SERVICES["heygen"].bulk
    assert bulk is not None
    received = Response(200, {}, json.dumps(many("A", "a", "B", "z")).encode())

    found = bulk.read(received, ["a", "A", "b", "c"])
    assert {job_id: (job.id, job.payload["who"]) for job_id, job in found.items() if job.payload} == {
        "a": ("a", "a"),
        "A": ("A", "A"),
        "b": ("b", "B"),
    }
    assert set(bulk.read(Response(200, {}, json.dumps(many("a")).encode()), ["a", "A"])) == {"a"}


def test_ids_in_a_bulk_response_are_compared_as_the_id_in_a_single_one() -> None:
    """Percent-decoded, in normal form and as text, but never an id of another type."""
    bulk = SERVICES["heygen"].bulk
    assert bulk is not None
    requested_ids = ["a b", "caf\u00e9", "7", "straße", "9"]
    named_ids = ["A%20b", "CAFE\u0301", 7.0, "STRASSE", ["9"]]
    entries = [{"video_id": one, "status": "completed"} for one in named_ids]
    received = Response(200, {}, json.dumps({"data": entries}).encode())

    assert {name: job.id for name, job in bulk.read(received, requested_ids).items()} == {
        one: one for one in requested_ids[:3]
    }
    with pytest.raises(WrongJob) as caught:
        bulk.require_no_others(received, requested_ids)
    assert caught.value.named_id == "STRASSE"


class Wire(asyncio.Transport):
    """A transport that knows only the number of its socket, as that of uvloop does."""

    def __init__(self, **known: Any) -> None:
        super().__init__()
        self.known = known

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.known.get(name, default)

    def is_closing(self) -> bool:
        return False


class Numbered:
    """A socket of which only the number and the family are known."""

    def __init__(self, of: socket.socket) -> None:
        self.fileno, self.family = of.fileno, of.family


class Pending:
    def __init__(self, size: int) -> None:
        self._size = size

    def pending(self) -> int:
        return self._size


WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


async def after(data: bytes, parser: type[Any] | None = None, **known: Any) -> bool:
    """Return True if unread bytes are found on a connection that has received these bytes."""
    loop = asyncio.get_running_loop()
    protocol = ResponseHandler(loop)
    protocol.connection_made(Wire(**known))
    protocol.set_response_params()
    if parser is not None:
        protocol._parser = parser(protocol, loop, 2**16, response_with_body=True)
    protocol.data_received(data)
    _, body = await protocol.read()
    await body.read()
    return _has_unread(protocol)


@pytest.mark.parametrize("parser", [None, HttpResponseParserPy], ids=["C", "Python"])
@pytest.mark.parametrize(
    "rest", [b"", b"H", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 Early Hints\r\nX: ", WHOLE[:-1], WHOLE]
)
def test_bytes_after_a_response_in_the_parser_of_aiohttp_are_found(parser: type[Any] | None, rest: bytes) -> None:
    """In the parser in C and in the one in Python."""
    assert asyncio.run(after(WHOLE + rest, parser)) is bool(rest)


def test_unread_bytes_in_a_socket_or_a_tls_layer_are_found() -> None:
    """The transport, as that of uvloop, knows only the file descriptor of the socket."""
    one, other = socket.socketpair()
    with one, other:
        assert asyncio.run(after(WHOLE, socket=Numbered(one), ssl_object=Pending(0))) is False
        assert asyncio.run(after(WHOLE, socket=Numbered(one), ssl_object=Pending(1))) is True
        other.send(b"x")
        assert asyncio.run(after(WHOLE, socket=Numbered(one))) is True


@pytest.mark.parametrize(("incoming", "decrypted"), [(b"", 0), (b"x", 0), (b"", 1)])
def test_unread_bytes_in_tls_within_tls_are_found(incoming: bytes, decrypted: int) -> None:
    """Decrypted or not."""
    layer: Any = SSLTransport.__new__(SSLTransport)
    layer.incoming = ssl.MemoryBIO()
    layer.incoming.write(incoming)
    layer.sslobj = Pending(decrypted)
    layer.socket = None
    assert has_decrypted(layer) is bool(incoming or decrypted)


def test_the_error_about_another_job_has_an_excerpt_of_the_response(clock: Clock, lines: LogLines) -> None:
    """It is a `TranslationClientError`."""
    with pytest.raises(TranslationClientError) as caught:
        Both(VideoTranslationClient, saying(done(id="x")), clock).call("check", "job-1")
    assert caught.value.excerpt == '{"status": "completed", "id": "x"}'  # type: ignore[attr-defined]  # of UnexpectedAnswer
