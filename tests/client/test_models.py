"""Jobs and statuses as values."""

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


def test_a_status_prints_compares_and_serialises_as_its_word() -> None:
    """The seed's script prints it; users compare it with a text."""
    status = TranslationStatus.COMPLETED

    assert (str(status), f"{status}", f"{status:>10}", json.dumps(status)) == (
        "completed",
        "completed",
        " completed",
        '"completed"',
    )
    assert status == "completed"
    assert {status: 1}["completed"] == 1  # type: ignore[index]  # that a plain text finds it is the point


@pytest.mark.parametrize(("word", "is_final"), [("pending", False), ("completed", True), ("error", True)])
def test_final_statuses_know_it(word: str, is_final: bool) -> None:
    """Nobody lists the terminal words at a call site."""
    assert TranslationStatus(word).is_final is is_final


def test_repr_hides_what_can_hold_signed_links() -> None:
    """A repr ends up in logs."""
    job = Job("j1", TranslationStatus.COMPLETED, "done", result_url="https://x/?sig=s3cret", payload={"k": "s3cret"})

    assert "s3cret" not in repr(job)


def test_repr_shows_five_fields() -> None:
    """What a service says in its own words, the error included, may hold anything."""
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


def test_a_job_as_a_dict_is_all_of_it_as_json() -> None:
    """A copy, with each field by its name."""
    values = WHOLE.to_dict()

    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert set(values) == {one.name for one in fields(Job)}
    assert (values["status"], type(values["status"])) == ("completed", str)
    assert values["payload"] == WHOLE.payload
    assert values["payload"]["a"] is not WHOLE.payload["a"]


def test_a_job_comes_back_from_its_dict() -> None:
    """As it was, also through JSON; what is missing is not known, what another version adds is ignored."""
    assert Job.from_dict(json.loads(json.dumps(WHOLE.to_dict()))) == WHOLE
    assert Job.from_dict({"id": "j", "status": "error", "cost": 3}) == Job("j", TranslationStatus.ERROR, "error")
    assert Job.from_dict({}) == Job("", TranslationStatus.PENDING, "pending")


def test_nan_and_infinity_in_a_dict_are_null() -> None:
    """JSON has neither."""
    job = Job("j", TranslationStatus.PENDING, "p", elapsed=math.inf, payload={"a": [math.nan]})

    assert (job.to_dict()["elapsed"], job.to_dict()["payload"]) == (None, {"a": [None]})


def test_how_a_field_is_shown_travels_with_the_job_and_is_not_data() -> None:
    """Where its id may not stand in a text."""
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


def test_a_job_cannot_be_changed_and_survives_pickle_and_hash() -> None:
    """It is a value."""
    job = Job("j1", TranslationStatus.PENDING, "pending", payload={"a": [1]})

    with pytest.raises(FrozenInstanceError):
        job.status = TranslationStatus.ERROR  # type: ignore[misc]  # the point of the test

    assert pickle.loads(pickle.dumps(job)) == job
    assert len({job, job}) == 1


def test_the_id_of_a_job_is_always_a_text() -> None:
    """Also of one that a service of the caller's builds for the single job, and of one from an older dictionary."""
    nameless: Any = None

    assert (Job(nameless, TranslationStatus.PENDING, "pending").id, Job.from_dict({"id": None}).id) == ("", "")


class SlottedJob(Job):
    __slots__ = ("note",)


def test_a_job_of_a_subclass_with_slots_survives_pickle_and_copies() -> None:
    """With what the subclass adds."""
    job = SlottedJob("j", TranslationStatus.PENDING, "pending")
    object.__setattr__(job, "note", "mine")

    for copied in (pickle.loads(pickle.dumps(job)), copy.copy(job), copy.deepcopy(job)):
        assert (copied, vars(SlottedJob)["note"].__get__(copied)) == (job, "mine")


def test_a_failed_job_raises_when_asked_to() -> None:
    """The error carries the job, says why it failed, and what to do."""
    job = Job("j1", TranslationStatus.ERROR, "rejected", error="no speech", checks=2, elapsed=3.0)

    with pytest.raises(
        JobFailed, match=r"job 'j1' failed at the service: no speech\. .*submit the video again"
    ) as caught:
        job.raise_for_status()

    assert (caught.value.job, caught.value.job_id, caught.value.checks, caught.value.attempts) == (job, "j1", 2, 2)


@pytest.mark.parametrize("status", [TranslationStatus.PENDING, TranslationStatus.COMPLETED])
def test_other_jobs_raise_nothing(status: TranslationStatus) -> None:
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
