"""Submissions: no fault leads to a second job, and every error says whether a job may have been accepted."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import requests_mock
import urllib3
from support.adapters import FunctionAdapter, response
from support.fixtures import Clock, LogLines
from support.hostile_server import dead_addresses
from support.in_process_service import KEYED, LANGUAGE, SERVICES, VIDEO, ClientSetup
from werkzeug.local import LocalProxy

from fake_server import Scenario
from translation_client import (
    ComputedField,
    RequestFailed,
    Service,
    SubmitSpec,
    TooManyJobs,
    TranslationClientError,
    UnexpectedAnswer,
    VideoTranslationClient,
    WaitCancelled,
    WaitTimeout,
)

LOST: tuple[str, ...] = (
    "drop",
    "reset",
    "reset-in-headers",
    "reset-after-headers",
    "truncate",
    "truncate-chunked",
    "mute",
    "html",
)
LOST += ("invalid-json", "wrong-shape", "late@30", "drip-headers@9", "endless", "gzip-bomb", "302", "199", "204")
LOST += ("500", "502", "503", "504", "503:Retry-After=3", "408")
"""Faults in the response to a submission. The job was created, except with 408, where the client cannot know."""

REFUSED = ("400", "401", "402", "403", "404", "409", "413", "422")
NOT_ACCEPTED = ("429", "429:Retry-After=3", "425")

keyed = pytest.mark.parametrize("service", KEYED)
unkeyed = pytest.mark.parametrize("service", [service for service in SERVICES if service not in KEYED])


def struck(service: str, clock: Clock, *faults: str, **arguments: Any) -> ClientSetup:
    return ClientSetup(clock, service, Scenario(30, faults=faults), **arguments)


@keyed
@pytest.mark.parametrize("fault", LOST)
def test_a_submission_whose_response_is_lost_is_retried_with_its_idempotency_key(
    clock: Clock, service: str, fault: str
) -> None:
    """At services with idempotency keys. The job that the first attempt created is returned."""
    setup = struck(service, clock, f"create/1:{fault}", f"create/2:{fault}")
    job = setup.submit()

    assert len(setup.lab.submissions) == 1
    assert str(job.id) in setup.lab.submissions[0].job_id
    assert setup.client.wait(job).status == "completed"


@unkeyed
@pytest.mark.parametrize("fault", LOST)
def test_a_submission_whose_response_is_lost_is_not_retried_without_idempotency_keys(
    clock: Clock, service: str, fault: str
) -> None:
    """A retry could create a second job. The error says that a job may be running, and what to check first."""
    setup = struck(service, clock, f"create/1:{fault}")

    with pytest.raises(TranslationClientError, match="may have been accepted all the same") as caught:
        setup.submit()
    assert isinstance(caught.value, (RequestFailed, UnexpectedAnswer))
    assert caught.value.may_have_been_accepted is True
    assert caught.value.idempotency_key is None
    assert "before you submit again" in str(caught.value)
    assert len([arrival for arrival in setup.lab.arrivals if arrival.method == "POST"]) == 1


@pytest.mark.parametrize(
    ("service", "fault"),
    [(service, fault) for service in SERVICES for fault in REFUSED if (service, fault) != ("heygen", "409")],
)
def test_a_refused_submission_is_not_retried_and_creates_no_job(clock: Clock, service: str, fault: str) -> None:
    """`may_have_been_accepted` is False."""
    setup = struck(service, clock, f"create/1:{fault}")

    with pytest.raises(RequestFailed, match="refused to accept the job") as caught:
        setup.submit()
    assert (caught.value.may_have_been_accepted, len(setup.lab.submissions)) == (False, 0)
    assert caught.value.status_code == int(fault)


@pytest.mark.parametrize(
    ("service", "fault"),
    # HeyGen's 429 limits concurrent jobs: see test_too_many_concurrent_jobs_raise_too_many_jobs.
    [(service, fault) for service in SERVICES for fault in NOT_ACCEPTED if service != "heygen" or fault == "425"],
)
def test_a_submission_is_retried_after_a_429_or_425(clock: Clock, service: str, fault: str) -> None:
    """At services without idempotency keys too: these statuses mean that the job was not accepted."""
    setup = struck(service, clock, f"create/1:{fault}", f"create/2:{fault}")
    setup.submit()

    assert len(setup.lab.submissions) == 1


@pytest.mark.parametrize("service", SERVICES)
def test_a_submission_is_retried_after_a_refused_connection(clock: Clock, service: str) -> None:
    """At services without idempotency keys too: nothing was sent."""
    calls: list[str] = []
    setup = ClientSetup(clock, service)
    adapter = setup.session.get_adapter(setup.url)

    def refuse_at_first(request: requests.PreparedRequest) -> requests.Response:
        calls.append(str(request.method))
        if request.method != "GET" and len([method for method in calls if method != "GET"]) < 3:
            raise requests.ConnectionError(ConnectionRefusedError(111, "Connection refused"), request=request)
        return adapter.send(request)

    setup.session.mount("http://", FunctionAdapter(refuse_at_first))
    setup.submit()

    assert len(setup.lab.submissions) == 1


@pytest.mark.parametrize("session", [None, requests.Session()])
def test_a_submission_is_retried_after_a_connect_timeout(session: requests.Session | None) -> None:
    """The timeout of the request ends it before anything was sent, also with a session of the caller."""
    limits: dict[str, Any] = {"request_timeout": 0.1, "max_faults": 2, "sleep": lambda _: None, "session": session}
    with (
        dead_addresses("127.0.0.1") as port,
        VideoTranslationClient(f"http://127.0.0.1:{port}", **limits) as client,
        pytest.raises(RequestFailed, match=r"no response within 0\.1 s.*No job was made") as caught,
    ):
        client.submit(VIDEO, "es")

    assert (caught.value.may_have_been_accepted, caught.value.attempts) == (False, 2)


@keyed
def test_the_idempotency_key_of_an_error_resumes_the_submission(clock: Clock, service: str) -> None:
    """A submission with this key creates no second job."""
    setup = struck(service, clock, *(f"create/{number}:drop" for number in range(1, 4)), max_faults=3)

    with pytest.raises(RequestFailed, match=r"client\.submit\(\.\.\., idempotency_key=") as caught:
        setup.submit()
    error = caught.value
    assert error.may_have_been_accepted is True
    assert error.idempotency_key is not None
    job = setup.submit(idempotency_key=error.idempotency_key)
    assert len(setup.lab.submissions) == 1
    assert setup.client.wait(job).status == "completed"


@keyed
def test_a_submission_that_reaches_its_deadline_may_have_been_accepted(clock: Clock, service: str) -> None:
    """The error says so, also if the idempotency key is the caller's own."""
    setup = struck(service, clock, "create/every-1:mute")

    with pytest.raises(WaitTimeout, match="may have been accepted") as caught:
        setup.submit(timeout=25, idempotency_key="order-of-mine")
    assert (caught.value.may_have_been_accepted, caught.value.idempotency_key) == (True, "order-of-mine")
    assert caught.value.elapsed <= 25.25


def test_a_refused_retry_does_not_rule_out_that_the_first_attempt_was_accepted(clock: Clock) -> None:
    """The response to the first attempt was lost, and the status of the second one is 403."""
    setup = struck("heygen", clock, "create/1:drop", "create/2:403")

    with pytest.raises(RequestFailed, match="may have been accepted") as caught:
        setup.submit()
    assert (caught.value.status_code, caught.value.may_have_been_accepted) == (403, True)
    assert len(setup.lab.submissions) == 1


def test_a_submission_that_is_still_in_progress_is_retried(clock: Clock) -> None:
    """After HeyGen's 409 `request_in_progress`, with the same idempotency key."""
    body = '{"error": {"code": "request_in_progress", "message": "wait"}}'
    fault = json.dumps({"nth": 1, "route": "create", "action": "answer", "status_code": 409, "body": body})
    setup = struck("heygen", clock, fault)
    setup.submit()

    keys = {arrival.headers["Idempotency-Key"] for arrival in setup.lab.arrivals if arrival.method == "POST"}
    assert (len(keys), len(setup.lab.submissions)) == (1, 1)


def test_each_submission_has_its_own_idempotency_key(clock: Clock) -> None:
    """Two equal submissions create two jobs."""
    setup = ClientSetup(clock, "heygen")
    jobs = {setup.submit().id, setup.submit().id}

    assert (len(jobs), len(setup.lab.submissions)) == (2, 2)


def test_an_azure_submission_without_its_iteration_can_be_resumed(clock: Clock) -> None:
    """The translation was created, and the PUT of its iteration refused."""
    setup = struck("azure", clock, "create/2:403")

    with pytest.raises(RequestFailed) as caught:
        setup.submit()
    assert (caught.value.may_have_been_accepted, setup.lab.submissions) == (True, [])
    job = setup.submit(idempotency_key=caught.value.idempotency_key)
    assert (job.id, len(setup.lab.submissions)) == (caught.value.idempotency_key, 1)


@pytest.mark.parametrize("service", SERVICES)
def test_a_submission_cancelled_before_its_first_request_creates_no_job(clock: Clock, service: str) -> None:
    """The error says that no job was created."""
    cancel = threading.Event()
    cancel.set()
    setup = ClientSetup(clock, service)

    with pytest.raises(WaitCancelled, match=r"No job was made|Nothing was submitted") as caught:
        setup.client.submit(VIDEO, LANGUAGE[service], cancel=cancel)
    assert (caught.value.may_have_been_accepted, setup.lab.submissions) == (False, [])


@pytest.mark.exhaustive
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("fault", [*LOST, *REFUSED, *NOT_ACCEPTED])
@pytest.mark.parametrize("when", ["2", "every-1"])
def test_a_submission_never_creates_two_jobs_or_an_unreported_job(
    clock: Clock, service: str, fault: str, when: str
) -> None:
    """The invariant of the tests above, for each fault. The error for a job that may exist has the idempotency key.

    Azure's second request creates the iteration. That of the other services is the retry after a 425.
    """
    before = ["create/1:425"] if when == "2" and service != "azure" else []
    setup = struck(service, clock, *before, f"create/{when}:{fault}")
    try:
        job = setup.submit()
    except TranslationClientError as error:
        assert len(setup.lab.submissions) <= 1
        assert error.may_have_been_accepted or not setup.lab.submissions
        if error.may_have_been_accepted and service in KEYED:
            assert error.idempotency_key is not None
    else:
        [submission] = setup.lab.submissions
        assert str(job.id) in submission.job_id
    assert len(setup.requested_paths("POST") + setup.requested_paths("PUT")) >= (2 if when == "2" else 1)


@pytest.mark.parametrize("fault", ["upload/1:drop", "upload/1:503", "upload/1:html", "upload/1:429"])
def test_an_upload_before_the_submission_is_retried(clock: Clock, tmp_path: Path, fault: str) -> None:
    """A second upload leaves a file at the service, and no job."""
    video = tmp_path / "talk.mp4"
    video.write_bytes(b"video" * 1000)
    setup = struck("heygen", clock, fault)
    setup.client.submit(video, setup.language)

    [submission] = setup.lab.submissions
    assert (submission.fields["file"], submission.fields["file_bytes"]) == ("talk.mp4", 5000)


@pytest.mark.parametrize("service", ["heygen", "elevenlabs"])
def test_a_local_file_is_sent_completely(clock: Clock, tmp_path: Path, service: str) -> None:
    """To the services that accept files. The name of the file has quotes, a blank and a non-ASCII letter."""
    video = tmp_path / 'my "talk" é.mp4'
    video.write_bytes(bytes(range(256)) * 1000)
    setup = ClientSetup(clock, service)
    job = setup.client.submit(video, setup.language)

    [submission] = setup.lab.submissions
    assert (submission.fields["file"], submission.fields["file_bytes"]) == (video.name, 256_000)
    assert setup.client.wait(job).status == "completed"


def test_a_redirect_of_a_submission_is_not_followed(clock: Clock) -> None:
    """Followed by a GET it would submit nothing, and by a POST perhaps a second job."""
    for code in (301, 302, 303, 307, 308):
        setup = struck("reference", clock, f"create/1:{code}:Location=http://elsewhere.fake.test/jobs")

        with pytest.raises(UnexpectedAnswer) as caught:
            setup.submit()
        assert [arrival.method for arrival in setup.lab.arrivals] == ["POST"]
        assert caught.value.may_have_been_accepted is True


@keyed
def test_an_api_key_function_that_raises_before_a_retry_ends_the_submission(clock: Clock, service: str) -> None:
    """The response to the attempt before was lost, so that the error has the idempotency key to resume with."""
    tokens = iter(["token-1", "token-2", "token-3"] if service == "heygen" else ["token-1"])

    def key() -> str:
        try:
            return next(tokens)
        except StopIteration:
            raise LookupError("the vault is closed") from None

    setup = struck(service, clock, *(f"create/{number}:drop" for number in range(1, 9)), api_key=key)
    with pytest.raises(RequestFailed, match="exception of the caller: LookupError") as caught:
        setup.submit()
    assert isinstance(caught.value.__cause__, LookupError)
    assert (caught.value.may_have_been_accepted, caught.value.idempotency_key is None) == (True, False)


@pytest.mark.parametrize("service", SERVICES)
def test_ctrl_c_during_a_submission_says_that_a_job_may_have_been_accepted(clock: Clock, service: str) -> None:
    """The message of the `KeyboardInterrupt` has the idempotency key, if the service has such keys."""
    setup = ClientSetup(clock, service)
    adapter = setup.session.get_adapter(setup.url)

    def interrupted(request: requests.PreparedRequest) -> requests.Response:
        if request.method == "GET":
            return adapter.send(request)
        raise KeyboardInterrupt

    setup.session.mount("http://", FunctionAdapter(interrupted))
    with pytest.raises(KeyboardInterrupt, match="may have been accepted") as caught:
        setup.submit()
    assert ("idempotency_key=" in str(caught.value)) == (service in KEYED)


@keyed
def test_a_refusal_with_the_callers_idempotency_key_does_not_rule_out_a_job(clock: Clock, service: str) -> None:
    """An earlier submission with the same key may have been accepted."""
    setup = struck(service, clock, "create/1:401")

    with pytest.raises(RequestFailed) as caught:
        setup.submit(idempotency_key="order-of-mine")
    assert (caught.value.may_have_been_accepted, caught.value.idempotency_key) == (True, "order-of-mine")


def test_an_azure_submission_whose_translation_failed_created_no_job(clock: Clock) -> None:
    """A retry with the same idempotency key would fail again."""
    fault = json.dumps({"nth": 1, "route": "operation", "status_code": 200, "body": '{"status": "Failed"}'})
    setup = struck("azure", clock, fault)

    with pytest.raises(RequestFailed, match="the translation could not be made") as caught:
        setup.submit()
    assert (caught.value.may_have_been_accepted, setup.lab.submissions) == (False, [])


@pytest.mark.parametrize("fault", ["503", "429", "401", "403", "404", "mute", "html", "drop"])
@pytest.mark.parametrize("is_resumed", [True, False])
def test_a_resumed_submission_that_fails_before_it_is_sent_keeps_its_key(
    clock: Clock, fault: str, is_resumed: bool
) -> None:
    """The request for the list of languages fails. An earlier submission with the key may have created a job."""
    setup = struck("heygen", clock, f"languages/every-1:{fault}")
    key = "order-of-mine" if is_resumed else None

    with pytest.raises(TranslationClientError) as caught:
        setup.submit(idempotency_key=key)

    assert (caught.value.may_have_been_accepted, caught.value.idempotency_key) == (is_resumed, key)
    assert ("a job may be running" in str(caught.value)) is is_resumed
    assert setup.lab.submissions == []


@pytest.mark.parametrize("service", ["heygen", "azure"])
@pytest.mark.parametrize("is_resumed", [True, False])
def test_a_resumed_submission_keeps_its_key_if_the_api_key_function_raises(
    clock: Clock, service: str, is_resumed: bool
) -> None:
    """At HeyGen it raises while the list of languages is fetched."""
    raised = OSError("no token")

    def api_key() -> str:
        raise raised

    setup = ClientSetup(clock, service, api_key=api_key)
    with pytest.raises(RequestFailed if is_resumed else OSError) as caught:
        setup.submit(idempotency_key="order-of-mine" if is_resumed else None)

    if is_resumed:
        error: Any = caught.value
        assert (error.may_have_been_accepted, error.idempotency_key) == (True, "order-of-mine")
        assert error.__cause__ is raised
    else:
        assert caught.value is raised


@pytest.mark.parametrize("service", ["heygen", "azure"])
def test_ctrl_c_during_a_resumed_submission_shows_the_idempotency_key(clock: Clock, service: str) -> None:
    def api_key() -> str:
        raise KeyboardInterrupt

    setup = ClientSetup(clock, service, api_key=api_key)
    with pytest.raises(KeyboardInterrupt, match="order-of-mine"):
        setup.submit(idempotency_key="order-of-mine")


def test_the_idempotency_key_is_logged_before_the_submission_is_sent(clock: Clock, lines: LogLines) -> None:
    """After the process is killed, the submission can be resumed with the key in the log."""
    setup = ClientSetup(clock, "heygen")
    setup.submit(idempotency_key="order-of-mine")

    started = lines.of("submit_started")
    assert [line["idempotency_key"] for line in started] == ["order-of-mine"]
    assert lines.index(started[0]) < min(lines.index(line) for line in lines if line.get("operation") == "submit")


class SessionThatRetries(requests.Session):
    """A session of the caller that sends a request again after an error."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        try:
            return super().send(request, **kwargs)
        except requests.ConnectionError:
            return super().send(request, **kwargs)


class AdapterThatRetries(requests.adapters.HTTPAdapter):
    """An adapter of the caller that may send a request more than once."""

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        return _refuse(request)


class RefusingPools:
    """The connection pools of an `HTTPAdapter`, in which each connection is refused."""

    def clear(self) -> None:
        """There is nothing to close."""

    def connection_from_host(self, *_: Any, **__: Any) -> Any:
        raise ConnectionRefusedError(111, "Connection refused")


class AdapterOfItsOwnPools(requests.adapters.HTTPAdapter):
    """An adapter whose pools may retry."""

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> Any:
        raise ConnectionRefusedError(111, "Connection refused")


class AdapterOfItsOwnResponses(requests.adapters.HTTPAdapter):
    """An adapter that may send again while it builds a response."""

    def build_response(self, *arguments: Any) -> requests.Response:
        return super().build_response(*arguments)


class AdapterWithoutInit(requests.adapters.HTTPAdapter):
    """An adapter without the attributes that `HTTPAdapter.__init__` sets, such as `max_retries`."""

    def __init__(self) -> None:
        """Do not call that of the base class."""

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        return _refuse(request)

    def close(self) -> None:
        """There is nothing to close."""


class RetryOfItsOwn(urllib3.Retry):
    """A `Retry` that does not count by its total."""

    def is_exhausted(self) -> bool:
        return False


class Unannounced(requests.adapters.BaseAdapter):
    """An adapter of another class that does not say whether it retries. Missing attributes raise `error`."""

    def __init__(self, error: type[Exception] = AttributeError) -> None:
        super().__init__()
        self._error = error

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        return _refuse(request)

    def close(self) -> None:
        """There is nothing to close."""

    def __getattr__(self, name: str) -> Any:
        raise self._error(name)


class Forwarding:
    """A callable that forwards to the attributes of a method, as a wrapper by wrapt does."""

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._wrapped(*args, **kwargs)


def with_send(send_of: Callable[[requests.Session], Any]) -> requests.Session:
    """A session whose `send` was replaced on the instance."""
    session = refusing()
    vars(session)["send"] = send_of(session)
    return session


def adapter_with_send_of(other: requests.adapters.HTTPAdapter) -> requests.adapters.HTTPAdapter:
    adapter = requests.adapters.HTTPAdapter()
    vars(adapter)["send"] = other.send
    return adapter


def that_sends_again_after_a_response() -> requests.Session:
    """A session with a hook that sends again, as for digest authentication: first a 503, then a refused connection."""
    responses: Iterator[Callable[[], requests.Response]] = iter([lambda: response(503)])
    session = requests.Session()
    session.mount("http://", FunctionAdapter(lambda request: next(responses, lambda: _refuse(request))()))
    session.hooks["response"].append(lambda first, **_: session.send(first.request))
    return session


def refusing() -> requests.Session:
    """A session whose adapter is no `HTTPAdapter`, and declares `never_retries`."""
    return with_adapter(FunctionAdapter(_refuse))


def of_its_own_class() -> requests.Session:
    session = SessionThatRetries()
    session.mount("http://", FunctionAdapter(_refuse))
    return session


def of_a_mock_that_has_ended() -> requests.Session:
    """A session on which requests-mock has left the methods of the class as instance attributes."""
    session = refusing()
    with requests_mock.Mocker(session=session):
        pass
    assert "send" in vars(session)
    return session


def proxied(session: requests.Session) -> Any:
    return LocalProxy(lambda: session)


def with_adapter(adapter: requests.adapters.BaseAdapter) -> requests.Session:
    session = requests.Session()
    session.mount("http://", adapter)
    return session


def mounted(session: requests.Session, prefix: str, max_retries: int) -> requests.Session:
    session.mount(prefix, requests.adapters.HTTPAdapter(max_retries=max_retries))
    return session


def of_requests_kind(**arguments: Any) -> requests.Session:
    """A session with an `HTTPAdapter`, whose connections are refused."""
    return refusing_pools(requests.adapters.HTTPAdapter(**arguments))


def refusing_pools(adapter: requests.adapters.HTTPAdapter) -> requests.Session:
    vars(adapter)["poolmanager"] = RefusingPools()
    return with_adapter(adapter)


RETRYING: dict[str, Callable[[], Any]] = {
    "total": lambda: of_requests_kind(max_retries=urllib3.Retry(2)),
    "total and connect": lambda: of_requests_kind(max_retries=urllib3.Retry(1, connect=0)),
    "connect and read": lambda: of_requests_kind(max_retries=urllib3.Retry(total=None, connect=1, read=1)),
    "read": lambda: of_requests_kind(max_retries=urllib3.Retry(total=None, connect=0, read=1)),
    "without limit": lambda: of_requests_kind(max_retries=urllib3.Retry(total=None)),
    "a number": lambda: of_requests_kind(max_retries=2),
    "a session of its own class": of_its_own_class,
    "a session with its own send": lambda: with_send(lambda session: functools.partial(session.send)),
    "a session with the send of another": lambda: with_send(lambda _: refusing().send),
    "a session with a wrapped send": lambda: with_send(lambda session: Forwarding(session.send)),
    "a proxy of a session": lambda: proxied(refusing()),
    "a hook that sends again": that_sends_again_after_a_response,
    "an adapter with its own send": lambda: with_adapter(AdapterThatRetries()),
    "an adapter with the send of another": lambda: with_adapter(adapter_with_send_of(AdapterThatRetries())),
    "an adapter with its own pools": lambda: with_adapter(AdapterOfItsOwnPools()),
    "an adapter with its own responses": lambda: refusing_pools(AdapterOfItsOwnResponses()),
    "an adapter without __init__": lambda: with_adapter(AdapterWithoutInit()),
    "an adapter of another kind": lambda: with_adapter(Unannounced()),
    "an adapter that raises anything": lambda: with_adapter(Unannounced(KeyError)),
    "retries for another prefix": lambda: mounted(of_requests_kind(), "http://other.test", 3),
    "retries of their own kind": lambda: of_requests_kind(max_retries=RetryOfItsOwn(0)),
}
SENDING_ONCE: dict[str, Callable[[], Any]] = {
    "Retry(0)": lambda: of_requests_kind(max_retries=urllib3.Retry(0)),
    "Retry(0, read=False)": lambda: of_requests_kind(max_retries=urllib3.Retry(0, read=False)),
    "Retry(False)": lambda: of_requests_kind(max_retries=urllib3.Retry(False)),
    "0": lambda: of_requests_kind(max_retries=0),
    "an adapter of requests' kind": of_requests_kind,
    "an adapter of another kind that says so": lambda: refusing(),
    "a mock that has ended": of_a_mock_that_has_ended,
}


def submission_error(session: Any, clock: Clock) -> RequestFailed:
    """The error of a submission by this session."""
    client = VideoTranslationClient("http://fake.test", session=session, sleep=clock.tick)
    with pytest.raises(RequestFailed) as caught:
        client.submit(VIDEO, "es")
    return caught.value


@pytest.mark.parametrize("make", RETRYING.values(), ids=RETRYING)
def test_a_refused_connection_of_a_session_that_may_retry_proves_nothing(clock: Clock, make: Callable[[], Any]) -> None:
    """The last of its own attempts was refused, and an earlier one may have been accepted."""
    error = submission_error(make(), clock)
    assert (error.may_have_been_accepted, error.attempts) == (True, 1)


@pytest.mark.parametrize("make", SENDING_ONCE.values(), ids=SENDING_ONCE)
def test_a_refused_connection_of_a_session_without_retries_is_retried(clock: Clock, make: Callable[[], Any]) -> None:
    """It proves that nothing was sent, so that a retry creates no second job."""
    error = submission_error(make(), clock)
    assert (error.may_have_been_accepted, error.attempts) == (False, 5)


def test_an_instrumented_session_counts_as_a_session_without_retries(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tracing tools wrap `Session.send` in a descriptor that returns a new object at each access."""

    class Wrapped:
        def __init__(self, function: Callable[..., Any]) -> None:
            self._function = function

        def __get__(self, instance: Any, _: type | None = None) -> Callable[..., Any]:
            return lambda *args, **kwargs: self._function(instance, *args, **kwargs)

    monkeypatch.setattr(requests.Session, "send", Wrapped(requests.Session.send))
    error = submission_error(refusing(), clock)
    assert (error.may_have_been_accepted, error.attempts) == (False, 5)


@pytest.mark.parametrize("limit", ["time", "cancel"])
@pytest.mark.parametrize(("code", "kind"), [(422, RequestFailed), (401, RequestFailed), (429, TooManyJobs)])
def test_the_body_of_a_refusal_is_read_despite_a_time_out_or_a_cancellation(
    clock: Clock, limit: str, code: int, kind: type[RequestFailed]
) -> None:
    """The body has arrived by then, and the error has its message."""
    body = json.dumps({"detail": {"status": "too_many_concurrent_requests", "message": "too much"}}).encode()
    cancel = threading.Event()

    def refuse_late(_: requests.PreparedRequest) -> requests.Response:
        clock.tick(2) if limit == "time" else cancel.set()
        return response(code, body)

    session = requests.Session()
    session.mount("http://", FunctionAdapter(refuse_late))
    client = VideoTranslationClient(
        "http://fake.test", service="elevenlabs", api_key="k", session=session, sleep=clock.tick, request_timeout=1
    )

    with pytest.raises(kind) as caught:
        client.submit(VIDEO, "es", queue=False, cancel=cancel)
    assert (caught.value.status_code, caught.value.attempts, caught.value.may_have_been_accepted) == (code, 1, False)
    assert caught.value.problem is not None
    assert caught.value.problem.message == "too much"


@pytest.mark.parametrize("then", [200, 201])
def test_a_409_of_a_submission_in_progress_is_read_despite_a_timeout(clock: Clock, then: int) -> None:
    """HeyGen's 409 has its code in the body, which is read although the time of the request is used up."""
    responses = iter(
        [
            response(409, b'{"error": {"code": "request_in_progress", "message": "wait"}}'),
            response(then, b'{"data": {"video_translation_ids": ["job-1"]}}'),
        ]
    )

    def respond(request: requests.PreparedRequest) -> requests.Response:
        if request.method == "GET":
            return response(200, json.dumps({"data": {"languages": ["Spanish (Spain)"]}}).encode())
        clock.tick(2)
        return next(responses)

    session = requests.Session()
    session.mount("http://", FunctionAdapter(respond))
    client = VideoTranslationClient(
        "http://fake.test", service="heygen", api_key="k", session=session, sleep=clock.tick, request_timeout=1
    )

    assert client.submit(VIDEO, "Spanish (Spain)").id == "job-1"


def _refuse(request: requests.PreparedRequest) -> requests.Response:
    raise requests.ConnectionError(ConnectionRefusedError(111, "Connection refused"), request=request)


@pytest.mark.parametrize("loc", [None, 5, "body", {}])
def test_a_malformed_error_body_does_not_hide_the_error(clock: Clock, loc: Any) -> None:
    """The error still says that the job may have been accepted."""
    body = json.dumps({"detail": [{"loc": loc, "msg": "bad"}]})
    fault = json.dumps({"nth": 1, "route": "create", "status_code": 500, "body": body})
    setup = struck("elevenlabs", clock, fault)

    with pytest.raises(RequestFailed, match="bad") as caught:
        setup.submit()
    assert caught.value.may_have_been_accepted is True


def test_an_expected_duration_too_large_for_a_float_is_none(clock: Clock) -> None:
    """The id in the same response is returned."""
    body = '{"dubbing_id": "d-1", "expected_duration_sec": 1' + "0" * 400 + "}"
    fault = json.dumps({"nth": 1, "route": "create", "status_code": 200, "body": body})
    job = struck("elevenlabs", clock, fault).submit()

    assert (job.id, job.expected_seconds) == ("d-1", None)


@pytest.mark.parametrize("located", ["http://[bad", "http://h:99999/x", "http://h:abc/x", "", "\x00"])
def test_an_operation_location_that_is_no_valid_url_is_ignored(clock: Clock, located: str) -> None:
    """The client has chosen the id of the operation, and builds the URL from it."""
    requested_urls: list[str] = []

    def respond(request: requests.PreparedRequest) -> requests.Response:
        requested_urls.append(str(request.url))
        return response(200, b'{"status": "Succeeded"}', operation_location=located)

    session = requests.Session()
    session.mount("http://", FunctionAdapter(respond))
    client = VideoTranslationClient("http://fake.test", service="azure", api_key="k-123456", session=session)
    client.submit(VIDEO, "es-ES", idempotency_key="order-1")
    assert requested_urls[1].startswith("http://fake.test/operations/order-1.translation?")


def test_options_in_a_form_are_repeated_fields_or_json(clock: Clock) -> None:
    """A list is one field for each item, objects and booleans are JSON, and None is left out."""
    setup = ClientSetup(clock, "elevenlabs")
    bodies: list[bytes] = []
    adapter = setup.session.get_adapter(setup.url)

    def keep(request: requests.PreparedRequest) -> requests.Response:
        bodies.append(bytes(request.body or b""))  # type: ignore[arg-type]  # not a file here
        return adapter.send(request)

    setup.session.mount("http://", FunctionAdapter(keep))
    setup.submit(options={"keyterms": ["one", "two"], "x": {"a": True}, "y": None, "z": False})
    assert bodies[0].count(b'name="keyterms"') == 2
    assert b'{"a": true}' in bodies[0]
    assert b'name="y"' not in bodies[0]
    assert b"false" in bodies[0]


def _raise_after_response(setup: ClientSetup, error: type[BaseException]) -> None:
    """Make the adapter raise `error` after the service has responded, except to a GET request."""
    adapter = setup.session.get_adapter(setup.url)

    def raise_after(request: requests.PreparedRequest) -> requests.Response:
        received = adapter.send(request)
        if request.method == "GET":
            return received
        raise error("mine")

    setup.session.mount("http://", FunctionAdapter(raise_after))


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("error", [RuntimeError, KeyError, AssertionError])
def test_an_exception_of_the_callers_adapter_does_not_hide_the_submission(
    clock: Clock, service: str, error: type[Exception]
) -> None:
    """It is the cause of an error that has the idempotency key, if the service has such keys."""
    setup = ClientSetup(clock, service)
    _raise_after_response(setup, error)

    with pytest.raises(RequestFailed, match=f"exception of the caller: {error.__name__}") as caught:
        setup.submit()
    assert isinstance(caught.value.__cause__, error)
    assert caught.value.may_have_been_accepted is True
    assert (caught.value.idempotency_key is not None) == (service in KEYED)


def test_an_exception_of_a_computed_field_does_not_hide_the_submission(clock: Clock) -> None:
    """The function for the id field of a custom `Service` has a bug."""
    submit = SubmitSpec("/jobs", id_field=ComputedField("id", lambda payload: payload["data"]["id"]))
    session = requests.Session()
    session.mount("http://", FunctionAdapter(lambda _: response(200, b'{"id": "j1"}')))
    service = Service("mine", "/jobs/{job_id}", base_url="http://fake.test", submit=submit)

    with pytest.raises(RequestFailed, match="exception of the caller: KeyError") as caught:
        VideoTranslationClient(service=service, session=session).submit(VIDEO, "es")
    assert caught.value.may_have_been_accepted is True


def test_an_exception_of_sleep_does_not_hide_the_submission(clock: Clock) -> None:
    """It is raised between two attempts. The error has the idempotency key."""

    def sleep(_: float) -> None:
        raise RuntimeError("mine")

    setup = struck("heygen", clock, "create/1:500", sleep=sleep)
    with pytest.raises(RequestFailed, match="exception of the caller: RuntimeError") as caught:
        setup.submit()
    assert caught.value.idempotency_key is not None


@pytest.mark.parametrize("service", SERVICES)
def test_the_callers_wait_is_used_for_status_checks_only(clock: Clock, tmp_path: Path, service: str) -> None:
    """It may read the `Job` of the last check, and a submission or a download has none."""
    setup = ClientSetup(
        clock,
        service,
        Scenario(10, link_delay=20),
        wait=lambda state: 1 if state.outcome.result().progress is None else 2,
    )
    job = setup.finished()
    assert setup.client.download(job, tmp_path / "out.mp4").stat().st_size == 65536


def test_too_many_jobs_after_a_lost_response_may_include_the_submitted_job(clock: Clock) -> None:
    """The response to the first attempt was lost, and its job takes the last slot."""
    body = '{"error": {"code": "rate_limit_exceeded", "message": "full"}}'
    full = json.dumps({"nth": 2, "route": "create", "status_code": 429, "body": body})
    setup = struck("heygen", clock, "create/1:drop", full)

    with pytest.raises(TooManyJobs, match="may have been accepted") as caught:
        setup.submit()
    assert (caught.value.may_have_been_accepted, len(setup.lab.submissions)) == (True, 1)
