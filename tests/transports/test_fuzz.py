"""Fuzzing of all that is parsed from the network: it becomes a value or an error of the package."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.adapters import BASE_URL, FunctionAdapter, response
from support.fixtures import SilentLogger
from urllib3 import HTTPResponse

from translation_client import (
    Job,
    RequestFailed,
    TranslationClientError,
    TranslationStatus,
    UnexpectedAnswer,
    VideoTranslationClient,
)
from translation_client._auth.redactor import Redactor
from translation_client._models import Fault, Response, parse_retry_after
from translation_client.services import SERVICES

pytestmark = pytest.mark.exhaustive

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["result", "error", "detail", "message", "title", "status", "progress", "id"])
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)

BODIES = st.one_of(
    JSON.map(lambda value: json.dumps(value).encode()),
    st.tuples(JSON, st.sampled_from(["utf-16", "utf-8-sig", "utf-32-be"])).map(
        lambda pair: json.dumps(pair[0], ensure_ascii=False).encode(pair[1], "replace")
    ),
    st.binary(max_size=200),
    st.sampled_from(
        [
            b"",
            b"[" * 200_000,
            b'{"result":' * 50_000,
            b"1" * 10_000,
            b'{"result": "\\ud800"}',
            b'{"result": NaN}',
            b"\x00",
        ]
    ),
)

DATES = st.from_regex(
    r"[A-Za-z]{0,4},? ?[0-9]{0,3} [A-Za-z]{3} [0-9]{0,5} [0-9:]{0,9} ?[A-Z+-]{0,4}[0-9]{0,5}", fullmatch=True
)
HINTS = st.text(max_size=30) | st.integers().map(str) | st.floats().map(str) | DATES
CODES = st.sampled_from([200, 201, 202, 204, 299, 301, 304, 400, 401, 404, 408, 422, 425, 429, 500, 503]) | st.integers(
    100, 999
)


def outcome_of(reply: requests.Response) -> Any:
    """Check a job once, with this response. Return the job or the error."""

    def respond(request: requests.PreparedRequest) -> requests.Response:
        reply.request = request
        return reply

    session = requests.Session()
    session.mount("http://", FunctionAdapter(respond))
    client = VideoTranslationClient(
        BASE_URL, session=session, max_faults=1, logger=SilentLogger(), api_key="k-1234567", sleep=lambda _: None
    )
    try:
        return client.check("some-job")
    except TranslationClientError as error:
        return error


@settings(max_examples=300)
@given(CODES, BODIES, st.dictionaries(st.sampled_from(["Retry-After", "Date", "Content-Type", "Location"]), HINTS))
@example(200, b'{"result": "completed"}', {"Retry-After": "Mon, 99 Foo 99999 99:99:99 GMT"})
@example(302, b"", {"Location": "http://[::1"})
@example(302, b"", {"Location": "//"})
@example(400, b'{"detail": "' + b"\xff" * 50 + b'"}', {})
def test_any_response_becomes_a_job_or_an_error_of_the_package(code: int, body: bytes, headers: dict[str, str]) -> None:
    """It has the id of the job, and an error its status code. The error survives a pickle."""
    reply = response(code, body, **{name.replace("-", "_"): value for name, value in headers.items()})
    result = outcome_of(reply)

    if isinstance(result, Job):
        assert 200 <= code < 300
        assert result.id == "some-job"
        assert isinstance(result.status, TranslationStatus)
        assert isinstance(result.raw_status, str)
    else:
        assert result.job_id == "some-job"
        assert str(pickle.loads(pickle.dumps(result))) == str(result)
    if isinstance(result, (RequestFailed, UnexpectedAnswer)) and "Location" not in headers:
        assert vars(result)["status_code"] == code


@pytest.mark.parametrize("name", SERVICES)
@given(BODIES)
def test_any_body_becomes_a_job_or_an_unreadable_fault(name: str, body: bytes) -> None:
    """In every service of `SERVICES`."""
    try:
        job = SERVICES[name].read_status(Response(200, {}, body), "j")
    except Fault as fault:
        assert fault.kind == "unreadable"
    else:
        assert isinstance(json.loads(body), dict)
        assert job.id == "j"


@settings(max_examples=500)
@given(HINTS, HINTS | st.none())
def test_any_retry_after_is_seconds_or_a_value_error(hint: str, date: str | None) -> None:
    """With any `Date`, or none. The seconds are finite and not negative."""
    headers = {"Retry-After": hint} if date is None else {"Retry-After": hint, "Date": date}
    try:
        seconds = parse_retry_after(headers)
    except ValueError:
        return
    assert seconds is not None
    assert 0 <= seconds < float("inf")


CODINGS = st.lists(st.sampled_from(["gzip", "deflate", "x-gzip", "identity", "br", "", "GZIP "]), max_size=4).map(
    ",".join
)
PACKERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zlib": zlib.compress, "none": bytes}


@settings(max_examples=300)
@given(
    CODINGS,
    st.sampled_from(list(PACKERS)),
    st.binary(max_size=100) | st.just(b'{"result": "completed"}'),
    st.integers(0, 60),
)
def test_any_packed_body_becomes_a_job_or_unexpected_answer(coding: str, packer: str, body: bytes, cut: int) -> None:
    """It is truncated anywhere, and has any `Content-Encoding`."""
    packed = PACKERS[packer](body)
    reply = response(200, b"", Content_Encoding=coding)
    reply.raw = HTTPResponse(
        io.BytesIO(packed[: max(0, len(packed) - cut)]), preload_content=False, decode_content=False
    )
    result = outcome_of(reply)

    assert isinstance(result, (Job, UnexpectedAnswer))


SECRET = "k3y-of-a-custom3r"
SPOILED = st.recursive(
    st.none()
    | st.integers()
    | st.text(max_size=5)
    | st.tuples(st.text(max_size=3), st.text(max_size=3)).map(SECRET.join),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3) | st.just(SECRET), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=300)
@given(SPOILED)
def test_a_secret_is_redacted_anywhere_in_a_json_value(value: object) -> None:
    """A value without it is unchanged, and the type of the value is kept."""
    redacted = Redactor([SECRET], []).redact(value)

    assert SECRET in json.dumps(value) or redacted == value
    assert SECRET not in json.dumps(redacted)
    assert type(redacted) is type(value)
