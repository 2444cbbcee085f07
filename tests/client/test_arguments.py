"""Arguments are checked before any request is sent, and the error names the argument and its value."""

import asyncio
import math
import re
import threading
from fractions import Fraction
from typing import Any

import pytest
import requests
import tenacity
from hypothesis import given
from hypothesis import strategies as st

from translation_client import VideoTranslationClient, _config
from translation_client._auth.urls import parse_base_url

URL = "http://127.0.0.1:9"


def made(name: str, value: Any) -> VideoTranslationClient:
    """Return a client with one argument that is not the default."""
    arguments: dict[str, Any] = {name: value}
    return VideoTranslationClient(URL, **arguments)


@pytest.mark.parametrize("name", ["timeout", "request_timeout", "max_delay", "backoff_factor"])
@pytest.mark.parametrize("value", [0, -1, -0.5, math.nan])
def test_durations_must_be_above_zero(name: str, value: float) -> None:
    """0 does not mean "no limit", and NaN is refused too."""
    with pytest.raises(ValueError, match=rf"{name} must be .*got {value!r}"):
        made(name, value)


@pytest.mark.parametrize("name", ["request_timeout", "max_delay", "backoff_factor", "jitter"])
def test_numbers_that_are_no_limits_must_be_finite(name: str) -> None:
    """Only `timeout`, `max_retries` and `max_faults` can be infinite."""
    with pytest.raises(ValueError, match=f"{name} must be .*got inf"):
        made(name, math.inf)


@pytest.mark.parametrize("name", ["timeout", "max_retries", "max_faults"])
def test_limits_can_be_infinite(name: str) -> None:
    """`math.inf` means no limit."""
    made(name, math.inf)


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_retries", -1), ("max_retries", 1.5), ("max_retries", math.nan), ("max_faults", 0), ("max_faults", 2.5)],
)
def test_counts_must_be_whole_numbers(name: str, value: float) -> None:
    """`max_retries` must be at least 0, and `max_faults` at least 1."""
    with pytest.raises(ValueError, match=f"{name} must be a whole number"):
        made(name, value)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_jitter_must_be_from_0_to_1(value: float) -> None:
    """It is a fraction, from nothing to the whole sleep."""
    with pytest.raises(ValueError, match="jitter must be from 0 to 1"):
        VideoTranslationClient(URL, jitter=value)


@pytest.mark.parametrize(
    "name",
    ["timeout", "max_retries", "request_timeout", "max_faults", "backoff_factor", "max_delay", "jitter"],
)
@pytest.mark.parametrize("value", [True, "3", [1]])
def test_an_argument_that_is_no_number_is_refused(name: str, value: Any) -> None:
    """A `bool` is refused too, although it is an `int` to Python."""
    with pytest.raises(TypeError, match=f"{name} must be a number"):
        made(name, value)


def test_a_number_too_large_for_a_float_is_refused() -> None:
    """`10 ** 400` is above 0, and cannot be waited for."""
    with pytest.raises(ValueError, match="timeout is too large"):
        VideoTranslationClient(URL, timeout=10**400)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:5000",
        "ftp://host",
        "http://",
        "http://:80",
        "http:///path",
        "http://host:99999",
        "http://host:0",
        "http://ho st",
        "http://host\n",
        "http://[::1",
        "http://host/?a=b",
        "http://host/#top",
        "http://" + "a" * 70 + ".test",
        "http://host:80\\@evil/",
        "http://h\ud800st",
    ],
)
def test_base_url_must_be_an_http_url_with_a_host(url: str) -> None:
    """Anything else fails when the client is created, and not at the first request."""
    with pytest.raises(ValueError, match="base_url must be an http"):
        VideoTranslationClient(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://u:s3cret@ho st",
        "http://u:s3cret\ud800@host",
        "u:s3cret@host",
        "http://u:s3cret#x@host/",
        "http://u:s3?cret@host",
        "http://u:s3cret",
        "http://u:s3cret/x",
        "http://[u:s3cret",
        "http:/u:s3cret",
        "http:u:s3cret",
        "u:s3cret",
        "http://u@x:s3cret",
        "http://@:s3cret",
        "http://h/?token=s3cret",
        "ftp://s3cret@h",
        "http://user:482913#x@host.test",
        "http://user:482913?6@host.test",
        "http://s3cret#abc@host.test",
        "http://s3cret?abc@host.test/x",
        "http://482913#x%40host.test",
        "http://user:482913",
        "http:/user:482913@host",
        "http://482913:67890#x@h",
    ],
)
def test_the_error_for_an_invalid_base_url_shows_no_secret(url: str) -> None:
    """User information and queries are neither in the message nor in its causes."""
    with pytest.raises(ValueError, match="base_url") as caught:
        VideoTranslationClient(url)

    error: BaseException | None = caught.value
    while error is not None:
        assert not re.search("s3|cret|482913|67890", str(error))
        error = error.__cause__ or error.__context__


def test_the_reference_service_needs_a_base_url() -> None:
    """The service has no default base URL."""
    with pytest.raises(ValueError, match="base_url must be given"):
        VideoTranslationClient()


def test_a_base_url_that_is_no_string_is_refused() -> None:
    """The message names the type `bytes`, and not the value."""
    with pytest.raises(TypeError, match="base_url must be a string, got a value of type bytes"):
        VideoTranslationClient(b"http://u:s3cret@host")  # type: ignore[arg-type]  # the point of the test


def test_parse_base_url_separates_the_user_information_from_the_url() -> None:
    """User information is percent-decoded and not in the repr. The path has no slash at its end."""
    split = parse_base_url("https://me:p%40ss@host:8443/api/v1/")

    assert (split.url, split.username, split.password) == ("https://host:8443/api/v1", "me", "p@ss")
    assert "p@ss" not in repr(split)


@pytest.mark.parametrize("key", ["s3cr3t\n", "\x00cr3t", " s3cr3t", "s3cr3t\r\nX: y", "cr3t€"])
def test_an_api_key_that_cannot_be_sent_is_refused_without_being_shown(key: str) -> None:
    """A newline from a key file is the common case."""
    with pytest.raises(ValueError, match="api_key cannot be sent") as caught:
        VideoTranslationClient(URL, api_key=key)

    assert "cr3t" not in str(caught.value)


def test_control_characters_in_user_information_are_refused() -> None:
    """They are percent-encoded here. The message does not show the password."""
    with pytest.raises(ValueError, match="base_url has a control character") as caught:
        VideoTranslationClient("http://u%0d%0aX:s3cret@host")

    assert "s3cret" not in str(caught.value)


def test_an_empty_api_key_is_refused() -> None:
    """Most likely it comes from an unset variable of a shell."""
    with pytest.raises(ValueError, match="api_key must not be empty"):
        VideoTranslationClient(URL, api_key="")


@pytest.mark.parametrize("headers", [{"X y": "1"}, {"": "1"}, {"X": "a\nb"}, {"X:": "1"}])
def test_headers_that_cannot_be_sent_are_refused(headers: dict[str, str]) -> None:
    """A line break in one could split a request in two."""
    with pytest.raises(ValueError, match="headers"):
        VideoTranslationClient(URL, headers=headers)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wait", 3),
        ("stop", "never"),
        ("wait", tenacity.wait_fixed),
        ("logger", 42),
        ("logger", print),
        ("sleep", 1.0),
        ("session", object()),
        ("headers", [("a", "b")]),
        ("headers", {"X": 1}),
        ("api_key", b"k"),
    ],
)
def test_arguments_of_a_wrong_type_are_refused(name: str, value: Any) -> None:
    """The message names the argument."""
    with pytest.raises(TypeError, match=name):
        made(name, value)


@pytest.mark.parametrize("service", ["heygen2", ""])
def test_an_unknown_service_is_refused(service: Any) -> None:
    """The message lists the known services."""
    with pytest.raises(ValueError, match="service must be one of azure, elevenlabs, heygen, reference"):
        VideoTranslationClient(URL, service=service)


@pytest.mark.parametrize("service", [None, 3, ["heygen"]])
def test_a_service_of_another_type_is_refused(service: Any) -> None:
    """The message lists the known services, too."""
    with pytest.raises(TypeError, match="service must be a Service or one of azure, elevenlabs, heygen, reference"):
        VideoTranslationClient(URL, service=service)


def test_a_value_of_another_type_for_queue_is_refused() -> None:
    """Before anything is sent."""
    client = VideoTranslationClient("http://127.0.0.1:9", max_faults=1)
    with pytest.raises(TypeError, match="queue must be True or False, got 3"):
        client.submit("https://example.test/film.mp4", "es", queue=3)  # type: ignore[arg-type]  # the mistake


def test_an_api_key_and_user_information_cannot_share_a_header() -> None:
    """One would silently replace the other."""
    with pytest.raises(ValueError, match="give one of them"):
        VideoTranslationClient("http://u:p@host", api_key="k")


@pytest.mark.parametrize("job", ["", ".", "..", "\ud800"])
def test_a_job_id_must_be_one_segment_of_a_path(job: str) -> None:
    """`..` would request another path."""
    with pytest.raises(ValueError, match="job must be the id of a job"):
        VideoTranslationClient(URL).check(job)


def test_a_job_that_is_neither_a_job_nor_a_string_is_refused() -> None:
    """An id is a string, and not a number."""
    with pytest.raises(TypeError, match="job must be a Job or its id"):
        VideoTranslationClient(URL).check(7)  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parametrize("method", ["wait", "watch", "get_status"])
def test_the_arguments_of_a_wait_are_checked_at_the_call(method: str) -> None:
    """Also those of `watch`, which does nothing else until it is iterated."""
    client = VideoTranslationClient(URL)

    with pytest.raises(ValueError, match="timeout must be"):
        getattr(client, method)(timeout=0)
    with pytest.raises(TypeError, match=r"cancel must be a threading\.Event"):
        getattr(client, method)(cancel=True)
    with pytest.raises(TypeError, match=r"cancel must be a threading\.Event"):
        getattr(client, method)(cancel=asyncio.Event())


def test_a_fraction_is_accepted_as_a_number_and_converted() -> None:
    """As a `Fraction`, it could not be formatted as a number in a message."""
    client = VideoTranslationClient(URL, timeout=Fraction(1, 2), max_faults=Fraction(3))  # type: ignore[arg-type]  # it is a Real

    assert (client._context.policy.timeout, client._context.policy.max_faults) == (0.5, 3)
    assert isinstance(client._context.policy.timeout, float)


def test_valid_arguments_are_accepted() -> None:
    """Among them are the lowest `max_retries` and `max_faults`, the highest `jitter`, and an empty header."""
    VideoTranslationClient(
        "https://host/api/",
        max_retries=0,
        backoff_factor=0.01,
        timeout=0.01,
        max_delay=1,
        jitter=1,
        request_timeout=1,
        max_faults=1,
        wait=lambda state: 1.0,
        stop=lambda state: False,
        sleep=lambda seconds: None,
        api_key="k",
        session=requests.Session(),
        headers={"X-Empty": ""},
    )
    assert _config.check_event("cancel", threading.Event()) is not None


@given(st.text(min_size=1))
def test_any_job_id_becomes_one_path_segment_or_raises_value_error(job_id: str) -> None:
    """Nothing in an id can reach another path, a query or a fragment."""
    try:
        segment = _config.quote_path_segment(job_id)
    except ValueError:
        return
    prepared = requests.Request("GET", f"http://host/status/{segment}").prepare()

    assert prepared.url is not None
    assert prepared.url.startswith("http://host/status/")
    assert not set("/?#").intersection(prepared.url.removeprefix("http://host/status/"))
