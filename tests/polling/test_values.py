"""The pure parts: hints, the policy's arithmetic, the rule of faults, and what the reference service says."""

import json
import math
from typing import Any

import pytest
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from requests.structures import CaseInsensitiveDict

from translation_client._clock import Deadline
from translation_client._config import jittered
from translation_client._models import (
    Fault,
    Refusal,
    Request,
    Response,
    TranslationStatus,
    parse_retry_after,
    status_line,
)
from translation_client._polling import last_check_delay
from translation_client.services import SERVICES, get_service
from translation_client.services.reference import REFERENCE

SECONDS = st.floats(min_value=0, max_value=1e6)
PART = st.floats(min_value=0, max_value=1)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3),
        (" 3 ", 3),
        ("0", 0),
        ("1.5", 1.5),
        ("Mon, 23 Nov 2026 09:00:07 GMT", 7),
        ("Monday, 23-Nov-26 09:00:07 GMT", 7),
        ("Mon Nov 23 09:00:07 2026", 7),
        ("Mon, 23 Nov 2026 08:59:00 GMT", 0),
        ("3, 3", 3),
        ("1,8", 8),
        ("nonsense, 3", 3),
        ("3, Mon, 23 Nov 2026 09:00:07 GMT,Mon, 23 Nov 2026 09:00:05 GMT", 7),
    ],
)
def test_hints_in_all_forms_of_the_rfc(value: str, seconds: float) -> None:
    """Seconds and the three forms of a date; one in the past is 0."""
    with freeze_time("2026-11-23T09:00:00"):
        assert parse_retry_after({"Retry-After": value}) == seconds
        kept_apart = CIMultiDict([("Retry-After", "0"), ("retry-after", value), ("RETRY-AFTER", "nonsense")])
        assert parse_retry_after(kept_apart) == seconds


def test_no_hint_is_none() -> None:
    """Which is not 0."""
    assert parse_retry_after({}) is None


def test_a_date_of_the_server_that_makes_no_sense_is_not_used() -> None:
    """Our own clock serves then."""
    with freeze_time("2026-11-23T09:00:00"):
        assert parse_retry_after({"Date": "now", "Retry-After": "Mon, 23 Nov 2026 09:00:07 GMT"}) == 7


@given(st.text())
def test_any_hint_is_seconds_or_a_value_error(value: str) -> None:
    """Nothing else leaves the parser, and nothing infinite."""
    try:
        seconds = parse_retry_after({"Retry-After": value})
    except ValueError:
        return
    assert seconds is not None
    assert 0 <= seconds < math.inf


@given(SECONDS, PART, SECONDS, PART)
def test_a_spread_delay_stays_in_its_range(delay: float, jitter: float, more: float, chance: float) -> None:
    """Never negative, never above the cap."""
    longest = delay + more
    moved = jittered(delay, jitter, longest, chance)

    assert 0 <= moved <= longest * (1 + 1e-9)
    assert delay * (1 - jitter) * (1 - 1e-9) <= moved <= delay * (1 + jitter) * (1 + 1e-9) + 1e-9


def test_at_the_cap_there_still_is_jitter() -> None:
    """Downwards."""
    assert [jittered(60, 0.5, 60, chance) for chance in (0, 0.5, 1)] == [30, 45, 60]


@given(st.floats(0, 1e6), st.floats(min_value=1e-3, max_value=1e6), st.floats(0, 100), PART)
def test_the_last_check_leads_by_what_the_contract_allows(
    left: float, timeout: float, slowest: float, part: float
) -> None:
    """At most a quarter of a second and twice the slowest answer; and it has the time that the latest one took."""
    latest = slowest * part
    seconds = last_check_delay(left, timeout, slowest, latest)

    assert seconds == 0 or latest <= left - seconds <= 0.25 + 2 * slowest + 1e-6


@pytest.mark.parametrize(
    ("left", "slowest", "latest", "seconds"),
    [
        (30, 0, 0, 29.75),
        (0.25, 0, 0, 0),
        (29.99, 0.01, 0.01, 29.72),
        (0.26, 0.01, 0.01, 0),
        (21, 9, 9, 2.75),  # one slow answer: the check that is answered for sure comes early …
        (18.24, 9, 0.01, 17.97),  # … and is not the last one, if it was fast
        (3.3, 1.7, 1.7, 1.35),  # no time for twice the slow one, but for once
        (5.25, 5, 5, 0),
        (6.0, 5, 5, 0.75),  # the latest check began 11 s before the deadline: one more, in time
        (4.5, 2, 2, 0.25),
        (math.inf, 5, 5, math.inf),
    ],
)
def test_when_the_last_check_has_to_start(left: float, slowest: float, latest: float, seconds: float) -> None:
    """Of thirty seconds; in how many seconds from now."""
    assert last_check_delay(left, 30, slowest, latest) == pytest.approx(seconds)


def test_a_deadline_without_end_never_passes() -> None:
    """`math.inf` has to be written."""
    assert Deadline.after(math.inf).remaining == math.inf
    assert not Deadline.after(math.inf).expired


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
def test_a_success_is_usable(code: int) -> None:
    """Also one that the registry does not know."""
    Response(code, {}, b"").raise_for_status()


@pytest.mark.parametrize(
    ("code", "kind"),
    [(408, "status"), (429, "status"), (500, "status"), (599, "status"), (304, "unreadable"), (100, "unreadable")],
)
def test_faults_by_status(code: int, kind: str) -> None:
    """What may be repeated."""
    with pytest.raises(Fault) as caught:
        Response(code, {}, b"").raise_for_status()

    assert (caught.value.kind, caught.value.status_code) == (kind, code)


@pytest.mark.parametrize("code", [400, 404, 418, 499])
def test_refusals_by_status(code: int) -> None:
    """What will be the same next time."""
    with pytest.raises(Refusal):
        Response(code, {}, b"").raise_for_status()


def test_a_status_is_named_in_the_registrys_words() -> None:
    """A server's own reason phrase could be anything."""
    assert [status_line(code) for code in (404, 299)] == ["HTTP 404 Not Found", "HTTP 299"]


def test_answers_hide_what_they_hold() -> None:
    """A traceback with locals shows them."""
    assert "s3cret" not in repr(Response(200, {"a": "s3cret"}, b"s3cret"))


@pytest.mark.parametrize("body", [b"", b"[1]", b"nope", b"\xff\xfe", b"[" * 100_000, b"9" * 10_000, b'{"a": 1', b'"x"'])
def test_what_is_no_json_object_is_none(body: bytes) -> None:
    """Also what makes a parser stumble in its own ways."""
    assert Response(200, {}, body).json_object() is None


def test_questions_of_the_reference_service() -> None:
    """The single job, and one of many, percent-encoded."""
    assert REFERENCE.status_request(None) == Request("GET", "/status")
    assert REFERENCE.status_request("a b/c?ü") == Request("GET", "/status/a%20b%2Fc%3F%C3%BC")


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("pending", "pending"),
        ("completed", "completed"),
        (" Completed ", "completed"),
        ("ERROR", "error"),
        ("cancelled", "error"),
        ("canceled", "error"),
        ("rejected", "error"),
        ("brewing", "pending"),
    ],
)
def test_words_of_the_reference_service(word: str, status: str) -> None:
    """Its own word is kept."""
    job = REFERENCE.read_status(Response(200, {}, json.dumps({"result": word}).encode()), "j1")

    assert (job.id, job.status, job.raw_status, job.payload) == ("j1", status, word, {"result": word})
    assert REFERENCE.is_known_status(word) is (word != "brewing")


def test_what_else_an_answer_may_say() -> None:
    """Progress from 0 to 1, where the result is, what went wrong."""
    body = {"result": "error", "progress": 0.5, "result_url": "https://x/y", "error": "no speech"}
    job = REFERENCE.read_status(Response(200, {}, json.dumps(body).encode()), None)

    assert (job.progress, job.result_url, job.error) == (0.5, "https://x/y", "no speech")


@pytest.mark.parametrize("value", [True, 50, -1, "0.5", None, [0.5]])
def test_progress_that_is_no_part_is_none(value: Any) -> None:
    """50 may be a percentage or a bug."""
    body = json.dumps({"result": "pending", "progress": value}).encode()

    assert REFERENCE.read_status(Response(200, {}, body), None).progress is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"result": None},
        {"result": 3},
        {"result": ""},
        {"result": " "},
        {"result": ["pending"]},
        {"result": "x" * 101},
        {"status": "pending"},
    ],
)
def test_an_answer_without_a_readable_status_is_a_fault(body: Any) -> None:
    """And not a pending job."""
    with pytest.raises(Fault, match="no status in 'result'"):
        REFERENCE.read_status(Response(200, {}, json.dumps(body).encode()), None)


@given(JSON, st.integers(100, 599))
def test_any_json_is_a_job_a_fault_or_a_refusal(body: Any, code: int) -> None:
    """Nothing else comes out of reading."""
    answer = Response(code, CaseInsensitiveDict(), json.dumps({"result": body}).encode())
    try:
        job = REFERENCE.read_status(answer, None)
    except (Fault, Refusal):
        return
    assert isinstance(job.status, TranslationStatus)


def test_services_are_found_by_their_names() -> None:
    """Each in the registry under its own."""
    assert [(name, service.name) for name, service in SERVICES.items()] == [
        (name, name) for name in ("reference", "heygen", "elevenlabs", "azure")
    ]
    assert get_service("reference") is REFERENCE
