"""API keys and other credentials are sent to the origin of `base_url` only, and are redacted in every text."""

from __future__ import annotations

import asyncio
import base64
import html
import inspect
import itertools
import json
import re
import socket
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, quote_plus

import aiohttp
import pytest
import requests
from support.adapters import FunctionAdapter, response
from support.both_clients import CLIENTS, Side
from support.example_errors import chain_of
from support.fixtures import Clock, LogLines, SilentLogger
from support.hostile_server import Handler, Server, answering, http, serving
from support.in_process_service import HOST, KEY, LANGUAGE, PATH, SERVICES, SIGNATURE, VIDEO, ClientSetup
from support.interleaving import at_every_opcode
from support.shown_secrets import shown_texts

import translation_client
from fake_server import Scenario
from translation_client import (
    AsyncVideoTranslationClient,
    Job,
    Service,
    TranslationClientError,
    TranslationStatus,
    VideoTranslationClient,
    WaitCancelled,
)
from translation_client._auth.escapes import layers_of
from translation_client._auth.headers import KeyHeaders, merged_headers
from translation_client._auth.redactor import MARK, MAX_ROTATED_KEYS, Redactor
from translation_client._auth.urls import redact_url
from translation_client._clock import Deadline
from translation_client._models import Fault, MissingField, Refusal, Request
from translation_client.services import get_service

VARIABLES = {service: str(get_service(service).key_variable) for service in SERVICES}


@pytest.fixture(autouse=True)
def _no_keys_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*VARIABLES.values(), "SPEECH_REGION"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("service", SERVICES)
def test_an_api_key_is_read_from_the_environment_variable_of_the_service(
    clock: Clock, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read if no `api_key` is given. The argument takes precedence over the variable."""
    monkeypatch.setenv(VARIABLES[service], "key-of-the-environment")
    setup = ClientSetup(clock, service, Scenario(0, api_key="key-of-the-environment"), api_key=None)
    other = ClientSetup(clock, service, Scenario(0, api_key=KEY))

    assert setup.finished().status == "completed"
    assert other.finished().status == "completed"


@pytest.mark.parametrize("service", ["heygen", "elevenlabs", "azure"])
def test_a_missing_api_key_is_refused_when_the_client_is_created(service: str) -> None:
    """The message names the argument and the environment variable that may hold the key."""
    with pytest.raises(
        ValueError, match=f"api_key must be given, or the environment variable {VARIABLES[service]} set"
    ):
        VideoTranslationClient(HOST, service=service)


@pytest.mark.parametrize(
    "arguments",
    [
        {"headers": {"authorization": "Bearer oauth-token"}},
        {"headers": {"x-API-key": "k"}},
        {"base_url": "http://user:secret@fake.test"},
    ],
)
def test_other_credentials_are_accepted_in_place_of_an_api_key(arguments: dict[str, Any]) -> None:
    """HeyGen accepts OAuth tokens, and a gateway may have credentials of its own."""
    VideoTranslationClient(**{"base_url": HOST, "service": "heygen", **arguments})


@pytest.mark.parametrize("header", ["X-Api-Key", "authorization", None])
def test_credentials_of_a_session_are_accepted_in_place_of_an_api_key(header: str | None) -> None:
    """They are in the headers of the session, or in its `auth`."""
    session = requests.Session()
    session.headers["X-Mine"] = "k"
    with pytest.raises(ValueError, match="api_key must be given"):
        VideoTranslationClient(HOST, service="heygen", session=session)

    if header is None:
        session.auth = ("a", "b")
    else:
        session.headers[header] = "k"
    VideoTranslationClient(HOST, service="heygen", session=session)


@pytest.mark.parametrize("bad", ["line\nbreak", " spaced", "ключ"])
def test_the_error_for_an_unsendable_key_names_its_environment_variable(
    bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not show the value of the variable."""
    monkeypatch.setenv("HEYGEN_API_KEY", bad)
    with pytest.raises(ValueError, match="the environment variable HEYGEN_API_KEY cannot be sent") as caught:
        VideoTranslationClient(HOST, service="heygen")
    assert bad not in str(caught.value)


def test_an_api_key_function_is_called_before_each_request(clock: Clock) -> None:
    """A token may expire in the middle of a wait."""
    tokens = iter(f"token-number-{number}" for number in range(100))
    setup = ClientSetup(clock, "heygen", Scenario(30), api_key=lambda: next(tokens))
    setup.client.wait(setup.submit())
    sent = [arrival.headers["X-Api-Key"] for arrival in setup.lab.arrivals]

    assert sent == [f"token-number-{number}" for number in range(len(sent))]
    assert len(sent) > 3


def test_an_exception_of_an_api_key_function_reaches_the_caller(clock: Clock) -> None:
    """No request is sent."""

    def broken() -> str:
        raise LookupError("the vault is closed")

    setup = ClientSetup(clock, "heygen", api_key=broken)
    with pytest.raises(LookupError, match="the vault is closed"):
        setup.submit()
    assert setup.lab.arrivals == []


BREAKS_OFF = b"\0"
"""A response of `echoing_the_key` is truncated here, before the end of its `Content-Length`."""


def echoing_the_key(
    status: str, fetch_key: Callable[[], object], body: Callable[[str], Any], *, echoes_languages: bool
) -> Handler:
    """Return a handler that echoes the key of a request, after `fetch_key` has fetched many other keys.

    A list of languages has the key only if `echoes_languages` is True.
    """

    def handle(connection: socket.socket, server: Server) -> None:
        if b"/languages " in server.requests[-1] and not echoes_languages:
            languages = json.dumps({"data": {"languages": [LANGUAGE["heygen"]]}}).encode()
            connection.sendall(http(body=languages))
            connection.shutdown(socket.SHUT_WR)
            return
        key = re.search(rb"token-number-\d+", server.requests[-1])[0].decode()  # type: ignore[index]  # it is there
        for _ in range(3 * MAX_ROTATED_KEYS):
            fetch_key()
        content = body(key)
        sent = content if isinstance(content, bytes) else json.dumps(content).encode()
        connection.sendall(http(status, sent, f"Retry-After: {key}").partition(BREAKS_OFF)[0])
        connection.shutdown(socket.SHUT_WR)

    return handle


KEY_ECHOES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "a refusal": ("401 Unauthorized", lambda key: {"error": {"code": key, "message": key}}),
    "a fault": ("503 Service Unavailable", lambda key: {"detail": key}),
    "a body that cannot be read": ("200 OK", lambda key: f"<html>{key}".encode()),
    "a body that is no JSON": ("200 OK", lambda key: b'{"result": "' + key.encode()),
    "a body that breaks off": ("200 OK", lambda key: b'{"result": "' + key.encode() + BREAKS_OFF + b"0123456789"),
    "a status": ("200 OK", lambda key: {"data": {"status": key}, "result": key}),
    "a failed job": ("200 OK", lambda key: {"data": {"status": "failed", "failure_message": key}}),
    "a new job": ("200 OK", lambda key: {"data": {"video_translation_ids": [f"job-{key}"]}}),
    "another job": ("200 OK", lambda key: {"data": {"id": key, "video_id": key, "status": "running"}}),
    "statuses": ("200 OK", lambda key: {"data": [{"id": "j0", "video_id": "j0", "status": key}]}),
    "languages": ("200 OK", lambda key: {"data": {"languages": [f"French {key}"]}}),
    "statuses of others": ("200 OK", lambda key: {"data": [{"id": key, "video_id": key, "status": "running"}]}),
}


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("echo", KEY_ECHOES)
def test_a_rotating_key_is_redacted_however_many_other_keys_were_fetched(
    lines: LogLines, kind: type[Any], echo: str
) -> None:
    """Each request has a key of its own, and its response comes after dozens of other keys have been fetched."""
    numbers = itertools.count()
    status, body = KEY_ECHOES[echo]

    def fetch_key() -> object:
        return client._transport._credentials()

    async def action(name: str, *positional: Any, **more: Any) -> Any:
        try:
            return await Side(client, None, "heygen", None).call(name, *positional, **more)  # type: ignore[arg-type]  # not needed
        except (TranslationClientError, ValueError) as error:
            return error

    async def actions() -> list[Any]:
        outcomes = [await action("check", "j0"), await action("wait", "j0")]
        for several in (
            await action("check_all", ["j0"]),
            await action("wait_all", ["j0", "j1", "j2"], max_in_flight=1),  # the server echoes its latest key
        ):
            outcomes += several if isinstance(several, list) else [several]
        outcomes.append(await action("submit", VIDEO, LANGUAGE["heygen"]))
        closed = client.close()
        if closed is not None:
            await closed
        return outcomes

    with serving(echoing_the_key(status, fetch_key, body, echoes_languages=echo == "languages")) as server:
        client = kind(
            server.url,
            service="heygen",
            api_key=lambda: f"token-number-{next(numbers)}",
            max_faults=1,
            max_retries=0,
            sleep=lambda _: None,
        )
        outcomes = asyncio.run(actions())
    shown = "".join(shown_texts(one) if isinstance(one, Exception) else f"{one!r} {one.error}" for one in outcomes)
    shown += "".join(repr(one.job) for one in outcomes if isinstance(one, TranslationClientError))
    assert len(outcomes) == 7
    has_submitted = any(request.startswith(b"POST ") for request in server.requests)
    assert has_submitted == (echo != "languages")  # the target language is not in an echoed list
    assert "token-number" not in shown + json.dumps(lines)
    assert "[redacted]" in shown + json.dumps(lines)


ODD_KEY = "K3y-0F-the+Api/\xe9t\xe9-482913"
NUMBER = "48291377"
HEADER = "header-of-the-caller"
LONG = "x" * 50_000
PLACES: dict[str, tuple[str, bytes, tuple[str, ...]]] = {
    "the reason": ("503 {}", b"", ()),
    "a strange status": ("483 {}", b"", ()),
    "the type of an image": ("200 OK", bytes(99), ("Content-Type: image/{}",)),
    "a type of JSON": ("200 OK", b"{}", ("Content-Type: application/{}+json; charset={}",)),
    "a type of an error": ("404 Not Found", b"{}", ("Content-Type: text/html; {}",)),
    "a coding": ("200 OK", b"{}", ("Content-Encoding: {}, gzip",)),
    "a transfer coding": ("200 OK", b"{}", ("Transfer-Encoding: {}",)),
    "a length": ("200 OK", b"{}", ("Content-Length: {}",)),
    "a range": ("206 Partial Content", bytes(99), ("Content-Range: bytes {}-{}/{}",)),
    "a range that continues nothing": ("206 Partial Content", bytes(99), ("Content-Range: {} 9-{}/{}", 'ETag: "{}"')),
    "a validator": ("416 Range Not Satisfiable", b"", ('ETag: "{}"', "Last-Modified: {}")),
    "a redirect": ("302 Found", b"", ("Location: http://127.0.0.1:1/{}?{}#{}",)),
    "a redirect to no URL": ("302 Found", b"", ("Location: {}://{}",)),
    "a redirect to a host": ("302 Found", b"", ("Location: http://{}:{}@[{}",)),
    "an operation": ("201 Created", b'{"id": "{}"}', ("Operation-Location: /operations/{}",)),
    "a delay": ("429 Too Many Requests", b"{}", ("Retry-After: {}", "Date: {}")),
    "a cookie": ("401 Unauthorized", b"{}", ("Set-Cookie: {}={}", "WWW-Authenticate: {} realm={}")),
    "the name of a header": ("503 Busy", b"{}", ("{}: {}",)),
    "a line that is none": ("200 OK", b"{}", ("{}",)),
    "a body": ("200 OK", b"{}{}", ()),
    "names in a body": ("400 Bad Request", b'{"{}": {"code": "{}", "message": "{}", "{}": ["{}"]}}', ()),
    "an id": ("200 OK", b'{"id": "{}", "data": {"id": "{}", "video_id": "{}", "status": "{}"}}', ()),
}
SECRETS = {"key": ODD_KEY, "number": NUMBER, "header": HEADER, "control": "\x9b2J\x85\xad", "long": LONG}


DATA = {("number", "a delay"), ("header", "an operation"), ("header", "an id")}
"""Pairs that are not redacted: a number of seconds in `Retry-After`, and the value of a header in an id.

People must be able to copy ids, so only keys are redacted in them.
"""


def raw_echo(place: str, secret: str) -> bytes:
    status, body, headers = PLACES[place]
    echoed = [secret if one == "{}" else one.replace("{}", secret) for one in (status, *headers)]
    content = body.replace(b"{}", secret.encode()) if body != b"{}" else body
    length = [] if "Content-Length" in str(headers) else [f"Content-Length: {len(content)}"]
    return "\r\n".join([f"HTTP/1.1 {echoed[0]}", *length, *echoed[1:]]).encode("latin-1") + b"\r\n\r\n" + content


CALLS: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    ("reference", "check", ("j",)),
    ("heygen", "wait", ("j",)),
    ("heygen", "check_all", (["j", "k"],)),
    ("heygen", "wait_all", (["j", "k"],)),
    ("heygen", "delete", ("j",)),
    ("heygen", "languages", ()),
    ("reference", "submit", (VIDEO, LANGUAGE["reference"])),
    ("azure", "submit", (VIDEO, LANGUAGE["azure"])),
    ("elevenlabs", "download", (Job("j", TranslationStatus.COMPLETED, "dubbed", language="es"),)),
)


async def outcomes_of_calls(kind: type[Any], url: str, folder: Path, **arguments: Any) -> list[Any]:
    """Return what each method in `CALLS` returns or raises; a list of jobs adds one outcome for each job."""
    outcomes: list[Any] = []
    for service, name, positional in CALLS:
        more = (folder / "file",) if name == "download" else ()
        faults = 1 if name == "wait_all" else 2  # the sleeps of wait_all are real
        limits: dict[str, Any] = {"timeout": 2, "request_timeout": 0.5, "max_retries": 0, "max_faults": faults}
        client = kind(url, service=service, sleep=lambda _: None, **limits, **arguments)
        try:
            outcome = await Side(client, None, service, None).call(name, *positional, *more)  # type: ignore[arg-type]  # not needed
        except (TranslationClientError, ValueError) as error:
            outcome = error
        await finished(client.close)
        outcomes += outcome if isinstance(outcome, list) and name != "languages" else [outcome]
    return outcomes


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("secret", SECRETS)
def test_text_of_a_response_is_redacted_shortened_and_escaped_wherever_it_is(
    lines: LogLines, tmp_path: Path, kind: type[Any], secret: str
) -> None:
    """In messages, causes, tracebacks and log lines. Escaped are control characters."""
    key = NUMBER if secret == "number" else ODD_KEY
    for place in PLACES:
        if (secret, place) in DATA:
            continue
        with serving(answering(raw_echo(place, SECRETS[secret]))) as server:
            outcomes = asyncio.run(
                outcomes_of_calls(kind, server.url, tmp_path, api_key=key, headers={"X-Mine": HEADER})
            )
        errors = [one for one in outcomes if isinstance(one, Exception)]
        shown = "".join(map(shown_texts, errors)) + json.dumps(lines, ensure_ascii=False)
        assert errors, place
        if secret in ("key", "number", "header"):
            assert SECRETS[secret].lower() not in shown.lower(), place
        assert not re.search(r"[\x7f-\x9f\xad]", shown), place
        assert max(len(str(one)) for error in errors for one in chain_of(error)) < 1500, place
        lines.clear()


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("is_rotating", [False, True])
@pytest.mark.parametrize("place", [*PLACES, "no response"])
def test_no_error_holds_a_request_or_a_response(tmp_path: Path, kind: type[Any], is_rotating: bool, place: str) -> None:
    """Neither do its causes and contexts: the request has the key, and a response may echo it."""
    echo = b"" if place == "no response" else raw_echo(place, ODD_KEY)
    with serving(answering(echo)) as server:
        key: Any = (lambda: ODD_KEY) if is_rotating else ODD_KEY
        outcomes = asyncio.run(outcomes_of_calls(kind, server.url, tmp_path, api_key=key, logger=SilentLogger()))
    errors = [one for one in outcomes if isinstance(one, Exception)]
    assert errors
    for one in itertools.chain.from_iterable(map(chain_of, errors)):
        held = [name for name, value in vars(one).items() if name in HOLDERS and value is not None]
        assert held == [], repr(one)
        assert not isinstance(one, (Refusal, MissingField)), repr(one)
        assert ODD_KEY not in str(vars(one).get("args", one.args)), repr(one)


HOLDERS = ("response", "request", "request_info", "headers", "history", "doc", "object")
"""Attributes of exceptions of this package, requests, aiohttp and Python that hold a request or a response."""


def test_wait_cancelled_after_a_fault_has_no_cause_and_no_context() -> None:
    """The client is closed in the sleep after the fault, whose response echoes the key."""
    for name, argument in (("check", "j"), ("check_all", ["j", "k"])):
        with serving(answering(http("503 Busy", ODD_KEY.encode()))) as server:
            client = VideoTranslationClient(
                server.url, service="heygen", api_key=lambda: ODD_KEY, logger=SilentLogger()
            )
            vars(client._transport)["_sleep"] = lambda _, client=client: client.close()
            with pytest.raises(WaitCancelled) as caught:
                getattr(client, name)(argument)
        assert [*chain_of(caught.value)] == [caught.value]


def test_header_values_are_redacted_in_links_but_not_in_urls_of_the_client(tmp_path: Path) -> None:
    """In a URL that the client built, only keys are redacted. A link of the server may begin as `base_url` does."""
    for host in ("http://elsewhere.test", HOST, f"{HOST}.cdn.test"):
        link = f"{host}/files/{HEADER}/{LONG}.mp4"
        error = refused_download(tmp_path, "heygen", {"data": {"status": "completed", "video_url": link}})
        assert f"({host}/files/[redacted]/xxx" in str(error)
        assert len(str(error)) < 1000
    odd = f"http://{ODD_KEY.replace('/', '').replace('+', '')}.test/f"
    error = refused_download(tmp_path, "heygen", {"data": {"status": "completed", "video_url": odd}}, odd[7:-7])
    assert "(a URL with a secret in its host)" in str(error)
    error = refused_download(tmp_path, "elevenlabs", {"status": "dubbed", "target_languages": ["es"]}, "not-in-it")
    assert f"({HOST}/v1/dubbing/{HEADER}/audio/es)" in str(error)


WORDS = ("file", "connection", "download", "the file", "HTTP", "404", "1")


@pytest.mark.parametrize(
    "text", ["the connection broke", "the file has 1 of 404 bytes", "HTTP 404 Not Found", "a download of the file"]
)
@pytest.mark.parametrize("word", WORDS)
def test_the_fixed_words_of_an_error_message_are_not_redacted(text: str, word: str) -> None:
    """A link or a header may have the same word. "the [redacted] broke" would reveal it."""
    for secrets in (Redactor().with_link(f"http://a.test/f?{word}#{word}"), Redactor(headers=[word])):
        fault = Fault("unreadable", text)
        fault.redact(secrets)
        assert str(fault) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the certificate is not valid for 'topsecret.test'", "the certificate is not valid for '[redacted].test'"),
        ('the response has no "it\'s Topsecret"', 'the response has no "it\'s [redacted]"'),
        ("hostname 'a.test' doesn't match 'topsecret.test'", "hostname 'a.test' doesn't match '[redacted].test'"),
        ("the connection broke (o'neil-s3cret)", "the connection broke ([redacted])"),
        ("the response has no 'data.status'", "the response has no 'data.status'"),
        ("the response has no 'data.at-sea'", "the response has no 'data.[redacted]'"),
    ],
)
def test_keys_are_redacted_in_text_that_an_error_quotes(text: str, shown: str) -> None:
    """The system quotes hosts in lower case. Names of fields are quoted too, and keep short words."""
    fault = Fault("connection", text)
    fault.redact(Redactor(["Topsecret", "o'neil-s3cret", "at", "at-sea"], ["status"]))

    assert str(fault) == shown


SHORT = ("1", "127", "test", "storage", "http")


@pytest.mark.parametrize("host", ["http://127.0.0.1:1", "http://storage.test"])
def test_a_short_value_that_is_no_key_is_not_redacted_in_the_host_of_a_link(host: str) -> None:
    """`DNT: 1` is in 127.0.0.1, and so is a fragment `#1`. In the path the value is redacted."""
    for value in SHORT:
        for secrets in (Redactor(headers=[value]), Redactor(users=[value]), Redactor(links=[value])):
            assert secrets.redact_link(f"{host}/a/{value}?x=1") == f"{host}/a/[redacted]"


@pytest.mark.parametrize(
    ("key", "link"),
    [
        ("7", "http://127.0.0.1/a"),
        ("t", "http://test/a"),
        ("S3cr3t-Key", "http://s3cr3t-key.test/a"),
        ("s3cr3t", "http://S3CR3T.test/a"),
        ("S3cr3t", "http://S3cr3t.test/a"),
        ("s3cr3t-k", "http://s%33cr3t-k.test/a"),
        ("s3cr3t-k", "http://u:p@a-s3cr3t-k.test:80/a"),
    ],
)
def test_a_link_with_a_key_in_its_host_is_not_shown(key: str, link: str) -> None:
    """However short the key is, in upper or lower case, and escaped: hosts are shown in lower case and unescaped."""
    assert Redactor([key]).redact_link(link) == "a URL with a secret in its host"
    assert Redactor(headers=[f"{key}-in-full"]).redact_link(link) == redact_url(link)


def test_a_long_header_value_or_user_name_in_a_link_is_redacted() -> None:
    """In its host, in its path, and across both, as in the link to a web hook. Header values are case-sensitive."""
    secrets = Redactor(["p"], headers=["http://hooks.test/services/XyZ", "AcmeCorp"], users=["acme-translations"])

    assert secrets.redact_link("http://acme-translations.test/a") == "a URL with a secret in its host"
    assert secrets.redact_link("http://hooks.test/services/XyZ/a") == "[redacted]/a"
    assert secrets.redact_link("http://127.0.0.1/pa/AcmeCorp") == "http://127.0.0.1/[redacted]a/[redacted]"
    assert Redactor(headers=["AcmeCorp"]).redact_link("http://acmecorp.test/a") == "http://acmecorp.test/a"


def refused_download(folder: Path, service: str, body: Any, key: str = ODD_KEY) -> TranslationClientError:
    def respond(request: requests.PreparedRequest) -> requests.Response:
        is_file = "/files/" in str(request.url) or "/audio/" in str(request.url) or str(request.url).endswith("/f")
        return response(404, b"") if is_file else response(200, json.dumps(body).encode())

    session = requests.Session()
    session.mount("http://", FunctionAdapter(respond))
    headers = {"X-Mine": HEADER}
    client = VideoTranslationClient(HOST, service=service, api_key=key, headers=headers, session=session, max_faults=1)
    with pytest.raises(TranslationClientError) as caught:
        client.download(HEADER, folder / "file", language="es" if service == "elevenlabs" else None)
    return caught.value


@pytest.mark.parametrize("key", ["k3y-in-lower-case", "K3y-In-Mixed-Case"])
def test_a_key_in_a_media_type_is_redacted(key: str) -> None:
    """Media types are shown in lower case, which may restore a key that was echoed in upper case."""
    for echo in {key, key.upper()} if key.islower() else {key}:
        fault = Fault("unreadable", "in place of the file", media_type=f" Image/X.{echo} ")
        assert str(fault) == "in place of the file"
        fault.redact(Redactor([key]))
        assert str(fault) == "image/x.[redacted] in place of the file"


def test_a_short_key_is_not_redacted_within_a_word_of_an_error_message() -> None:
    """A mark there would reveal the key. As a whole word or number it is redacted."""
    fault = Fault("connection", "the file has 54321 of 99999 bytes")
    fault.redact(Redactor(["54321", "e", "file-"]))

    assert str(fault) == "the file has [redacted] of 99999 bytes"


TOKEN = "t0ken-of-a-caller"
PAIR = base64.b64encode(f"user:{TOKEN}".encode()).decode()
"""Its length is such that its base64 ends with padding."""

CREDENTIALS: list[tuple[str, dict[str, Any]]] = [
    ("heygen", {"headers": {"Authorization": f"Bearer {TOKEN}"}}),
    ("heygen", {"headers": {"authorization": f"bearer  {TOKEN}"}}),
    ("heygen", {"headers": {"X-API-KEY": f"Key {TOKEN}"}}),
    ("heygen", {"headers": {"Authorization": f'Token token="{TOKEN}", a=b'}}),
    ("reference", {"headers": {"Proxy-Authorization": f"Token {TOKEN}"}}),
    ("reference", {"headers": {"Cookie": f"a=b; sid={TOKEN}"}}),
    ("reference", {"headers": {"Authorization": f"Basic {PAIR}"}}),
    ("reference", {"headers": {"Authorization": f"Basic {PAIR.rstrip('=')}"}}),
    ("reference", {"api_key": f"bearer {TOKEN}"}),
    ("reference", {"api_key": f"Basic {PAIR}"}),
    ("reference", {"api_key": lambda: f"bearer {TOKEN}"}),
    ("reference", {"api_key": lambda: f"Basic {PAIR}"}),
    ("reference", {"base_url": f"http://user:{TOKEN}@fake.test"}),
]


def test_the_base64_of_the_basic_credentials_has_padding() -> None:
    """Without padding, two of the `CREDENTIALS` would be the same."""
    assert PAIR.endswith("=")


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize(("service", "arguments"), CREDENTIALS)
def test_a_credential_is_redacted_without_its_scheme(kind: type[Any], service: str, arguments: dict[str, Any]) -> None:
    """A server may echo only the token after `Bearer`, or only the password of `Basic` credentials."""
    client = kind(**{"base_url": HOST, "service": service, **arguments})
    sent = dict(client._transport._credentials())  # adds a rotating key to the redactor
    secrets = client._context.redactor

    assert secrets.redact(f"no {TOKEN}!") == "no [redacted]!"
    if "Basic" in str(sent):
        assert secrets.redact(f"no {PAIR}!") == "no [redacted]!"
        assert TOKEN not in secrets.redact(f"no user:{TOKEN}!")
        assert secrets.redact("superuser") == "superuser"


@pytest.mark.parametrize("with_proof", ["headers", "bytes", "auth", "another auth"])
def test_credentials_of_a_requests_session_are_redacted(clock: Clock, with_proof: str) -> None:
    """They are in its headers or its `auth` when the client is created."""
    session = requests.Session()
    body = json.dumps({"error": {"code": "bad", "message": f"Invalid API key: {TOKEN}"}}).encode()
    session.mount("http://", FunctionAdapter(lambda _: response(401, body)))
    if with_proof == "headers":
        session.headers["X-Api-Key"] = TOKEN
    elif with_proof == "bytes":
        session.headers["Authorization"] = f"Bearer {TOKEN}".encode()  # type: ignore[assignment]  # it is taken
    else:
        session.auth = ("user", TOKEN) if with_proof == "auth" else requests.auth.HTTPBasicAuth("user", TOKEN)
    client = VideoTranslationClient(HOST, service="heygen", session=session, sleep=clock.tick)
    with pytest.raises(TranslationClientError, match=r"Invalid API key: \[redacted\]") as caught:
        client.check("j")

    assert TOKEN not in shown_texts(caught.value)


def test_credentials_of_an_aiohttp_session_are_redacted() -> None:
    """They are in its default headers, or in its `auth`."""

    async def action() -> None:
        for header, pair in ({"Authorization": f"Bearer {TOKEN}"}, None), (None, ("user", TOKEN)):
            with warnings.catch_warnings():  # aiohttp 3.14 deprecates `auth`
                warnings.simplefilter("ignore")
                session = aiohttp.ClientSession(headers=header, auth=pair and aiohttp.BasicAuth(*pair))
            async with session:
                client = CLIENTS[1](HOST, service="heygen", session=session)
                assert client._context.redactor.redact(f"no {TOKEN}!") == "no [redacted]!"

    asyncio.run(action())


def test_short_values_beside_credentials_are_not_redacted() -> None:
    """A setting in a cookie, the name of a user, the value of a header that is not for credentials."""
    client = VideoTranslationClient(
        HOST, headers={"Cookie": "lang=en; x=1", "Authorization": "Basic dXNlcjpwdzEy", "X-Other": "Bearer pend"}
    )
    text = "pending, users, 1 en, pend, pw12"

    assert client._context.redactor.redact(text) == "pending, users, 1 en, pend, [redacted]"


def broken_hook(*_: Any, **__: Any) -> NoReturn:
    raise LookupError("of the caller's")


async def broken_trace(*_: Any) -> None:
    raise LookupError("of the caller's")


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("key", [KEY, lambda: KEY])
def test_local_variables_of_the_package_in_a_traceback_show_no_key(kind: type[Any], key: Any) -> None:
    """An error tracker shows them if a hook of the caller's own session raises."""

    async def action(url: str) -> None:
        if kind is VideoTranslationClient:
            with requests.Session() as session:
                session.hooks["response"].append(broken_hook)
                kind(url, api_key=key, session=session).check("j")
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(broken_trace)
        async with aiohttp.ClientSession(trace_configs=[trace]) as traced:
            await kind(url, api_key=key, session=traced).check("j")

    with serving(answering(http())) as server, pytest.raises(LookupError, match="of the caller's") as caught:
        asyncio.run(action(server.url))
    assert_no_key_in_our_locals(caught.value)


@pytest.mark.parametrize("key", [KEY, lambda: KEY])
def test_local_variables_show_no_key_if_the_auth_of_a_session_raises(key: Any) -> None:
    """`auth` is called while the headers of the request are put together."""
    session = requests.Session()
    session.auth = broken_hook
    with pytest.raises(LookupError, match="of the caller's") as caught:
        VideoTranslationClient(HOST, service="heygen", api_key=key, session=session).check("j")

    assert_no_key_in_our_locals(caught.value)


def assert_no_key_in_our_locals(error: BaseException) -> None:
    stack = traceback.TracebackException.from_exception(error, capture_locals=True).stack
    ours = [one for one in stack if Path(one.filename).is_relative_to(Path(translation_client.__file__).parent)]
    assert {"send", "_send_following_redirects"} <= {one.name for one in ours}
    assert KEY not in str([one.locals for one in ours])


def test_only_the_latest_rotated_keys_are_kept() -> None:
    """A wait without end may fetch a new key each time, which must not fill the memory."""
    client = Redactor(["user"])
    call = client
    for number in range(1000):
        client.add_key((f"token-{number}",))
        call = call.with_keys((f"token-{number}",))

    assert call.redact("token-999 token-995 user") == "[redacted] [redacted] [redacted]"
    assert call.redact("token-5") == "token-5"
    assert len(call._forms.rotated) == 2 * MAX_ROTATED_KEYS
    assert client.with_keys(()) is client
    assert client.with_keys(("a",)) is client.with_keys(("a",))
    assert client.with_link("http://f.test/x?sig=s3cr3t").with_keys(("t0ken",)).redact("s3cr3t t0ken token-999") == (
        "[redacted] [redacted] [redacted]"
    )


@pytest.mark.parametrize(("key", "kind"), [("", ValueError), ("a\nb", ValueError), (None, TypeError), (7, TypeError)])
def test_an_invalid_key_from_an_api_key_function_is_refused(clock: Clock, key: Any, kind: type[Exception]) -> None:
    """The rules are those for a fixed key. No request is sent."""
    setup = ClientSetup(clock, "heygen", api_key=lambda: key)
    with pytest.raises(kind, match=r"what api_key\(\) returns"):
        setup.submit()
    assert setup.lab.arrivals == []


def test_a_class_as_api_key_is_refused() -> None:
    """It can be called, but is not meant as a function that returns a key."""
    with pytest.raises(TypeError, match="api_key"):
        VideoTranslationClient(HOST, api_key=str)


Echo = Callable[[requests.PreparedRequest], requests.Response]


def echoing(code: int, shape: Callable[[str], Any], **headers: str) -> Echo:
    """Return a function that echoes the request line, the headers, the body and the base64 of the key."""

    def respond(request: requests.PreparedRequest) -> requests.Response:
        body = request.body.decode() if isinstance(request.body, bytes) else str(request.body)
        echoed = (
            f"{request.method} {request.url} {dict(request.headers)} {body} {base64.b64encode(KEY.encode()).decode()}"
        )
        content = shape(echoed)
        return response(code, content if isinstance(content, bytes) else json.dumps(content).encode(), **headers)

    return respond


SHAPES: tuple[Callable[[str], Any], ...] = (
    lambda echoed: {"error": {"code": echoed, "message": echoed}},
    lambda echoed: {"detail": {"status": echoed, "message": echoed}},
    lambda echoed: {"detail": [{"loc": ["body", echoed], "msg": echoed}]},
    lambda echoed: {"type": echoed, "title": echoed, "detail": echoed},
    lambda echoed: {
        "data": {"id": echoed, "status": echoed, "failure_message": echoed, "video_url": echoed},
        "result": echoed,
    },
    lambda echoed: {echoed: {echoed: [echoed]}},
    lambda echoed: f"<html>{echoed}".encode(),
    lambda echoed: {"data": {"languages": [echoed], "video_translation_ids": [[echoed]]}},
    lambda echoed: {
        "data": {"status": "running", "output_language": echoed},
        "status": "dubbed",
        "target_languages": [echoed],
    },
)
CODES = (200, 204, 302, 400, 401, 403, 404, 409, 425, 429, 500, 503)


@pytest.mark.exhaustive
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("code", CODES)
def test_no_text_shows_a_key_that_a_server_echoes(
    clock: Clock, lines: LogLines, tmp_path: Path, service: str, code: int
) -> None:
    """Not a message, traceback, repr, pickle or log line. No log line has the signature of the video link either."""
    for shape in SHAPES:
        session = requests.Session()
        session.mount("http://", FunctionAdapter(echoing(code, shape, retry_after=f"soon {KEY}")))
        client = VideoTranslationClient(
            HOST + PATH.get(service, ""),
            service=service,
            api_key=lambda: KEY,
            headers={"X-Mine": "header-of-the-caller"},
            session=session,
            sleep=clock.tick,
            max_faults=2,
            max_retries=1,
            timeout=60,
        )
        for action in (
            lambda: client.submit(VIDEO, LANGUAGE[service]),  # noqa: B023  # called at once
            lambda: client.wait("job-1"),  # noqa: B023
            lambda: client.download("job-1", tmp_path / "out"),  # noqa: B023
            lambda: client.delete("job-1"),  # noqa: B023
            lambda: client.check_all(["job-1"]),  # noqa: B023
            lambda: client.languages() and None,  # noqa: B023  # the list itself is data
        ):
            assert_shows_no_key(action)
        assert KEY not in repr(client)
    written = json.dumps(lines)
    for secret in (KEY, "header-of-the-caller", SIGNATURE):
        assert secret not in written


def assert_shows_no_key(action: Callable[[], object]) -> None:
    try:
        shown = repr(action())
    except TranslationClientError as error:
        shown = f"{error} {shown_texts(error)}"
    except ValueError as error:  # the target language is not in the echoed list
        shown = str(error)
    for secret in (KEY, "header-of-the-caller", base64.b64encode(KEY.encode()).decode()):
        assert secret not in shown


def test_the_signature_of_a_result_link_is_in_no_error_log_line_or_repr(
    clock: Clock, lines: LogLines, tmp_path: Path
) -> None:
    """Anyone who has the signed link can download the file."""
    setup = ClientSetup(clock, "heygen", Scenario(0, faults=["result/every-1:503"]))
    job = setup.finished()

    with pytest.raises(TranslationClientError) as caught:
        setup.client.download(job, tmp_path / "out.mp4")
    assert "/_files/" in str(caught.value)
    for shown in (str(caught.value), "".join(traceback.format_exception(caught.value)), json.dumps(lines), repr(job)):
        assert "signature=" not in shown


ODD_TARGETS = [
    "http://evil.test\\@fake.test/x",
    "http://evil.test\\.fake.test/x",
    "http://evil.test/@fake.test",
    "http://fake.test@evil.test/x",
    "http://fake.test:80@evil.test/x",
    "http://fake.test\x09.evil.test/x",
    "http://evil.test#@fake.test/x",
    "http://evil.test?@fake.test/x",
    "//evil.test/x",
    "http:\\\\evil.test/x",
    "https://fake.test/x",
    "http://fake.test:81/x",
    "HTTP://EVIL.test/x",
]


@pytest.mark.parametrize("target", ODD_TARGETS)
def test_no_spelling_of_a_url_makes_the_client_send_a_key_to_another_origin(
    clock: Clock, tmp_path: Path, target: str
) -> None:
    """The URL is in a redirect, in a result link, and in `Operation-Location`."""
    requested: list[tuple[str, bool]] = []

    def respond(request: requests.PreparedRequest) -> requests.Response:
        requested.append((str(request.url), KEY in str(request.headers)))
        if str(request.url).startswith(HOST):
            body = json.dumps({"status": "Succeeded", "result": {"translatedVideoFileUrl": target}}).encode()
            code = 302 if "/iterations/lured" in str(request.url) else 200
            return response(code, body, operation_location=target, location=target)
        return response(200, b'{"status": "Succeeded"}')

    session = requests.Session()
    for prefix in ("http://", "https://"):
        session.mount(prefix, FunctionAdapter(respond))
    client = VideoTranslationClient(
        HOST, service="azure", api_key=KEY, session=session, sleep=clock.tick, max_faults=1, headers={"X-Mine": KEY}
    )
    with suppress(TranslationClientError):  # a response whose link is no URL is not usable
        client.submit(VIDEO, "es-ES")
    with suppress(TranslationClientError):
        client.check("lured")
    with suppress(TranslationClientError):
        client.download("job-1", tmp_path / "out")
    assert {url for url, has_key in requested if has_key and not url.startswith(f"{HOST}/")} == set()
    assert any(has_key for _, has_key in requested)


def test_a_bearer_token_is_sent_in_the_authorization_header(clock: Clock) -> None:
    """A token of OAuth for HeyGen or of Entra for Azure is known by its first word, also if a function returns it."""
    for service, key in (("heygen", "Bearer token-of-oauth"), ("azure", lambda: "Bearer token-of-oauth")):
        setup = ClientSetup(clock, service, api_key=key)
        setup.submit()
        assert {arrival.headers.get("Authorization") for arrival in setup.lab.arrivals} == {"Bearer token-of-oauth"}
        assert setup.client._context.redactor.redact("say token-of-oauth") == "say [redacted]"


def test_an_api_key_function_is_not_called_for_a_request_without_a_key(clock: Clock, tmp_path: Path) -> None:
    """A download from storage at another origin has no key."""
    calls: list[str] = []

    def key() -> str:
        calls.append(KEY)
        return KEY

    setup = ClientSetup(clock, "heygen", Scenario(0), api_key=key)
    job = setup.finished()
    before = len(calls)
    setup.client.download(job, tmp_path / "out.mp4")

    assert len(calls) == before


def test_parts_of_the_signed_link_of_a_video_are_redacted(clock: Clock) -> None:
    """A server may echo the signature alone, or a part of the query."""
    for echoed in (SIGNATURE, f"signature={SIGNATURE}&x", f"...{SIGNATURE}"):
        body = json.dumps({"error": {"code": "bad", "message": f"cannot fetch {echoed}"}}).encode()
        session = requests.Session()
        session.mount("http://", FunctionAdapter(lambda _, body=body: response(400, body)))  # type: ignore[misc]  # one argument
        client = VideoTranslationClient(HOST, session=session, sleep=clock.tick)
        with pytest.raises(TranslationClientError, match="cannot fetch") as caught:
            client.submit(VIDEO, "es")
        assert SIGNATURE not in str(caught.value)


@pytest.mark.parametrize(
    "video",
    [
        " https://b.test/x?sig=s3cr3t",
        "https:/b.test/x?sig=s3cr3t",
        "ftp://user:s3cr3t@host/x",
        "ftp://host/x#s3cr3t",
        "//user:s3cr3t@host/x",
        "https:/user:s3cr3t@host/x",
        "https:user:s3cr3t@host/x",
        "ftp://user:p@s3cr3t@host/x",
        "user:s3cr3t@host/x",
        "ftp://user:s3cr3t#x@host/x",
        "ftp://s3cr3t?x@host/x",
        "https:/s3cr3t@host/x",
    ],
)
def test_a_mistyped_video_link_is_shown_without_its_secrets(clock: Clock, video: str) -> None:
    """It may be a signed link, or have a password."""
    with pytest.raises(ValueError, match="video must be") as caught:
        ClientSetup(clock, "heygen").client.submit(video, "French")
    assert "s3cr3t" not in str(caught.value)


def test_a_job_whose_id_contains_the_key_is_usable_and_redacted_in_texts(
    clock: Clock, lines: LogLines, tmp_path: Path
) -> None:
    """The job has been paid for: requests for its status and for its deletion have the id as the service sent it."""
    job_id = f"job-{KEY}"
    arrived: list[str] = []

    def respond(request: requests.PreparedRequest) -> requests.Response:
        arrived.append(str(request.url))
        return response(200, json.dumps({"id": job_id, "result": "pending"}).encode())

    session = requests.Session()
    session.mount("http://", FunctionAdapter(respond))
    client = VideoTranslationClient(HOST, api_key=KEY, session=session, sleep=clock.tick, max_retries=1)
    job = client.submit(VIDEO, "es")
    shown = repr(job) + repr(client.check(job))
    for action in (lambda: client.wait(job), lambda: client.download(job, tmp_path / "out")):
        with pytest.raises(TranslationClientError) as caught:
            action()
        assert caught.value.job_id == job_id
        assert caught.value.args[1]["job_id"] == job_id
        shown += f"{caught.value!r} {''.join(traceback.format_exception(caught.value))} {caught.value.job!r}"
    client.delete(job)

    assert job.id == job_id
    assert {url.removeprefix(HOST) for url in arrived} == {"/jobs", f"/status/{job_id}", f"/jobs/{job_id}"}
    assert KEY not in shown + json.dumps(lines)
    assert "job-[redacted]" in shown
    assert "job-[redacted]" in json.dumps(lines)


def test_user_information_query_and_fragment_of_a_link_are_not_shown(clock: Clock, tmp_path: Path) -> None:
    """The error of a failed download has the rest of the link."""
    body = json.dumps(
        {"data": {"status": "completed", "video_url": "http://user:passw0rd@files.test/f?a=s3cr3t#s3cr3t"}}
    )

    def respond(request: requests.PreparedRequest) -> requests.Response:
        return response(404, b"") if "files.test" in str(request.url) else response(200, body.encode())

    session = requests.Session()
    session.mount("http://", FunctionAdapter(respond))
    client = VideoTranslationClient(HOST, service="heygen", api_key=KEY, session=session, sleep=clock.tick)
    with pytest.raises(TranslationClientError, match=r"\(http://files\.test/f\)") as caught:
        client.download("job-1", tmp_path / "out")
    assert "passw0rd" not in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_a_signed_link_that_storage_echoes_is_redacted(clock: Clock, tmp_path: Path) -> None:
    """The body has the whole link, and its signature alone."""
    data = json.dumps({"data": {"status": "completed", "video_url": f"http://files.test/f?sig={SIGNATURE}&x=1"}})

    def respond(request: requests.PreparedRequest) -> requests.Response:
        if "files.test" not in str(request.url):
            return response(200, data.encode())
        return response(404, json.dumps({"message": f"no {request.url}, nor {SIGNATURE}"}).encode())

    session = requests.Session()
    session.mount("http://", FunctionAdapter(respond))
    client = VideoTranslationClient(HOST, service="heygen", api_key=KEY, session=session, sleep=clock.tick)
    with pytest.raises(TranslationClientError) as caught:
        client.download("job-1", tmp_path / "out")
    assert SIGNATURE not in f"{caught.value} {shown_texts(caught.value)}"


def test_a_submission_whose_response_echoes_the_key_shows_it_in_no_text(clock: Clock, lines: LogLines) -> None:
    """The payload is what the service sent. The repr and the log lines have no signature of the video link either."""
    session = requests.Session()
    echo = json.dumps({"id": "job-1", "echo": KEY, "video": VIDEO}).encode()
    session.mount("http://", FunctionAdapter(lambda _: response(200, echo)))
    job = VideoTranslationClient(HOST, api_key=KEY, session=session, sleep=clock.tick).submit(VIDEO, "es")

    assert (job.id, job.payload) == ("job-1", json.loads(echo))
    for secret in (KEY, SIGNATURE):
        assert secret not in repr(job) + json.dumps(lines)


@pytest.mark.parametrize("key", ["job", "b", "1", "es"])
def test_a_short_key_does_not_prevent_a_submission(clock: Clock, key: str) -> None:
    """It may be a part of the id, or be the language, by chance. The job has been paid for."""
    assert ClientSetup(clock, "heygen", api_key=key).submit(idempotency_key="order-1").id == "job-1"


@pytest.mark.parametrize("password", ["test", "1", "p4ssw0r"])
def test_a_short_password_of_a_session_is_not_redacted_in_ids(password: str) -> None:
    """It may be a part of any id by chance. As a whole word it is redacted in other texts."""
    session = requests.Session()
    session.auth = ("user", password)
    secrets = VideoTranslationClient(HOST, session=session)._context.redactor

    assert secrets.redact_id(f"{password}-1") == f"{password}-1"
    assert secrets.redact(f"wrong password: {password}.") == "wrong password: [redacted]."


@pytest.mark.parametrize("password", ["test", "1", "p4ssw0r"])
def test_a_short_password_in_base_url_is_redacted_even_within_a_word(password: str) -> None:
    """The service gets it with each request, and may echo it in any text."""
    secrets = VideoTranslationClient(f"http://user:{password}@host.test")._context.redactor

    assert password not in secrets.redact(f"X{password}Y")


@pytest.mark.parametrize("client", [VideoTranslationClient, AsyncVideoTranslationClient])
def test_a_header_of_the_caller_replaces_the_default_header_of_the_same_name(client: type[Any]) -> None:
    """Names are compared without regard to case, and the header is sent once (RFC 9110, section 5.1)."""
    headers = {"x-api-key": "mine-of-headers", "user-agent": "mine/1"}
    arguments: Any = {
        "service": "heygen",
        "api_key": KEY,
        "headers": headers,
        "logger": SilentLogger(),
        "max_faults": 1,
    }
    raw_response = b'HTTP/1.1 200 OK\r\nContent-Length: 31\r\n\r\n{"data": {"status": "running"}}'
    with serving(answering(raw_response)) as server:

        async def check() -> None:
            checking = client(server.url, **arguments)
            try:
                await finished(lambda: checking.check("j"))
            finally:
                await finished(checking.close)

        asyncio.run(check())

    head = server.requests[0].decode("latin-1").lower()
    assert (head.count("x-api-key:"), head.count("user-agent:")) == (1, 1)
    assert "x-api-key: mine-of-headers" in head
    assert "user-agent: mine/1" in head


def test_the_latest_rotated_keys_are_redacted_however_many_secrets_each_has() -> None:
    """A key that is used again counts as one of the latest."""
    secrets = Redactor()
    for number in range(MAX_ROTATED_KEYS):
        secrets.add_key((f"Basic of-key-{number}", f"of-key-{number}", f"user:of-key-{number}"))
    secrets.add_key(("Basic of-key-0", "of-key-0", "user:of-key-0"))
    secrets.add_key(("another-key",))

    text = " ".join(f"of-key-{number}" for number in range(MAX_ROTATED_KEYS))
    assert secrets.redact(text).split() == ["[redacted]", "of-key-1", *["[redacted]"] * (MAX_ROTATED_KEYS - 2)]


def test_a_redactor_with_a_link_still_redacts_keys_of_earlier_requests() -> None:
    """A download checks the status first, with a key that may have been rotated out since."""
    secrets = Redactor().with_keys(("rotated-key-123",)).with_link("https://host.test/file?sig=abcdefghij")

    assert secrets.redact("rotated-key-123 abcdefghij") == "[redacted] [redacted]"


@pytest.mark.parametrize(
    ("base_url", "message"),
    [("http://a%3Ab:s3cret@host.test", "colon in its user name"), ("http://user:s3cret%E9@host.test", "is not UTF-8")],
)
def test_user_information_that_basic_authentication_cannot_send_is_refused(base_url: str, message: str) -> None:
    """A server would read another user, or another password (RFC 7617, section 2)."""
    with pytest.raises(ValueError, match=message) as caught:
        VideoTranslationClient(base_url)
    assert "s3cret" not in str(caught.value)


def test_the_missing_key_error_names_no_variable_if_the_service_has_none() -> None:
    """It does not say "the environment variable None"."""
    service = Service(name="mine", status_path="/jobs/{job_id}", needs_key=True)
    with pytest.raises(ValueError, match=r"^api_key must be given: the service 'mine' requires one$"):
        VideoTranslationClient("http://host.test", service=service)


@pytest.mark.parametrize("in_url", [False, True])
@pytest.mark.parametrize("is_rotating", [False, True])
def test_a_bearer_token_never_replaces_an_authorization_header_of_the_caller(in_url: bool, is_rotating: bool) -> None:
    """A key that begins with Bearer goes to `Authorization`, whatever the key header of the service is."""
    token = "Bearer token-of-oauth"
    base_url = "http://user:pass@host.test" if in_url else "http://host.test"
    arguments: Any = {
        "service": "heygen",
        "api_key": (lambda: token) if is_rotating else token,
        "headers": {} if in_url else {"authorization": "own"},
    }
    if in_url and not is_rotating:
        with pytest.raises(ValueError, match="would share a header"):
            VideoTranslationClient(base_url, **arguments)
        return
    adapter = FunctionAdapter(lambda _: response(200, b'{"data": {"status": "running"}}'))
    session = requests.Session()
    session.mount("http://host.test", adapter)
    VideoTranslationClient(base_url, session=session, **arguments).check("j")

    assert adapter.requests[0].headers["Authorization"] == ("Basic dXNlcjpwYXNz" if in_url else "own")


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding"])
def test_a_client_refuses_headers_that_frame_a_body(name: str) -> None:
    """They would truncate the body of a submission."""
    with pytest.raises(ValueError, match=f"headers must not have '{name}'"):
        VideoTranslationClient(HOST, headers={name: "3"})


@pytest.mark.parametrize("key", ["clé-secrète-123456", "schlüssel-0123456".encode().decode("latin-1")])
@pytest.mark.parametrize(
    "echo",
    [
        lambda sent: base64.b64encode(sent).decode(),
        lambda sent: base64.b64encode(b"me:" + sent).decode(),
        quote,
        lambda sent: sent.decode("utf-8", "replace"),
        lambda sent: sent.decode("latin-1"),
    ],
    ids=["base64", "base64 of a pair", "percent", "UTF-8", "Latin-1"],
)
def test_a_non_ascii_key_is_redacted_in_echoes_of_its_latin_1_bytes(key: str, echo: Callable[[bytes], str]) -> None:
    """requests and aiohttp send headers in Latin-1."""
    echoed = echo(key.encode("latin-1"))
    shown = Redactor([key]).redact(f"bad key {echoed}!")

    assert "[redacted]" in shown
    assert echoed[4:-4] not in shown  # in base64 the digits at both ends may encode bits of other bytes too


@pytest.mark.parametrize(
    "echo",
    [
        lambda sent: sent.decode("latin-1"),
        lambda sent: sent.decode("cp1252"),
        lambda sent: repr(sent)[2:-1],
        lambda sent: json.dumps(sent.decode("latin-1"))[1:-1],
        lambda sent: html.escape(sent.decode("latin-1")).replace("\xc3", "&Atilde;"),
        lambda sent: quote(sent.decode("latin-1")),
    ],
    ids=["Latin-1", "Windows-1252", "bytes of Python", "JSON", "HTML", "percent"],
)
@pytest.mark.parametrize("is_header", [False, True])
def test_a_non_ascii_secret_is_redacted_however_its_bytes_are_decoded(
    echo: Callable[[bytes], str], is_header: bool
) -> None:
    """User information is sent in UTF-8, and a header in Latin-1."""
    secret = "p\xe9nguin-\xc9t\xe9-2024"
    if is_header:
        client = VideoTranslationClient(HOST, headers={"X-Mine": secret})
    else:
        client = VideoTranslationClient(f"http://svc:{quote(secret)}@host.test")

    shown = client._context.redactor.redact(f"bad {echo(secret.encode('latin-1' if is_header else 'utf-8'))}!")
    assert shown == "bad [redacted]!"


@pytest.mark.parametrize("key", [f"{KEY}\n", f" {KEY}", f"{KEY}\u2026"])
def test_local_variables_in_a_traceback_show_no_key_that_cannot_be_sent(key: str) -> None:
    """`api_key()` returns a key with white space at one end, or with a character beyond Latin-1."""
    with pytest.raises(ValueError, match="cannot be sent in a header") as caught:
        VideoTranslationClient(HOST, api_key=lambda: key).check("j")
    stack = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    ours = [one for one in stack if Path(one.filename).is_relative_to(Path(translation_client.__file__).parent)]
    assert ours[-1].name == "check_header_value"
    assert KEY not in str([one.locals for one in ours])


@pytest.mark.parametrize("make", [tuple, lambda pair: requests.auth.HTTPBasicAuth(*pair)])
def test_a_password_of_a_session_that_is_a_number_is_redacted(make: Callable[[tuple[str, int]], Any]) -> None:
    """requests sends it as text. The user name beside it is not redacted in ids."""
    session = requests.Session()
    session.auth = make(("job", 4711000815))
    secrets = VideoTranslationClient(HOST, session=session)._context.redactor

    assert secrets.redact("wrong password 4711000815") == "wrong password [redacted]"
    assert secrets.redact_id("job-17") == "job-17"


def test_the_repr_of_a_client_has_no_key_that_is_in_its_base_url() -> None:
    """Some gateways take the key in the path as well."""
    assert KEY not in repr(VideoTranslationClient(f"{HOST}/{KEY}/v1", api_key=KEY))


@pytest.mark.parametrize("name", ["Content-Length", "content-length", "Transfer-Encoding"])
def test_a_request_refuses_headers_that_frame_a_body(name: str) -> None:
    """aiohttp would send them, and truncate the body."""
    with pytest.raises(ValueError, match=f"must not have '{name}'"):
        Request("POST", "/jobs", {name: "3"}, json={"a": 1})


def test_keys_that_are_used_alternately_count_once_each() -> None:
    """The latest eight keys are eight different ones, however often each was used."""
    secrets = Redactor()
    for number in range(MAX_ROTATED_KEYS - 2):
        secrets.add_key((f"older-key-{number}",))
    for number in range(100):
        secrets.add_key((f"alternating-{number % 2}",))

    text = " ".join(
        [*(f"older-key-{number}" for number in range(MAX_ROTATED_KEYS - 2)), "alternating-0", "alternating-1"]
    )
    assert secrets.redact(text).split() == ["[redacted]"] * MAX_ROTATED_KEYS
    assert secrets._forms is secrets._forms, "the forms of all keys are made again at each use"


def test_a_key_that_several_threads_add_at_once_stays_redacted() -> None:
    """The threads also add other keys, and early ones are dropped meanwhile."""
    secrets = Redactor()

    def use(thread: int) -> None:
        for number in range(300):
            secrets.add_key((f"passing-{thread}-{number}",))
            secrets.add_key(("key-of-all",))
            assert secrets.redact("key-of-all") == "[redacted]"

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(use, range(4)))
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.parametrize("earlier", [0, MAX_ROTATED_KEYS, 4 * MAX_ROTATED_KEYS - 1, 4 * MAX_ROTATED_KEYS])
def test_a_key_that_two_threads_add_at_the_same_time_stays_redacted(earlier: int) -> None:
    """The other thread runs before each opcode in turn: of two uses at once the later one counts."""
    secrets = Redactor()

    def build() -> tuple[Callable[[], object], Callable[[], object]]:
        nonlocal secrets
        secrets = Redactor()
        for number in range(earlier):
            secrets.add_key((f"earlier-{number}",))
        return partial(secrets.add_key, ("key-of-both",)), partial(use_by_another_thread, secrets)

    def use_by_another_thread(secrets: Redactor) -> None:
        for number in range(2 * MAX_ROTATED_KEYS):
            secrets.add_key((f"passing-{number}",))
        secrets.add_key(("key-of-both",))

    for opcode in at_every_opcode(build):
        assert secrets.redact("key-of-both") == "[redacted]", f"opcode {opcode}"


ESCAPES: dict[str, Callable[[str], str]] = {
    "JSON": lambda text: json.dumps(text)[1:-1],
    "HTML": html.escape,
    "percent": lambda text: quote(text, safe=""),
    "form": quote_plus,
}


@pytest.mark.parametrize("key", ["a\\b-key-123", "50%25 off&amp;1", "we%41ird \\nkey12", "\"q' +/\tuote"])
@pytest.mark.parametrize("names", [*itertools.product(ESCAPES, repeat=3)], ids=" in ".join)
def test_a_key_that_looks_escaped_is_redacted_however_it_is_escaped(key: str, names: tuple[str, ...]) -> None:
    text = key
    for name in names:
        text = ESCAPES[name](text)

    assert Redactor([key]).redact(f"bad {text}!") == f"bad {MARK}!"


@pytest.mark.parametrize("line_break", ["\n", "\r\n", r"\n", r"\r\n"])
@pytest.mark.parametrize(
    "echo", [str, lambda key: base64.b64encode(f"me:{key}".encode()).decode()], ids=["plain", "base64"]
)
def test_a_key_that_is_split_by_line_breaks_is_redacted(echo: Callable[[str], str], line_break: str) -> None:
    """MIME splits base64 into lines (RFC 2045, section 6.8)."""
    key = "".join(f"key{number:03}" for number in range(40))
    for width in (1, 7, 64, 76):
        lines = line_break.join(re.findall(f".{{1,{width}}}", echo(key)))
        shown = Redactor([key]).redact(f"first{line_break}{lines}{line_break}last")

        assert shown.startswith(f"first{line_break}")
        assert shown.endswith(f"{line_break}last")
        assert MARK in shown
        assert len(shown) < 50, shown


def test_a_short_secret_that_is_split_by_a_line_break_is_not_redacted() -> None:
    text = "the job\r\nis pending\n"

    assert Redactor(["bis", "jobis-pending"], headers=["jobis"]).redact(text) == text


def test_merged_headers_show_no_key_in_a_traceback() -> None:
    """A custom service may pass a list in place of a mapping, which raises."""
    wrong: Any = [("a", "b")]
    try:
        merged_headers(KeyHeaders({"X-Api-Key": KEY}), wrong)
    except AttributeError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
        assert KEY not in shown.partition("in merged_headers")[2]
    else:
        pytest.fail("no error")


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("x abcdefghijklmnopq y", "x [redacted] y"),
        ("abcdefghij hijklmnopq", "[redacted] [redacted]"),
        ("abcdefghijhijklmnopq", "[redacted][redacted]"),
        ("abcdefghijklmnopqrstuv-", "[redacted]-"),
    ],
)
def test_secrets_that_overlap_are_redacted_completely(text: str, redacted: str) -> None:
    """One ends after the next has begun."""
    assert Redactor(["abcdefghij", "hijklmnopq", "opqrstuv"]).redact(text) == redacted


ESCAPED: dict[str, Callable[[str], str]] = {
    "percent": lambda text: quote(text, safe=""),
    "each of them": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "form": quote_plus,
    "HTML": lambda text: html.escape(text).replace("/", "&#x2F;"),
    "HTML numbers": lambda text: "".join(f"&#{ord(character)};" for character in text),
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON numbers": lambda text: "".join(
        character if character.isalnum() else f"\\u{ord(character):04X}" for character in text
    ),
}
NAMES = [*ESCAPED, *(f"{one} in {other}" for one in ESCAPED for other in ESCAPED)]


@pytest.mark.parametrize("name", NAMES)
def test_an_escaped_secret_that_contains_another_secret_is_redacted_as_a_whole(name: str) -> None:
    """A user name in a password, a header that begins a key, two keys that overlap; escaped once or twice."""
    inner, _, outer = name.partition(" in ")
    password, key, other = 'admin/2024#x"yz', "live/eu-9f8e7d6c", "9f8e7d6c+<tail&more>"

    def escaped(text: str) -> str:
        once = ESCAPED[inner](text)
        return ESCAPED[outer](once) if outer else once

    secrets = Redactor([password, key, other, "2024"], ["live"], users=["admin"])
    for text in (password, key, other, "live/eu-9f8e7d6c+<tail&more>"):
        assert secrets.redact(f"a {escaped(text)} z") == "a [redacted] z"
    assert secrets.redact("a livery, 100% & more z") == "a livery, 100% & more z"


SENT_PAIR = "svc:~~?>pw>?~~longer-p\xe9nguin"


@pytest.mark.parametrize(
    "names", [*itertools.product(ESCAPED, repeat=2), *((one,) for one in ESCAPED)], ids=" in ".join
)
@pytest.mark.parametrize("encoding", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_of_user_information_is_redacted_however_it_is_escaped(
    names: tuple[str, ...], encoding: Callable[[bytes], bytes]
) -> None:
    """Its `+`, `/` and `=` are escaped in JSON, HTML and links."""
    secrets = VideoTranslationClient(f"http://{quote(SENT_PAIR, safe=':')}@host.test")._context.redactor
    sent = encoding(SENT_PAIR.encode()).decode()
    for text in (sent, sent.rstrip("="), sent.replace("+", " "), sent.replace("/", "\\/")):
        escaped = text
        for name in names:
            escaped = ESCAPED[name](escaped)
        left = secrets.redact(f"Basic {escaped}.").removeprefix("Basic ").removesuffix(".")
        assert left.startswith(MARK)
        assert [left, *layers_of(left)][-1].rstrip("=") == MARK


def session_of(kind: type[Any]) -> Any:
    """Return a caller's session with a header, a cookie and auth of its own."""
    if kind is VideoTranslationClient:
        session = requests.Session()
        session.headers["X-Api-Key"] = "key-of-the-session"
        session.auth = ("user", "password-of-the-session")
        session.cookies.set("sid", "cookie-of-the-session")
        return session
    with warnings.catch_warnings():  # aiohttp 3.14 deprecates `auth`
        warnings.simplefilter("ignore")
        auth = aiohttp.BasicAuth("user", "password-of-the-session")
        cookies = {"sid": "cookie-of-the-session"}
        return aiohttp.ClientSession(headers={"X-Api-Key": "key-of-the-session"}, auth=auth, cookies=cookies)


async def used(kind: type[Any], url: str, session: Any, use: Callable[[Any], Any], **more: Any) -> None:
    """Use a client of either kind with a caller's session, and close both."""
    async with AsyncExitStack() as opened:
        opened.push_async_callback(finished, session.close)
        client = kind(url, session=session, logger=SilentLogger(), max_faults=1, **more)
        opened.push_async_callback(finished, client.close)
        await finished(lambda: use(client))


@contextmanager
def redirecting_away() -> Iterator[tuple[Server, Server]]:
    """Yield a server that redirects to another origin, and the server at that origin."""
    with serving(answering(http())) as other:
        target = other.url.replace("127.0.0.1", "localhost")
        with serving(answering(http("302 Found", b"", f"Location: {target}/a"))) as first:
            yield first, other


async def finished(call: Callable[[], Any]) -> None:
    """Call a function, and await its result if that is possible."""
    result = call()
    if inspect.isawaitable(result):
        await result


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("way", ["redirect", "result link"])
def test_credentials_of_a_session_are_not_sent_to_another_origin(kind: type[Any], way: str, tmp_path: Path) -> None:
    """Neither on a redirect, nor to the storage that a result link names."""
    video = http("200 OK", b"\0\0\0\x18ftypmp42" + bytes(1000))
    with serving(answering(http() if way == "redirect" else video)) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost") + "/file"
        link = json.dumps({"data": {"status": "completed", "url": elsewhere}}).encode()
        raw_response = http("302 Found", b"", f"Location: {elsewhere}") if way == "redirect" else http("200 OK", link)

        async def main() -> None:
            session = session_of(kind)
            if way == "redirect":
                await used(kind, first.url, session, lambda client: client.check("j"))
            else:
                use = lambda client: client.download("j", tmp_path / "file")  # noqa: E731  # as the other
                await used(kind, first.url, session, use, service="heygen")

        with serving(answering(raw_response, close=False)) as first:
            asyncio.run(main())

    proofs = (b"key-of-the-session", b"cookie-of-the-session", b"authorization: ")
    assert b"key-of-the-session" in first.requests[0]
    [request] = other.requests
    assert [proof for proof in proofs if proof in request.lower()] == []


def test_an_api_key_takes_precedence_over_the_auth_of_a_requests_session() -> None:
    """The `Authorization` header that requests sends has the key."""
    with serving(answering(http())) as server, session_of(VideoTranslationClient) as session:
        VideoTranslationClient(server.url, session=session, api_key=KEY, logger=SilentLogger()).check("j")
    assert f"authorization: bearer {KEY}".lower().encode() in server.requests[0].lower()


@pytest.mark.parametrize("source", ["auth", "netrc"])
@pytest.mark.parametrize("is_rotating", [False, True])
def test_an_api_key_beside_credentials_of_an_aiohttp_session_is_refused(
    source: str, is_rotating: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiohttp sends only one of the two, so the caller has to decide which. No request is sent."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    key: Any = (lambda: KEY) if is_rotating else KEY

    async def main() -> None:
        kind = AsyncVideoTranslationClient
        session = session_of(kind) if source == "auth" else aiohttp.ClientSession(trust_env=True)
        with pytest.raises(ValueError, match="leave out one of the two"):
            await used(kind, server.url, session, lambda client: client.check("j"), api_key=key)

    with serving(answering(http())) as server:
        asyncio.run(main())
    assert server.requests == []


def test_an_aiohttp_session_of_a_subclass_is_used_without_a_copy() -> None:
    """Attributes that it sets on itself are kept there, although a key is sent."""

    async def main() -> int:
        with warnings.catch_warnings():  # aiohttp warns about subclasses of ClientSession
            warnings.simplefilter("ignore")

            class Counting(aiohttp.ClientSession):
                calls = 0

                async def _request(self, *positional: Any, **more: Any) -> Any:
                    vars(self)["calls"] = self.calls + 1
                    return await super()._request(*positional, **more)

            session = Counting()
            async with session, AsyncVideoTranslationClient(server.url, session=session, api_key=KEY) as client:
                for _ in range(3):
                    await client.check("j")
                return session.calls

    with serving(answering(http())) as server:
        assert asyncio.run(main()) == 3


@pytest.mark.parametrize("way", ["default", "environment"])
def test_a_request_to_another_origin_uses_the_proxy_of_the_session(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not send the default headers of the session."""
    responses = [http("302 Found", b"", "Location: http://elsewhere.test/a"), http()]

    async def main() -> None:
        proxy: dict[str, Any] = {"proxy": server.url} if way == "default" else {"trust_env": True}
        session = aiohttp.ClientSession(headers={"X-Secret": "of-the-session"}, **proxy)
        url = "http://service.test"
        await used(AsyncVideoTranslationClient, url, session, lambda client: client.check("j"), api_key=KEY)

    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(answering(*responses)) as server:
        if way == "environment":
            monkeypatch.setenv("http_proxy", server.url.replace("://", "://someone:else@"))
        asyncio.run(main())
    proofs = [b"Proxy-Authorization: Basic c29tZW9uZTplbHNl" in request for request in server.requests]
    assert proofs == [way == "environment"] * 2
    targets = [request.split(b" ", 2)[1] for request in server.requests]
    assert targets == [b"http://service.test/status/j", b"http://elsewhere.test/a"]
    assert [b"of-the-session" in request for request in server.requests] == [True, False]


def test_a_request_to_another_origin_uses_the_subclass_of_the_session() -> None:
    """It has no headers of the session, unless a method was replaced on it: a mock must not lead to the network."""
    seen: list[str] = []

    async def main(*, is_replaced: bool) -> None:
        with warnings.catch_warnings():  # aiohttp warns about subclasses and about attributes that are set
            warnings.simplefilter("ignore")

            class Session(aiohttp.ClientSession):
                async def _request(self, *positional: Any, **more: Any) -> Any:
                    seen.append(positional[1].host)
                    return await super()._request(*positional, **more)

            session = Session(headers={"X-Secret": "of-the-session"})
            if is_replaced:
                session.request = partial(session.request)  # type: ignore[method-assign]  # as decorators do
        await used(AsyncVideoTranslationClient, first.url, session, lambda client: client.check("j"))

    for is_replaced in (False, True):
        with redirecting_away() as (first, other):
            asyncio.run(main(is_replaced=is_replaced))
        assert b"of-the-session" in first.requests[0]
        assert (b"of-the-session" in other.requests[0]) is is_replaced
    assert seen == ["127.0.0.1", "localhost"] * 2


def test_credentials_of_a_netrc_are_not_sent_to_another_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are for requests that the caller makes to the host, and not for a redirect to it."""
    (tmp_path / "netrc").write_text("machine localhost login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    async def main() -> None:
        session = aiohttp.ClientSession(trust_env=True)
        await used(AsyncVideoTranslationClient, first.url, session, lambda client: client.check("j"))

    with redirecting_away() as (first, other):
        asyncio.run(main())
    assert b"authorization" not in other.requests[0].lower()


def test_a_closed_aiohttp_session_raises_and_sends_no_request(tmp_path: Path) -> None:
    """Also for a link to another origin, where a copy of the session would send the request."""

    async def main() -> None:
        session = session_of(AsyncVideoTranslationClient)
        await session.close()
        job = Job("j", TranslationStatus.COMPLETED, "completed", result_url=f"{server.url}/file")
        async with AsyncVideoTranslationClient("http://service.test", session=session, max_faults=1) as client:
            with pytest.raises(RuntimeError, match="Session is closed"):
                await client.download(job, tmp_path / "file")

    with serving(answering(http())) as server:
        asyncio.run(main())
    assert server.requests == []


@pytest.mark.skipif(not hasattr(aiohttp, "ClientHandlerType"), reason="aiohttp has no middlewares before 3.12")
def test_a_middleware_of_a_session_is_not_used_for_another_origin() -> None:
    """It may be what adds the credentials."""

    async def add(request: Any, handler: Any) -> Any:
        request.headers["X-Secret"] = "of-the-middleware"
        return await handler(request)

    async def main() -> None:
        session = aiohttp.ClientSession(middlewares=(add,))
        await used(AsyncVideoTranslationClient, first.url, session, lambda client: client.check("j"))

    with redirecting_away() as (first, other):
        asyncio.run(main())
    assert b"of-the-middleware" in first.requests[0]
    assert b"of-the-middleware" not in other.requests[0]


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("is_cross_origin", [False, True])
def test_user_information_in_a_redirect_is_ignored(kind: type[Any], is_cross_origin: bool) -> None:
    """At the same origin the key is sent, and at another one no `Authorization` header."""
    responses = [http(), http()]

    def handle(connection: socket.socket, server: Server) -> None:
        if len(server.requests) == 1:
            target = server.url.replace("127.0.0.1", "localhost") if is_cross_origin else server.url
            responses.insert(0, http("302 Found", b"", f"Location: {target.replace('://', '://u:p@')}/end"))
        connection.sendall(responses.pop(0))

    async def main() -> None:
        client = kind(server.url, api_key=KEY, logger=SilentLogger(), max_faults=1)
        try:
            await finished(lambda: client.check("j"))
        finally:
            await finished(client.close)

    with serving(handle) as server:
        asyncio.run(main())
    sent = re.findall(rb"(?i)authorization: ([^\r]*)", server.requests[1])
    assert sent == ([] if is_cross_origin else [f"Bearer {KEY}".encode()])


@pytest.mark.parametrize("kind", CLIENTS)
def test_credentials_of_a_request_are_not_sent_on_a_redirect_to_another_origin(kind: type[Any]) -> None:
    """A custom service may give its requests headers. Those without credentials are sent on."""
    headers = {"Authorization": "Bearer per-request", "Cookie": "c=per-request", "X-Trace": "kept"}

    async def main() -> None:
        client = kind(first.url)
        deadline = Deadline.after(60)
        try:
            await client._transport.send(Request("GET", "/go", headers), deadline, lambda: False, new_connection=False)
        finally:
            await finished(client.close)

    with redirecting_away() as (first, other):
        asyncio.run(main())
    assert b"per-request" in first.requests[0]
    assert b"per-request" not in other.requests[0]
    assert b"X-Trace: kept" in other.requests[0]
