"""Data is what the service sent, whatever the API key and the headers are; text is redacted when it is built."""

from __future__ import annotations

import asyncio
import io
import json
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from support.adapters import FunctionAdapter, response
from support.both_clients import CLIENTS, side_of
from support.fixtures import Clock, LogLines
from support.hostile_server import answering, http, serving
from support.in_process_service import HOST, LANGUAGE, PATH, SERVICES, VIDEO

from fake_server import Scenario, Server
from translation_client import (
    Job,
    JobFailed,
    RequestFailed,
    RetriesExhausted,
    TranslationClientError,
    TranslationStatus,
    UnexpectedAnswer,
    VideoTranslationClient,
    WaitTimeout,
)
from translation_client._auth.redactor import MARK, Redactor
from translation_client._cli import main
from translation_client._cli.terminal import BatchTable, StatusLine
from translation_client._jobs.submit import check_listed_language
from translation_client._models import redacted_problem
from translation_client.services.heygen import HEYGEN

SHORT_KEYS = ["any", "man", "e", "G", "1", "job", "pending", "completed", "http", "/", "-"]
KEY = "k3y-0123456789"
EACH_CLIENT = pytest.mark.parametrize("kind", CLIENTS)


def client_of(respond: Callable[[requests.PreparedRequest], requests.Response], **arguments: Any) -> Any:
    """Return a client whose service is a function from a request to a response."""
    session = requests.Session()
    session.mount("http://", FunctionAdapter(respond))
    usual = {"api_key": KEY, "session": session, "sleep": lambda _: None, "max_faults": 1, "max_retries": 1}
    service = arguments.get("service", "reference")
    return VideoTranslationClient(HOST + PATH.get(service, ""), **{**usual, **arguments})


def saying(body: Any, code: int = 200, **headers: str) -> Callable[[requests.PreparedRequest], requests.Response]:
    return lambda _: response(code, json.dumps(body).encode(), **headers)


def raised(action: Callable[[], object]) -> Any:
    with pytest.raises(TranslationClientError) as caught:
        action()
    return caught.value


def texts_of(error: TranslationClientError) -> str:
    """Return what a person or a log sees of an error: message, repr, traceback, and the repr of its job."""
    return f"{error} {error!r} {''.join(traceback.format_exception(error))} {error.job!r}"


@pytest.mark.exhaustive
@EACH_CLIENT
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("key", SHORT_KEYS)
def test_a_short_key_alters_no_data_from_submission_to_deletion(
    clock: Clock, lines: LogLines, tmp_path: Path, kind: type[Any], service: str, key: str
) -> None:
    """Ids, links and languages that contain the key go back to the service as it sent them."""
    side = side_of(kind, Scenario(3, result_bytes=70_000), service, clock, api_key=key)

    async def action() -> list[Job]:
        submitted = await side.submit()
        watched = await side.call("watch", submitted)
        job = watched[-1]
        assert (await side.call("check", job)).status == "completed"
        [again] = await side.call("check_all", [job])
        for number, one in enumerate((job, again, job.id)):
            path = await side.call("download", one, tmp_path / f"{number}.mp4")
            assert path.stat().st_size == 70_000
        await side.call("delete", job)
        return [submitted, *watched, again]

    jobs = asyncio.run(action())
    assert {str(job.id) for job in jobs} == {side.lab.submissions[0].job_id.partition("/")[0]}
    assert MARK not in json.dumps([job.to_dict() for job in jobs])
    assert {arrival.path for arrival in side.lab.arrivals if "redacted" in arrival.path} == set()
    assert lines.of("job_finished")[0]["raw_status"] == jobs[-2].raw_status


@EACH_CLIENT
@pytest.mark.parametrize("key", ["any", "man", "e", "G", "("])
def test_a_language_whose_name_contains_the_key_can_be_submitted(clock: Clock, kind: type[Any], key: str) -> None:
    """`languages()` and the submission have the name exactly as the service lists it."""
    side = side_of(kind, Scenario(0), "heygen", clock, api_key=key)

    async def action() -> tuple[list[str], Job]:
        listed = await side.call("languages")
        return listed, await side.call("submit", VIDEO, "German (Germany)")

    listed, job = asyncio.run(action())
    assert "German (Germany)" in listed
    assert MARK not in str(listed)
    assert job.language == "German (Germany)"
    assert side.lab.submissions[0].fields["output_languages"] == ["German (Germany)"]


@EACH_CLIENT
def test_suggestions_for_an_unlisted_language_do_not_contain_the_key(clock: Clock, kind: type[Any]) -> None:
    """A redacted name would be of no use, so a name that contains the key is left out."""
    for key, suggested in (("any", "French (France)"), ("ench", "German (Germany)")):
        side = side_of(kind, Scenario(0), "heygen", clock, api_key=key)
        with pytest.raises(ValueError, match="target_language must be one of the 13") as caught:
            asyncio.run(side.call("submit", VIDEO, "Frman (Grance)"))
        assert f"did you mean '{suggested}'" in str(caught.value)
        assert key not in str(caught.value)
        assert MARK not in str(caught.value)


def test_the_error_for_an_unlisted_language_gives_an_example_without_the_key() -> None:
    known = ("German (Germany)", "Basque")
    for key, hint in (("any", "for instance 'Basque'. "), ("a", ""), ("zzz", "for instance 'German (Germany)'. ")):
        with pytest.raises(ValueError, match="target_language must be one of the 2 that") as caught:
            check_listed_language(HEYGEN, "zzz", known, Redactor([key]))
        assert str(caught.value).endswith(f"lists, got 'zzz'; {hint}client.languages() lists all")


BODIES: dict[str, Callable[[str], Any]] = {
    "reference": lambda value: {"result": "completed", "echo": [value, {value: value}], "country": "Germany"},
    "heygen": lambda value: {
        "data": {
            "status": "completed",
            "video_url": f"http://files.test/{value}?a={value}",
            "output_language": value,
            "echo": value,
        }
    },
    "elevenlabs": lambda value: {"status": "dubbed", "target_languages": [value], "echo": [value]},
    "azure": lambda value: {
        "status": "Succeeded",
        "result": {"translatedVideoFileUrl": f"http://files.test/{value}"},
        "echo": {value: 1},
    },
}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("secret", [KEY, "header-of-the-caller"])
def test_the_data_of_a_job_is_what_the_service_sent(lines: LogLines, service: str, secret: str) -> None:
    """Also if it echoes a secret, which is in no text then."""
    value = f"x-{secret}-y"
    body = BODIES[service](value)
    client = client_of(saying(body), service=service, headers={"X-Mine": "header-of-the-caller"})

    for job in (client.check("j"), client.wait("j"), *client.watch("j"), *client.wait_all(["j"])):
        assert job.payload == body
        assert secret not in repr(job)
        if service == "heygen":
            assert (job.result_url, job.language) == (f"http://files.test/{value}?a={value}", value)
        if service == "azure":
            assert job.result_url == f"http://files.test/{value}"
        if service == "elevenlabs":
            assert job.language == value
    assert secret not in json.dumps(lines)


@pytest.mark.parametrize("secret", [KEY, "header-of-the-caller"])
def test_the_data_of_jobs_of_a_bulk_request_is_what_the_service_sent(lines: LogLines, secret: str) -> None:
    """In `check_all` and in `wait_all`. Only the error of a job is text, and is redacted."""
    value = f"x {secret} y"
    entry = {"id": "j", "video_id": "j", "status": value, "result": value, "echo": value, "error": value}
    failed = {**entry, "status": "failed", "result": "error", "id": "k", "video_id": "k"}

    def respond(request: requests.PreparedRequest) -> requests.Response:
        if "statuses" in str(request.url) or "ids=" in str(request.url):
            return response(200, json.dumps({"data": [entry, failed], "results": [entry, failed]}).encode())
        alone = failed if str(request.url).endswith("k") else entry
        return response(200, json.dumps({**alone, "data": alone}).encode())

    headers = {"X-Mine": "header-of-the-caller"}
    without_links = replace(HEYGEN, submit=None, has_late_result=False, result_field=None)
    pending, ended = client_of(respond, service=without_links, headers=headers).check_all(["j", "k"])
    assert (pending.raw_status, pending.payload) == (value, entry)
    assert (ended.status, ended.payload, ended.error) == (TranslationStatus.ERROR, failed, f"x {MARK} y")

    outcomes = client_of(respond, headers=headers, backoff_factor=0.01).wait_all(["j", "k"])
    exhausted, ended = outcomes
    assert (type(exhausted), exhausted.job.raw_status) == (RetriesExhausted, value)
    assert (exhausted.job.payload["echo"], ended.payload["echo"]) == (value, value)
    for shown in (*map(repr, (pending, ended, *outcomes)), str(exhausted), json.dumps(lines)):
        assert secret not in shown
    assert f"'x {MARK} y'" in str(exhausted)


def test_an_unknown_status_word_is_data_and_is_redacted_in_texts(clock: Clock, lines: LogLines) -> None:
    """In messages, in the counts of a timeout, in log lines and on terminals."""
    word = f"busy \x1b[2J {KEY}"
    client = client_of(saying({"result": word}), timeout=5, sleep=clock.tick, max_retries=50)
    error = raised(lambda: client.wait("j"))
    shown = rf"busy \x1b[2J {MARK}"

    assert type(error) is WaitTimeout
    assert error.job is not None
    assert error.job.raw_status == error.args[1]["job"]["raw_status"] == word
    assert repr(shown) in str(error)
    assert error.seen == {shown: error.checks}
    assert KEY not in texts_of(error)
    assert {line["raw_status"] for line in (*lines.of("status_checked"), *lines.of("unknown_status"))} == {shown}
    stream = io.StringIO()
    StatusLine(stream, 10).show(error.job)
    table = BatchTable()
    table.record_job(error.job)
    columns = [list(column.cells) for column in table.__rich__().columns]
    assert shown in stream.getvalue()
    assert columns[1] == [shown]


@pytest.mark.parametrize("key", ["e", "pending", "n"])
def test_a_known_status_word_is_not_redacted_if_it_contains_the_key(clock: Clock, lines: LogLines, key: str) -> None:
    """It belongs to the vocabulary of the service, and is no echo of the key."""
    client = client_of(saying({"result": "pending"}), api_key=key, timeout=5, sleep=clock.tick, max_retries=9)
    error = raised(lambda: client.wait("x"))

    assert "was still 'pending'" in str(error)
    assert error.seen == {"pending": error.checks}
    assert lines.of("status_checked")[0]["raw_status"] == "pending"


@pytest.mark.parametrize("secret", [KEY, "header-of-the-caller", "any"])
def test_failure_messages_of_a_service_are_redacted_as_text(lines: LogLines, secret: str) -> None:
    """The error of a job, an error body and an excerpt are redacted when they are built. The payload is not."""
    message = f"no{secret}body speaks: {secret}"
    arguments = {"headers": {"X-Mine": "header-of-the-caller"}, "api_key": secret if secret == "any" else KEY}
    redacted = f"no{MARK}body speaks: {MARK}"

    job = client_of(saying({"result": "error", "error": message}), **arguments).check("j")
    assert job.error == redacted
    assert job.payload["error"] == message
    assert redacted in str(raised(job.raise_for_status))

    refused = raised(lambda: client_of(saying({"code": secret, "detail": message}, 400), **arguments).check("j"))
    assert (refused.problem.code, refused.problem.message) == (MARK, redacted)
    assert redacted in str(refused)

    unread = raised(lambda: client_of(lambda _: response(200, message.encode()), **arguments).check("j"))
    assert (type(unread), unread.excerpt) == (UnexpectedAnswer, redacted)
    for shown in (*map(texts_of, (raised(job.raise_for_status), refused, unread)), json.dumps(lines)):
        assert f"no{secret}" not in shown
        assert f"speaks: {secret}" not in shown


@pytest.mark.parametrize(
    "body",
    [
        *(f"key {KEY} bad".encode(coding) for coding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be")),
        f"key {KEY} bad".encode("utf-8-sig"),
        b"key " + f"{KEY} bad".encode("utf-16-le"),
        b"\xff\xfe" + f"key {KEY} bad".encode(),
        b"\0" + f"key {KEY} bad".encode(),
    ],
)
def test_an_excerpt_has_no_key_whatever_its_charset_is(lines: LogLines, body: bytes) -> None:
    """Not with a NUL after each letter either."""
    error = raised(lambda: client_of(lambda _: response(200, body)).check("j"))

    assert type(error) is UnexpectedAnswer
    shown = "".join(letter for letter in texts_of(error) + str(error.excerpt) + json.dumps(lines) if letter.isalnum())
    assert "k3y" not in shown.replace("x00", "").replace("u0000", "")


def test_an_excerpt_is_decoded_from_utf_8_utf_16_or_utf_32() -> None:
    """The charset is found by the same rule as that of JSON."""
    for coding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"):
        error = raised(lambda: client_of(lambda _: response(200, "sorry, né".encode(coding))).check("j"))  # noqa: B023  # called at once
        assert error.excerpt == "sorry, né"


@pytest.mark.parametrize("key", ["é3y-é", "k3y-\xe9\xff0123"])
def test_a_non_ascii_key_is_redacted_in_an_excerpt_with_its_latin_1_bytes(key: str) -> None:
    """Headers are sent in Latin-1, and the excerpt is read as UTF-8."""
    error = raised(lambda: client_of(lambda _: response(200, f"<{key}>".encode("latin-1")), api_key=key).check("j"))

    assert error.excerpt == f"<{MARK}>"


@pytest.mark.parametrize("key", ["e", "error", "detail", "message", "code"])
def test_known_names_in_an_error_body_are_not_redacted(key: str) -> None:
    """Services use these names, and a key may be a part of one by chance."""
    body = {"error": {"code": "no_luck", "message": "sorry"}, "detail": "d"}
    error = raised(lambda: client_of(saying(body, 400), api_key=key).check("j"))

    assert (error.problem.code, error.problem.message) == ("no_luck", "sorry")
    assert set(error.problem) == {"error", "detail"}


@pytest.mark.parametrize("name", ["code", "status", "type", "error_code", "errorCode"])
@pytest.mark.parametrize(
    ("key", "word", "kept"),
    [
        ("any", "too_many_jobs", True),
        ("a", "Rate-Limit.exceeded", True),
        ("1", 100123, True),
        ("jobs", "jobs", False),
        ("any", "too many jobs", False),
        ("any", "https://errors.test/too_many_jobs", False),
        ("too_many", "too_many_jobs", False),
        ("100123", 100123, False),
        ("10012300", 1001230099, False),
    ],
)
def test_an_error_code_is_not_redacted_if_a_short_key_is_a_part_of_it(
    name: str, key: str, word: Any, kept: bool
) -> None:
    """A key that is long or the whole code is redacted, and so is any key in text that is no code."""
    body = {"error": {name: word, "message": f"{word}!"}, "list": [{name: word}]}
    error = raised(lambda: client_of(saying(body, 400), api_key=key).check("j"))
    code = str(word) if kept else str(Redactor([key]).redact(word))

    assert (error.problem.code, str(error.problem["list"][0][name])) == (code, code)
    assert error.problem.message == Redactor([key]).redact(f"{word}!")
    assert f"{word}!" not in str(error)


def test_a_key_with_dots_is_redacted_in_the_path_of_an_invalid_field() -> None:
    """The names in the path are joined by dots in the message."""
    body = {"detail": [{"loc": ["body", *KEY.split("-"), 7], "msg": "no such field"}], "error": [[{"loc": [KEY]}]]}
    key = KEY.replace("-", ".")
    error = raised(lambda: client_of(saying(body, 422), api_key=key).check("j"))

    assert error.problem.message == f"body.{MARK}.7: no such field"
    assert error.problem["detail"][0]["loc"] == [f"body.{MARK}.7"]
    assert key not in texts_of(error)


def test_unknown_names_in_an_error_body_are_redacted() -> None:
    assert redacted_problem({KEY: 1, "error": {KEY: KEY}}, Redactor([KEY])) == {MARK: 1, "error": {MARK: MARK}}  # type: ignore[arg-type]  # a dict will do


@pytest.mark.parametrize("url", [f"http://files.test/any-{KEY}/f.mp4?any={KEY}", "http://fake.test/any.mp4"])
def test_a_link_that_contains_the_key_is_requested_unchanged(lines: LogLines, tmp_path: Path, url: str) -> None:
    """The key in it is redacted in errors and log lines."""
    requested_urls: list[str] = []

    def respond(request: requests.PreparedRequest) -> requests.Response:
        requested_urls.append(str(request.url))
        if "/status/" in requested_urls[-1] or "video-translations" in requested_urls[-1]:
            return response(200, json.dumps({"data": {"status": "completed", "video_url": url}}).encode())
        return response(200, b"\0\0\0\x18ftyp", content_type="video/mp4", content_length="8")

    for key in (KEY, "any"):
        client = client_of(respond, service="heygen", api_key=key)
        assert client.download(client.wait("j"), tmp_path / f"{key}.mp4").read_bytes() == b"\0\0\0\x18ftyp"
        assert requested_urls[-1] == url
    gone = client_of(lambda _: response(404, b""), service="heygen")
    error = raised(
        lambda: gone.download(Job("j", TranslationStatus.COMPLETED, "x", result_url=url), tmp_path / "out.mp4")
    )
    assert KEY not in texts_of(error) + json.dumps(lines)


def test_a_header_value_is_redacted_in_a_link_but_not_in_the_base_url(tmp_path: Path) -> None:
    """`base_url` comes from the caller. A link comes from the server, which may echo what it was sent."""
    arguments = {"service": "heygen", "headers": {"X-Mine": "fake.test"}}
    refused = client_of(lambda _: response(418, b""), **arguments)  # after a 404 it would request a new link
    link = Job("j", TranslationStatus.COMPLETED, "x", result_url="http://files.test/fake.test/f")

    assert f"({HOST}/v3/video-translations/j)" in str(raised(lambda: refused.check("j")))
    assert f"(http://files.test/{MARK}/f)" in str(raised(lambda: refused.download(link, tmp_path / "out.mp4")))


@pytest.mark.parametrize("header", ["job", "translations-7", "7", "translat"])
def test_header_values_are_not_redacted_in_a_job_id(lines: LogLines, header: str) -> None:
    """A person has to be able to copy it. Only a key is redacted in it."""
    client = client_of(saying({"result": "pending"}), headers={"X-Mine": header})
    error = raised(lambda: client.wait("translations-7"))

    assert "client.wait('translations-7')" in str(error)
    assert {line["job_id"] for line in lines} == {"translations-7"}
    assert repr(error.job).startswith("Job(id='translations-7'")


def test_a_job_id_that_contains_the_key_is_data_and_is_redacted_in_texts(lines: LogLines, tmp_path: Path) -> None:
    """For the methods that take an id, and in a batch."""
    job_id = f"job-{KEY}"
    client = client_of(saying({"result": "pending"}), backoff_factor=0.01)
    finished = Job(job_id, TranslationStatus.COMPLETED, "completed")
    actions: list[Callable[[], object]] = [
        lambda: client.wait(job_id),
        lambda: client.download(job_id, tmp_path / "f"),
        lambda: client_of(saying({}, 400)).download(finished, tmp_path / "f"),
        lambda: client_of(saying({}, 400)).check(job_id),
        lambda: client_of(saying({}, 400)).delete(job_id),
        lambda: client_of(saying({"data": []}), service="heygen").check_all([job_id]),
    ]
    for action in actions:
        error = raised(action)
        assert error.job_id == error.args[1]["job_id"] == job_id
        assert "job-[redacted]" in str(error)
        assert KEY not in texts_of(error)
    for error in (*client.wait_all([job_id]), *client_of(saying({}, 400)).wait_all([job_id])):
        assert error.job_id == job_id
        assert KEY not in texts_of(error)
    assert {line["job_id"] for line in lines} == {"job-[redacted]", None}
    job = client.check(job_id)
    assert (job.id, job.to_dict()["id"]) == (job_id, job_id)
    assert KEY not in repr(job)


@EACH_CLIENT
def test_a_job_id_that_contains_a_rotating_key_is_redacted_in_texts(
    clock: Clock, lines: LogLines, tmp_path: Path, kind: type[Any]
) -> None:
    """`api_key()` is first called after the wait has begun, when the id has already been read."""
    job_id = f"job-{KEY}"
    for name, arguments, faults in (
        ("wait", (), []),
        ("wait", (), ["every-1:503"]),
        ("wait", (), ["every-1:400"]),
        ("check", (), ["every-1:400"]),
        ("download", (tmp_path / "f",), []),
        ("download", (tmp_path / "f",), ["every-1:400"]),
        ("delete", (), ["delete/every-1:400"]),
    ):
        scenario = Scenario(3600, faults=faults)
        side = side_of(kind, scenario, "reference", clock, api_key=lambda: KEY, max_retries=1, max_faults=2)
        side.lab.create(job_id=job_id)
        error = raised(lambda: asyncio.run(side.call(name, job_id, *arguments)))  # noqa: B023  # called at once
        assert error.job_id == job_id
        assert "job-[redacted]" in str(error)
        assert KEY not in texts_of(error)
    assert {line["job_id"] for line in lines} == {"job-[redacted]"}


def test_an_invalid_id_from_an_iterator_is_an_error_of_that_job() -> None:
    """It has the id as it was given, and no key in its message. `may_have_been_accepted` is False."""
    [bad] = client_of(saying({"result": "completed"})).wait_all(iter([f"{KEY}\ud800"]))

    assert (type(bad), bad.job_id, bad.may_have_been_accepted) == (RequestFailed, f"{KEY}\ud800", False)
    assert KEY not in texts_of(bad)


@pytest.mark.parametrize(("key", "is_shown"), [(KEY, True), ("7", False)])
def test_an_idempotency_key_is_shown_unless_it_contains_the_api_key(lines: LogLines, key: str, is_shown: bool) -> None:
    """`error.idempotency_key` is always what the service was sent."""
    client = client_of(saying({}, 500), service="heygen", api_key=key, headers={"X-Mine": "order"})
    client._language_list._fetched = (LANGUAGE["heygen"],), client._context.redactor
    error = raised(lambda: client.submit(VIDEO, LANGUAGE["heygen"], idempotency_key="order-7"))

    assert error.idempotency_key == error.args[1]["idempotency_key"] == "order-7"
    assert ("idempotency_key='order-7'" in str(error)) is is_shown
    assert (lines.of("submit_started")[0]["idempotency_key"] == "order-7") is is_shown


@pytest.mark.parametrize("key", [KEY, "any"])
def test_the_json_of_the_command_line_is_not_redacted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    """With `--json`, the standard output has what the service sent. The standard error has no key."""
    monkeypatch.setenv("TRANSLATION_CLIENT_API_KEY", key)
    body = {"result": "completed", "echo": key, "country": "Germany"}
    with serving(answering(http("200 OK", json.dumps(body).encode()))) as server:
        for command in (["status", "j"], ["wait", "j"], ["wait", "j", "k"]):
            assert main.main([*command, "--base-url", server.url, "--json"]) == 0
            captured = capsys.readouterr()
            payloads = [json.loads(line)["payload"] for line in captured.out.splitlines()]
            assert payloads == [body] * (len(command) - 1)
            assert key not in captured.err


@pytest.mark.parametrize(("levels", "is_readable"), [(100, True), (101, False), (900, False)])
def test_a_body_of_more_than_100_levels_raises_unexpected_answer(levels: int, is_readable: bool) -> None:
    """A job with it could be neither copied nor pickled."""
    body = b'{"result": "completed", "x": ' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"
    client = client_of(lambda _: response(200, body))
    if is_readable:
        job = client.check("j")
        assert Job.from_dict(json.loads(json.dumps(job.to_dict()))) == job
    else:
        assert type(raised(lambda: client.check("j"))) is UnexpectedAnswer


def test_infinity_and_nan_in_a_response_are_read_as_none() -> None:
    """Python reads them in JSON, although JSON has no such numbers."""
    job = client_of(
        lambda _: response(200, b'{"result": "pending", "expected_seconds": Infinity, "progress": NaN}')
    ).check()

    assert (job.expected_seconds, job.progress) == (None, None)


def test_many_shallow_lists_are_not_nested_too_deeply() -> None:
    body = {"result": "completed", "x": [[[]]] * 500}

    assert client_of(saying(body)).check("j").payload == body


def test_a_short_key_alters_no_data_of_a_batch(lines: LogLines) -> None:
    """On real sockets, with keys that are a part of the ids or of the status word."""
    with Server(Scenario(duration=0.1)) as server:
        ids = [requests.post(f"{server.url}/jobs", timeout=60).json()["id"] for _ in range(5)]
        for key in ("e", "job", "1"):
            with VideoTranslationClient(server.url, api_key=key, backoff_factor=0.05) as client:
                jobs: list[Any] = client.wait_all(ids)
            assert [(job.id, str(job.status), job.raw_status) for job in jobs] == [
                (job_id, "completed", "completed") for job_id in ids
            ]
            assert MARK not in json.dumps([job.to_dict() for job in jobs])
    assert lines


def test_the_payload_of_a_failed_job_is_in_no_text() -> None:
    """`error.job` and the facts in `error.args` have it."""
    body = {"result": "error", "error": "no speech", "secret": KEY}
    error = raised(client_of(saying(body)).check("j").raise_for_status)

    assert type(error) is JobFailed
    assert error.job is not None
    assert error.job.payload == error.args[1]["job"]["payload"] == body
    assert KEY not in texts_of(error)
