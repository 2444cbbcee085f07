"""Jobs, statuses and responses as values, and `Retry-After`."""

import copy
import json
import math
import pickle
from dataclasses import FrozenInstanceError, asdict, fields
from typing import Any

import pytest
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from translation_client import Job, JobFailed, TranslationStatus
from translation_client._models import (
    Fault,
    Refusal,
    Response,
    parse_retry_after,
    status_line,
    with_shown_texts,
)


def test_a_status_prints_compares_and_serialises_as_its_status_word() -> None:
    """Programs print it, and compare it with a string."""
    status = TranslationStatus.COMPLETED

    assert (str(status), f"{status}", f"{status:>10}", json.dumps(status)) == (
        "completed",
        "completed",
        " completed",
        '"completed"',
    )
    assert status == "completed"
    assert {status: 1}["completed"] == 1  # type: ignore[index]  # that a plain string finds it is the point


@pytest.mark.parametrize(("word", "is_final"), [("pending", False), ("completed", True), ("error", True)])
def test_is_final_is_true_for_completed_and_error(word: str, is_final: bool) -> None:
    """So callers need no list of the final status words."""
    assert TranslationStatus(word).is_final is is_final


def test_repr_of_a_job_hides_the_result_url_and_the_payload() -> None:
    """They may contain signed links, and a repr ends up in logs."""
    job = Job("j1", TranslationStatus.COMPLETED, "done", result_url="https://x/?sig=s3cret", payload={"k": "s3cret"})

    assert "s3cret" not in repr(job)


def test_repr_of_a_job_shows_five_fields() -> None:
    """The texts of the service, the error included, may contain anything."""
    job = Job(
        "j1", TranslationStatus.ERROR, "s3cret", progress=0.5, error="s3cret", checks=2, elapsed=1.5, language="x"
    )

    assert repr(job) == ("Job(id='j1', status=<TranslationStatus.ERROR: 'error'>, progress=0.5, checks=2, elapsed=1.5)")


WHOLE = Job(
    "j1",
    TranslationStatus.COMPLETED,
    "done",
    progress=1.0,
    result_url="https://x/?sig=1",
    error="e",
    retry_after=3.0,
    checks=2,
    elapsed=1.5,
    payload={"a": [1, None, {"b": "c"}]},
    language="es",
    expected_seconds=9.0,
    submitted_at=1.0,
    finished_at=2.0,
)


def test_to_dict_returns_all_fields_of_a_job_as_json() -> None:
    """A copy, with each field by its name."""
    values = WHOLE.to_dict()

    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert set(values) == {one.name for one in fields(Job)}
    assert (values["status"], type(values["status"])) == ("completed", str)
    assert values["payload"] == WHOLE.payload
    assert values["payload"]["a"] is not WHOLE.payload["a"]


def test_from_dict_restores_a_job_from_to_dict() -> None:
    """Also through JSON. Missing fields are unknown, and those of another version are ignored."""
    assert Job.from_dict(json.loads(json.dumps(WHOLE.to_dict()))) == WHOLE
    assert Job.from_dict({"id": "j", "status": "error", "cost": 3}) == Job("j", TranslationStatus.ERROR, "error")
    assert Job.from_dict({}) == Job("", TranslationStatus.PENDING, "pending")


def test_to_dict_returns_none_for_nan_and_infinity() -> None:
    """JSON has neither."""
    job = Job("j", TranslationStatus.PENDING, "p", elapsed=math.inf, payload={"a": [math.nan]})

    assert (job.to_dict()["elapsed"], job.to_dict()["payload"]) == (None, {"a": [None]})


def test_redacted_texts_are_kept_with_a_job_and_are_not_its_data() -> None:
    """They replace an id that contains a secret in `repr` and in messages."""
    job = Job("job-k3y", TranslationStatus.ERROR, "failed k3y")
    shown = with_shown_texts(job, id="job-[redacted]", raw_status="failed [redacted]")

    assert with_shown_texts(job, id=job.id, raw_status=job.raw_status) is job
    assert (shown, hash(shown), shown.to_dict(), asdict(shown)) == (job, hash(job), job.to_dict(), asdict(job))
    for one in (shown, pickle.loads(pickle.dumps(shown)), copy.copy(shown)):
        assert "k3y" not in repr(one)
        with pytest.raises(
            JobFailed, match=r"job 'job-\[redacted\]' failed at the service: failed \[redacted\]"
        ) as caught:
            one.raise_for_status()
        assert (caught.value.job_id, caught.value.job) == ("job-k3y", job)


def test_a_job_is_immutable_and_survives_pickle_and_hash() -> None:
    """Also with a payload, which is a dictionary."""
    job = Job("j1", TranslationStatus.PENDING, "pending", payload={"a": [1]})

    with pytest.raises(FrozenInstanceError):
        job.status = TranslationStatus.ERROR  # type: ignore[misc]  # the point of the test

    assert pickle.loads(pickle.dumps(job)) == job
    assert len({job, job}) == 1


def test_the_id_of_a_job_is_always_a_string() -> None:
    """Also if a service of the caller's builds the single job with None, and if it comes from an older dictionary."""
    nameless: Any = None
    number: Any = 7

    assert (Job(nameless, TranslationStatus.PENDING, "pending").id, Job.from_dict({"id": None}).id) == ("", "")
    assert (Job(number, TranslationStatus.PENDING, "pending").id, Job.from_dict({"id": 7}).id) == ("7", "7")
    for other in (True, 7.5, b"7", ["7"]):
        with pytest.raises(TypeError, match="the id of a Job must be a string, got an object of the type"):
            Job.from_dict({"id": other})


class SlottedJob(Job):
    __slots__ = ("note",)


def test_a_job_of_a_subclass_with_slots_survives_pickle_and_copies() -> None:
    """With the attribute that the subclass adds."""
    job = SlottedJob("j", TranslationStatus.PENDING, "pending")
    object.__setattr__(job, "note", "mine")

    for copied in (pickle.loads(pickle.dumps(job)), copy.copy(job), copy.deepcopy(job)):
        assert (copied, vars(SlottedJob)["note"].__get__(copied)) == (job, "mine")


def test_raise_for_status_raises_job_failed_for_a_failed_job() -> None:
    """The error has the job, and says why it failed and what to do."""
    job = Job("j1", TranslationStatus.ERROR, "rejected", error="no speech", checks=2, elapsed=3.0)

    with pytest.raises(
        JobFailed, match=r"job 'j1' failed at the service: no speech\. .*submit the video again"
    ) as caught:
        job.raise_for_status()

    assert (caught.value.job, caught.value.job_id, caught.value.checks, caught.value.attempts) == (job, "j1", 2, 2)


@pytest.mark.parametrize("status", [TranslationStatus.PENDING, TranslationStatus.COMPLETED])
def test_raise_for_status_raises_nothing_for_other_jobs(status: TranslationStatus) -> None:
    """As with `requests.Response.raise_for_status`."""
    Job("j1", status, str(status)).raise_for_status()


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
def test_retry_after_is_read_in_all_forms_of_the_rfc(value: str, seconds: float) -> None:
    """Seconds and the three forms of a date; a past one is 0. Of several values, the longest counts."""
    with freeze_time("2026-11-23T09:00:00"):
        assert parse_retry_after({"Retry-After": value}) == seconds
        kept_apart = CIMultiDict([("Retry-After", "0"), ("retry-after", value), ("RETRY-AFTER", "nonsense")])
        assert parse_retry_after(kept_apart) == seconds


def test_a_missing_retry_after_is_none() -> None:
    """None differs from 0."""
    assert parse_retry_after({}) is None


def test_an_invalid_date_header_is_not_used_for_retry_after() -> None:
    """The local clock is used then."""
    with freeze_time("2026-11-23T09:00:00"):
        assert parse_retry_after({"Date": "now", "Retry-After": "Mon, 23 Nov 2026 09:00:07 GMT"}) == 7


@given(st.text())
def test_any_text_in_retry_after_is_seconds_or_a_value_error(value: str) -> None:
    """No other exception is raised, and the seconds are finite."""
    try:
        seconds = parse_retry_after({"Retry-After": value})
    except ValueError:
        return
    assert seconds is not None
    assert 0 <= seconds < math.inf


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
def test_raise_for_status_accepts_a_2xx_response(code: int) -> None:
    """Also a status that the registry does not have."""
    Response(code, {}, b"").raise_for_status()


@pytest.mark.parametrize(
    ("code", "kind"),
    [(408, "status"), (429, "status"), (500, "status"), (599, "status"), (304, "unreadable"), (100, "unreadable")],
)
def test_raise_for_status_raises_a_fault_for_a_status_that_may_be_retried(code: int, kind: str) -> None:
    """`unreadable` for a status that is neither a success nor an error."""
    with pytest.raises(Fault) as caught:
        Response(code, {}, b"").raise_for_status()

    assert (caught.value.kind, caught.value.status_code) == (kind, code)


@pytest.mark.parametrize("code", [400, 404, 418, 499])
def test_raise_for_status_raises_a_refusal_for_other_4xx_responses(code: int) -> None:
    """The same request would be refused again."""
    with pytest.raises(Refusal):
        Response(code, {}, b"").raise_for_status()


def test_status_line_has_the_reason_phrase_of_the_registry() -> None:
    """The reason phrase of a server could be anything."""
    assert [status_line(code) for code in (404, 299)] == ["HTTP 404 Not Found", "HTTP 299"]


def test_repr_of_a_response_hides_its_headers_and_body() -> None:
    """A traceback with local variables shows the repr."""
    assert "s3cret" not in repr(Response(200, {"a": "s3cret"}, b"s3cret"))


@pytest.mark.parametrize("body", [b"", b"[1]", b"nope", b"\xff\xfe", b"[" * 100_000, b"9" * 10_000, b'{"a": 1', b'"x"'])
def test_a_body_that_is_no_json_object_is_none(body: bytes) -> None:
    """Also one on which the JSON parser fails in its own ways, such as 100 000 brackets."""
    assert Response(200, {}, body).json_object() is None
