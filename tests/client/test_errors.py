"""The error classes: their bases and attributes, which survive pickle, copies, JSON and Celery."""

from __future__ import annotations

import copy
import json
import math
import pickle
import sys
import traceback
import typing
import uuid
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from support.adapters import BASE_URL, FunctionAdapter, response
from support.example_errors import JOB, KINDS, MESSAGE, OF_ONE, error_of, facts_of
from support.fixtures import Clock, MakeClient
from support.in_process_service import KEY, ClientSetup

from fake_server import Scenario
from fake_server.jobs import NoSuchJob
from fake_server.jobs import TooManyJobs as FakeTooManyJobs
from translation_client import (
    Job,
    JobFailed,
    Problem,
    RequestFailed,
    ResultNotReady,
    RetriesExhausted,
    TooManyJobs,
    TranslationClientError,
    TranslationStatus,
    UnexpectedAnswer,
    VideoTranslationClient,
    WaitCancelled,
    WaitTimeout,
)
from translation_client._models import Fault


class Journey(typing.NamedTuple):
    """A way in which an error is copied or sent to another process."""

    name: str
    take: Callable[[Any], Any]
    keeps_all: bool
    """True if attributes that a caller has added to the error are kept."""


def through_celery(serializer: str) -> Callable[[Any], Any]:
    def take(error: Any) -> Any:
        celery = pytest.importorskip("celery", reason="celery is not here")
        app = celery.Celery(broker="memory://", backend="cache+memory://")
        app.conf.result_serializer = serializer
        app.conf.accept_content = [serializer]
        task = str(uuid.uuid4())  # the backend in memory is shared by all apps
        app.backend.store_result(task, error, "FAILURE")
        return app.AsyncResult(task).result

    return take


def through_pickle(protocol: int, error: Any) -> Any:
    return pickle.loads(pickle.dumps(error, protocol))


JOURNEYS = [
    *(
        Journey(f"pickle {protocol}", partial(through_pickle, protocol), True)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    ),
    Journey("copy", copy.copy, True),
    Journey("deepcopy", copy.deepcopy, True),
    Journey("type(error)(*args)", lambda error: type(error)(*error.args), False),
    Journey("JSON", lambda error: type(error)(*json.loads(json.dumps(error.args, allow_nan=False))), False),
    Journey("Celery, json", through_celery("json"), False),
    Journey("Celery, pickle", through_celery("pickle"), True),
    Journey("twice by JSON and pickle", lambda error: pickle.loads(pickle.dumps(type(error)(*error.args))), False),
]
EACH_JOURNEY = pytest.mark.parametrize("journey", JOURNEYS, ids=lambda journey: journey.name)
EACH_KIND = pytest.mark.parametrize("kind", KINDS)


def test_the_package_has_at_least_nine_error_classes() -> None:
    assert len(KINDS) >= 9
    assert set(OF_ONE) <= set(KINDS)


@EACH_KIND
@EACH_JOURNEY
def test_an_error_is_complete_after_pickle_copies_json_and_celery(
    kind: type[TranslationClientError], journey: Journey
) -> None:
    """As in the process that requests a result, or in the parent of a worker."""
    error: Any = error_of(kind)

    arrived = journey.take(error)

    assert type(arrived) is kind
    assert str(arrived) == MESSAGE
    assert arrived.args == error.args
    assert {name: getattr(arrived, name) for name in facts_of(kind)} == facts_of(kind)
    assert type(arrived.job) is Job
    assert type(arrived.job.status) is TranslationStatus
    assert repr(arrived) == repr(error)
    if hasattr(arrived, "problem"):
        assert (arrived.problem.code, arrived.problem.message) == ("busy", "come again")


@EACH_KIND
@EACH_JOURNEY
@pytest.mark.parametrize("known", [True, False, None])
def test_may_have_been_accepted_is_kept_by_pickle_copies_json_and_celery(
    kind: type[TranslationClientError], journey: Journey, known: bool | None
) -> None:
    """A caller that reads False submits, and pays, again."""
    assert journey.take(kind("m", may_have_been_accepted=known)).may_have_been_accepted is known


@EACH_KIND
@EACH_JOURNEY
def test_an_error_with_only_a_message_is_kept_by_pickle_copies_json_and_celery(
    kind: type[TranslationClientError], journey: Journey
) -> None:
    arrived = journey.take(kind("nothing"))

    assert (str(arrived), type(arrived)) == ("nothing", kind)
    assert arrived.may_have_been_accepted is None


@EACH_KIND
@pytest.mark.parametrize("journey", [one for one in JOURNEYS if one.keeps_all], ids=lambda journey: journey.name)
def test_attributes_and_notes_that_a_caller_adds_are_kept_by_pickle_and_copies(
    kind: type[TranslationClientError], journey: Journey
) -> None:
    error: Any = error_of(kind)
    error.tenant = "acme"
    if sys.version_info >= (3, 11):
        error.add_note("while publishing")

    arrived = journey.take(error)

    assert arrived.tenant == "acme"
    assert getattr(arrived, "__notes__", None) == getattr(error, "__notes__", None)


@EACH_KIND
def test_args_are_the_message_and_the_public_attributes_as_json(kind: type[TranslationClientError]) -> None:
    """All public attributes except `request` and `response`."""
    error = error_of(kind)
    message, facts = error.args

    assert message == MESSAGE
    assert type(facts) is dict
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert set(facts) == set(facts_of(kind)) == {name for name in vars(error) if name not in ("request", "response")}
    assert facts["job"] == JOB.to_dict()
    assert {name: facts[name] for name in facts if name != "job"} == {
        name: value for name, value in facts_of(kind).items() if name != "job"
    }


@EACH_KIND
def test_missing_attributes_have_their_defaults(kind: type[TranslationClientError]) -> None:
    """Counts and `elapsed` are 0, `seen` is empty, and all others are None."""
    for error in (kind("m"), kind("m", {}), kind("m", dict.fromkeys(facts_of(kind))), kind("m", "of an older version")):  # type: ignore[arg-type]  # no mapping is the point
        assert (error.job_id, error.job, error.attempts, error.checks, error.elapsed) == (None, None, 0, 0, 0.0)
        assert (error.may_have_been_accepted, error.idempotency_key) == (None, None)
        if isinstance(error, WaitTimeout):
            assert (error.seen, error.retry_after) == ({}, None)
        if isinstance(error, RequestFailed):
            assert (error.status_code, error.problem, error.retry_after) == (None, None, None)


def test_two_errors_do_not_share_a_mutable_default() -> None:
    first, second = WaitTimeout("m"), WaitTimeout("m")

    assert first.seen is not second.seen
    assert type(first.seen) is dict


def test_unknown_attributes_of_a_newer_version_are_ignored() -> None:
    """At the top level and in the job."""
    facts = {"attempts": 2, "region": "eu", "job": {**JOB.to_dict(), "cost": 3}}
    error = RequestFailed("m", facts)

    assert (error.attempts, error.job) == (2, JOB)
    assert "region" not in error.args[1]


def test_an_unknown_status_of_a_newer_version_is_pending() -> None:
    error = RequestFailed("m", {"job": {"id": "j", "status": "paused"}})

    assert error.job == Job("j", TranslationStatus.PENDING, "pending")


def test_an_unknown_keyword_raises_a_type_error() -> None:
    with pytest.raises(TypeError, match="RetriesExhausted has no attribute seen, status"):
        RetriesExhausted("m", seen={}, status=3)


def test_a_keyword_overrides_the_mapping_of_attributes() -> None:
    assert WaitTimeout("m", {"attempts": 1, "checks": 2}, attempts=3).args[1]["attempts"] == 3


@EACH_KIND
def test_infinity_and_nan_are_replaced_as_json_has_neither(kind: type[TranslationClientError]) -> None:
    """By 0 in `elapsed`, so that an error equals the one made of its `args`, and by None in the `args` of a payload."""
    for number in (math.inf, -math.inf, math.nan):
        job = Job("j", TranslationStatus.PENDING, "p", elapsed=number, payload={"a": [number, 1]})
        error = kind("m", elapsed=number, job=job)
        again = kind(*json.loads(json.dumps(error.args, allow_nan=False)))

        assert (error.elapsed, again.elapsed) == (0.0, 0.0)
        assert error.job is job
        assert again.job is not None
        assert again.job.payload == {"a": [None, 1]}


def test_values_that_json_has_not_are_converted_in_args() -> None:
    """A job that the caller creates can have any payload, even one that contains itself."""
    endless: dict[Any, Any] = {"date": date(2026, 11, 23), 1: ("a", Path("b")), "status": TranslationStatus.ERROR}
    endless["self"] = endless
    error = JobFailed("m", job=Job("j", TranslationStatus.ERROR, "e", payload=endless))

    payload = json.loads(json.dumps(error.args, allow_nan=False))[1]["job"]["payload"]
    assert (payload["date"], payload["1"], payload["status"]) == ("2026-11-23", ["a", "b"], "error")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=15,
)


@given(st.sampled_from(KINDS), st.text(), st.dictionaries(st.text(max_size=5), JSON, max_size=4), st.floats())
def test_an_error_with_any_json_payload_is_kept_by_json(
    kind: type[TranslationClientError], message: str, payload: Any, elapsed: float
) -> None:
    job = Job("j", TranslationStatus.COMPLETED, "done", result_url="u", payload=payload)
    error = kind(message, job=job, elapsed=elapsed, idempotency_key=message)
    again = kind(*json.loads(json.dumps(error.args, allow_nan=False)))

    assert vars(again) == vars(error)
    assert (str(again), again.args, again.job) == (message, error.args, job)


MARKED: dict[str, Any] = {
    "of no type": {"__type__": "nope", "__value__": 1},
    "of a bad value": {"__type__": "uuid", "__value__": {"hex": "zzz"}},
    "of a type that is no text": [{"__type__": ["x"], "__value__": None}],
    "as our own escape": {"~__type__": "nope", "__value__": 1},
    "in each other": {"~~__type__": {"__type__": "", "__value__": [{"__type__": "bytes", "__value__": 7}]}},
    "__type__": 1,
    "__value__": 2,
}


@pytest.mark.parametrize("kind", [WaitTimeout, RequestFailed])
@EACH_JOURNEY
def test_a_payload_with_the_type_markers_of_celery_is_kept_unchanged(
    kind: type[TranslationClientError], journey: Journey
) -> None:
    """Celery's JSON builds objects from dicts with `__type__` and `__value__`, and fails if it cannot."""
    job = Job("j", TranslationStatus.PENDING, "p", payload=MARKED)
    marked = {"job": job, "problem": Problem(MARKED), "seen": {"__type__": 1, "__value__": 2}}
    facts = {**facts_of(kind), **{name: value for name, value in marked.items() if name in facts_of(kind)}}
    error = kind(MESSAGE, **facts)

    arrived = journey.take(error)
    assert type(arrived) is kind
    for one in (error, arrived):
        assert {name: getattr(one, name) for name in facts} == facts
    assert (str(arrived), arrived.args) == (MESSAGE, error.args)


MARKED_JSON = st.recursive(
    st.integers() | st.text(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["__type__", "~__type__", "~~__type__", "__value__"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(MARKED_JSON)
def test_any_payload_with_type_markers_is_kept_by_json_and_celery(payload: Any) -> None:
    """It is equal to the payload from before."""
    kombu = pytest.importorskip("kombu.utils.json", reason="celery is not here")
    error = JobFailed("m", job=Job("j", TranslationStatus.ERROR, "e", payload={"a": payload}))
    for dumps, loads in ((json.dumps, json.loads), (kombu.dumps, kombu.loads)):
        again = JobFailed(*loads(dumps(error.args)))
        assert (again.job, again.args) == (error.job, error.args)


@EACH_KIND
def test_neither_repr_nor_a_traceback_shows_a_payload(kind: type[TranslationClientError]) -> None:
    """Nor a link to a result: both are written to logs."""
    error = error_of(kind)
    try:
        raise error
    except TranslationClientError:
        shown = f"{error} {error!r} {error!s} {[error]} {traceback.format_exc()} {vars(error)}"

    assert "s3cret" not in shown
    assert repr(error) == f"{kind.__name__}({MESSAGE!r})"
    assert "s3cret-of-the-payload" in str(error.args)


@EACH_KIND
def test_an_error_supports_causes_tracebacks_and_changed_args(kind: type[TranslationClientError]) -> None:
    """A caller may extend the message in `args`, or empty `args`."""
    cause = ValueError("below")
    error = error_of(kind)
    with pytest.raises(TranslationClientError) as caught:
        raise error.with_traceback(None) from cause

    assert caught.value is error
    assert error.__cause__ is cause
    assert error.__traceback__ is not None
    error.args = ("more: " + error.args[0], *error.args[1:])
    assert str(error) == str(pickle.loads(pickle.dumps(error))) == f"more: {MESSAGE}"
    error.args = ()
    assert str(error) == str(copy.copy(error)) == ""


def test_wait_timeout_is_a_timeout_error_without_errno() -> None:
    """The seed's script catches `TimeoutError`. An OSError takes two arguments for `errno` and `strerror`."""
    assert issubclass(WaitTimeout, TimeoutError)
    made = WaitTimeout(MESSAGE, **facts_of(WaitTimeout))
    for error in (made, through_pickle(2, made)):
        assert (error.errno, error.strerror, error.filename) == (None, None, None)
        assert str(error) == MESSAGE


@pytest.mark.parametrize("kind", [RequestFailed, UnexpectedAnswer, TooManyJobs])
def test_errors_of_failed_requests_are_requests_exceptions(kind: type[TranslationClientError]) -> None:
    """The seed says that a server that does not respond is a `requests.RequestException`."""
    assert issubclass(kind, requests.RequestException)
    for error in (error_of(kind), copy.copy(error_of(kind))):
        assert isinstance(error, requests.RequestException)
        assert (error.request, error.response, error.errno, error.strerror) == (None, None, None, None)


def test_the_annotations_of_the_errors_can_be_resolved() -> None:
    hints = typing.get_type_hints(TranslationClientError)

    assert hints["job"] == Job | None
    assert typing.get_type_hints(WaitTimeout)["retry_after"] == float | None


class Tagged(WaitTimeout):
    """A subclass whose `__init__` accepts a message and facts, as the docstring of the base class requires."""

    def __init__(self, message: str = "", facts: Any = None, *, tenant: str = "nobody", **known: Any) -> None:
        super().__init__(message, facts, **known)
        self.tenant = tenant


class OfAVideo(RequestFailed):
    """A subclass with arguments of its own."""

    def __init__(self, video: str, error: RequestFailed) -> None:
        super().__init__(f"{video}: {error}", status_code=error.status_code, may_have_been_accepted=True)
        self.video = video


class Plain(JobFailed):
    """A subclass without an `__init__` of its own."""

    exit_code = 7


class OfTheApplication(Exception):
    """A base class of the caller, with an `__init__` that accepts only a message."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.is_ours = True


class Mixed(JobFailed, OfTheApplication):
    """A subclass of an error of the package and of an exception of the caller."""


@EACH_JOURNEY
def test_a_subclass_of_the_caller_is_kept_by_pickle_copies_json_and_celery(journey: Journey) -> None:
    for error in (Tagged("m", tenant="acme", **facts_of(WaitTimeout)), Plain("m", **facts_of(JobFailed))):
        arrived = journey.take(error)
        assert (type(arrived), str(arrived), arrived.args) == (type(error), "m", error.args)
        assert (arrived.job, arrived.attempts) == (JOB, 4)
        assert not journey.keeps_all or vars(arrived) == vars(error)


@pytest.mark.parametrize("journey", [one for one in JOURNEYS if one.keeps_all], ids=lambda journey: journey.name)
def test_a_subclass_with_other_arguments_can_be_pickled_and_copied(journey: Journey) -> None:
    arrived = journey.take(OfAVideo("talk.mp4", RequestFailed("no", status_code=503)))

    assert (str(arrived), arrived.video, arrived.status_code) == ("talk.mp4: no", "talk.mp4", 503)
    assert arrived.may_have_been_accepted is True


def test_a_subclass_of_two_base_classes_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(Mixed("m", attempts=2)))

    assert (str(error), error.attempts, error.is_ours, error.args[1]["attempts"]) == ("m", 2, True, 2)


def test_the_error_of_a_failed_submission_is_kept_by_celery(clock: Clock) -> None:
    """After a 500 it is unknown whether a job was accepted. The worker stores the error as a JSON result of Celery."""
    session = requests.Session()
    session.mount(BASE_URL, FunctionAdapter(lambda _: response(500, b'{"detail": "sorry"}')))
    client = VideoTranslationClient(BASE_URL, session=session, sleep=clock.tick, max_faults=2)
    with pytest.raises(RequestFailed) as caught:
        client.submit("https://example.com/v.mp4", "es")

    arrived = through_celery("json")(caught.value)
    assert (arrived.may_have_been_accepted, arrived.status_code, arrived.attempts) == (True, 500, 1)
    assert arrived.problem.message == "sorry"
    assert (str(arrived), arrived.args) == (str(caught.value), caught.value.args)


def test_the_idempotency_key_of_a_failed_submission_is_kept_by_celery(clock: Clock) -> None:
    setup = ClientSetup(clock, "heygen", Scenario(30, faults=["create/every-1:503"]), max_faults=2)
    with pytest.raises(RequestFailed) as caught:
        setup.submit(idempotency_key="order-7")

    arrived = through_celery("json")(caught.value)
    assert (arrived.may_have_been_accepted, arrived.idempotency_key) == (True, "order-7")
    assert KEY not in repr(arrived.args)


def test_errors_of_calls_that_submit_no_job_say_that_none_was_accepted(make_client: MakeClient, tmp_path: Path) -> None:
    """After None, a caller would look for a job that was never submitted."""
    pending = make_client(Scenario(duration=1000), timeout=5)
    failed = make_client(Scenario(duration=0, outcome="error"))
    closed = make_client()
    closed.close()
    actions: list[tuple[type[TranslationClientError], Callable[[], object]]] = [
        (WaitTimeout, pending.wait),
        (RetriesExhausted, make_client(Scenario(duration=1000), max_retries=1).wait),
        (RequestFailed, lambda: pending.check("nope")),
        (UnexpectedAnswer, make_client(Scenario(faults=["every-1:html"])).check),
        (WaitCancelled, closed.check),
        (JobFailed, lambda: failed.wait().raise_for_status()),
        (RequestFailed, lambda: pending.delete("nope")),
        (ResultNotReady, lambda: pending.download(pending.submit("https://v.test/v", "es"), tmp_path / "f")),
    ]
    for kind, action in actions:
        with pytest.raises(TranslationClientError) as caught:
            action()
        assert type(caught.value) is kind
        assert caught.value.may_have_been_accepted is False
        assert vars(kind(*json.loads(json.dumps(caught.value.args, allow_nan=False)))) == vars(caught.value)


@pytest.mark.parametrize(
    "error", [Fault("status", "HTTP 503 Service Unavailable"), FakeTooManyJobs(2, 1.5), NoSuchJob("job-1")]
)
def test_internal_errors_with_attributes_can_be_pickled(error: Exception) -> None:
    """A `Fault`, which is shown as a cause, and the errors of the fake server in process."""
    arrived = through_pickle(2, error)

    assert (type(arrived), str(arrived), vars(arrived)) == (type(error), str(error), vars(error))
