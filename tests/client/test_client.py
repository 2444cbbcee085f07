"""The methods of the blocking client: what they return and raise, and how a wait is cancelled."""

import math
import threading
import time
from importlib import metadata
from typing import Any

import pytest
import requests
import requests_mock
import responses
from support.adapters import BASE_URL, FunctionAdapter, response
from support.fixtures import Clock, LogLines, MakeClient

from fake_server import InProcessAdapter, Scenario, create_app
from translation_client import (
    Job,
    JobFailed,
    RequestFailed,
    RetriesExhausted,
    TranslationClientError,
    TranslationStatus,
    UnexpectedAnswer,
    VideoTranslationClient,
    WaitCancelled,
    WaitTimeout,
)
from translation_client._polling import MAX_KINDS_SEEN


@pytest.mark.parametrize(("outcome", "status"), [("completed", "completed"), ("error", "error")])
def test_get_status_returns_the_final_status(make_client: MakeClient, outcome: Any, status: str) -> None:
    """A failed job is a status, and not an exception."""
    result = make_client(Scenario(3, outcome)).get_status()

    assert result == status
    assert isinstance(result, TranslationStatus)


def test_the_single_job_has_an_empty_id_and_can_be_passed_to_methods(make_client: MakeClient) -> None:
    """`check`, `wait` and `watch` accept it, and errors have no job id."""
    client = make_client(Scenario(3, "error"))
    job = client.check()

    assert (job.id, client.check(job).id, client.wait(job).id, [one.id for one in client.watch(job)]) == (
        "",
        "",
        "",
        [""],
    )
    with pytest.raises(JobFailed, match=r"^the job failed") as caught:
        client.wait(job).raise_for_status()
    assert caught.value.job_id is None


def test_wait_returns_the_job_with_its_checks_elapsed_seconds_and_payload(make_client: MakeClient) -> None:
    """The payload is the last response."""
    job = make_client(Scenario(3)).wait()

    assert job == Job(
        "", TranslationStatus.COMPLETED, "completed", checks=3, elapsed=6, payload={"result": "completed"}
    )


def test_check_makes_one_status_check(make_client: MakeClient, lines: LogLines) -> None:
    """It returns the job although it is pending."""
    job = make_client(Scenario(3)).check()

    assert (job.status, job.checks) == (TranslationStatus.PENDING, 1)
    assert [line["event"] for line in lines] == ["status_checked"]


def test_watch_yields_the_job_after_each_check(make_client: MakeClient) -> None:
    """The last status is final."""
    assert [str(job.status) for job in make_client(Scenario(3)).watch()] == ["pending", "pending", "completed"]


def test_each_job_is_checked_by_its_own_id(make_client: MakeClient, clock: Clock) -> None:
    """Two jobs are created with `POST /jobs`, and checked by their ids or by the `Job` itself."""
    session = requests.Session()
    session.mount(BASE_URL, InProcessAdapter(create_app(Scenario(3))))
    client = make_client(session=session)
    first = session.post(f"{BASE_URL}/jobs").json()["id"]
    clock.tick(10)
    second = session.post(f"{BASE_URL}/jobs").json()["id"]

    pending = client.check(second)
    assert client.check(first).status is TranslationStatus.COMPLETED
    assert (pending.id, pending.status) == (second, TranslationStatus.PENDING)
    assert client.wait(pending).status is TranslationStatus.COMPLETED
    assert client.get_status(second) is TranslationStatus.COMPLETED
    assert [job.id for job in client.watch(second)] == [second]


def test_the_time_of_watch_starts_with_the_call_and_not_with_the_iteration(
    make_client: MakeClient, clock: Clock
) -> None:
    """So do `elapsed` of the jobs and the times that a stop strategy of the caller reads."""
    ages: list[tuple[float, float]] = []

    def stop(state: Any) -> bool:
        ages.append((time.monotonic() - state.start_time, state.seconds_since_start))
        return False

    updates = make_client(Scenario(12), stop=stop).watch()
    clock.tick(5)

    assert [job.elapsed for job in updates] == [5, 7, 11, 19]
    assert ages == [pytest.approx((5, 5)), pytest.approx((7, 7)), pytest.approx((11, 11))]


def test_a_job_id_is_one_percent_encoded_segment_of_the_request_url() -> None:
    """It follows the path of `base_url`."""
    adapter = FunctionAdapter(lambda _: response())
    session = requests.Session()
    session.mount(BASE_URL, adapter)
    VideoTranslationClient(f"{BASE_URL}/api/", session=session).check("a/b?c#d%2F é")

    assert adapter.requests[0].url == f"{BASE_URL}/api/status/a%2Fb%3Fc%23d%252F%20%C3%A9"


def test_checks_and_waits_raise_wait_cancelled_after_close(make_client: MakeClient, lines: LogLines) -> None:
    """No request is sent."""
    with make_client() as client:
        pass

    for call in (client.check, client.wait, client.get_status, lambda: next(client.watch())):
        with pytest.raises(WaitCancelled) as caught:
            call()
        assert caught.value.attempts == 0
    assert [line["reason"] for line in lines] == ["cancelled"] * 4


def test_close_can_be_called_twice(make_client: MakeClient) -> None:
    """A file can be closed twice, too."""
    client = make_client()
    client.close()
    client.close()


def test_a_wait_with_an_event_that_is_already_set_sends_no_request(make_client: MakeClient) -> None:
    """It raises `WaitCancelled`, as it was cancelled already."""
    cancel = threading.Event()
    cancel.set()

    with pytest.raises(WaitCancelled) as caught:
        make_client().wait(cancel=cancel)

    assert caught.value.attempts == 0


@pytest.mark.parametrize("how", ["close", "event"])
def test_a_wait_that_is_cancelled_in_a_sleep_sends_no_further_request(
    make_client: MakeClient, clock: Clock, lines: LogLines, how: str
) -> None:
    """With tenacity's own way to cancel, one more would be sent."""
    cancel = threading.Event()

    def sleep(seconds: float) -> None:
        clock.tick(seconds)
        if seconds == 4:
            client.close() if how == "close" else cancel.set()

    client = make_client(Scenario(100), sleep=sleep)
    with pytest.raises(WaitCancelled, match=r"cancelled after 6\.0 s .*The job itself was not cancelled") as caught:
        client.wait(cancel=cancel)

    assert (caught.value.attempts, caught.value.checks) == (2, 2)
    assert caught.value.job is not None
    assert lines[-1]["reason"] == "cancelled"


def test_a_set_event_does_not_cancel_other_waits_of_the_client(make_client: MakeClient) -> None:
    """An event belongs to the wait that it is passed to."""
    cancel = threading.Event()
    cancel.set()
    client = make_client(Scenario(3))
    with pytest.raises(WaitCancelled):
        client.wait(cancel=cancel)

    assert client.get_status() == "completed"


def test_a_keyboard_interrupt_in_a_sleep_ends_the_wait(make_client: MakeClient) -> None:
    """It is no fault, and is not retried."""

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_client(Scenario(9), sleep=interrupt).wait()


def test_a_keyboard_interrupt_in_a_request_is_not_retried() -> None:
    """tenacity catches everything, but only a fault is retried."""

    def respond(_: object) -> requests.Response:
        raise KeyboardInterrupt

    session = requests.Session()
    adapter = FunctionAdapter(respond)
    session.mount(BASE_URL, adapter)
    with pytest.raises(KeyboardInterrupt):
        VideoTranslationClient(BASE_URL, session=session).wait()

    assert len(adapter.requests) == 1


def test_a_final_response_after_the_deadline_is_returned(clock: Clock) -> None:
    """A slow adapter of the caller may exceed the deadline."""

    def respond(_: object) -> requests.Response:
        clock.tick(40)
        return response(body=b'{"result": "completed"}')

    session = requests.Session()
    session.mount(BASE_URL, FunctionAdapter(respond))

    assert VideoTranslationClient(BASE_URL, session=session, sleep=clock.tick).get_status() == "completed"


def test_a_read_timeout_of_an_adapter_after_the_deadline_is_a_wait_timeout(clock: Clock) -> None:
    """The adapter raises it 40 s after the start of the wait."""

    def respond(_: object) -> requests.Response:
        clock.tick(40)
        raise requests.ReadTimeout("too slow")

    session = requests.Session()
    session.mount(BASE_URL, FunctionAdapter(respond))

    with pytest.raises(WaitTimeout, match=r"did not return the status of the job within 40\.0 s"):
        VideoTranslationClient(BASE_URL, session=session, sleep=clock.tick).get_status()


def test_time_outs_of_an_adapter_before_the_deadline_are_faults(clock: Clock, lines: LogLines) -> None:
    """The request is retried, also after a TLS error."""
    errors = [requests.ReadTimeout("slow"), requests.ConnectTimeout("slow"), requests.exceptions.SSLError("bad")]

    def respond(_: object) -> requests.Response:
        if errors:
            raise errors.pop(0)
        return response(body=b'{"result": "completed"}')

    session = requests.Session()
    session.mount(BASE_URL, FunctionAdapter(respond))
    VideoTranslationClient(BASE_URL, session=session, sleep=clock.tick).get_status()

    assert [line["fault"] for line in lines.of("check_failed")] == ["timeout", "timeout", "connection"]


@pytest.mark.parametrize(
    "name",
    sorted(
        name
        for name, value in vars(requests.exceptions).items()
        if isinstance(value, type) and issubclass(value, requests.RequestException)
    ),
)
def test_every_exception_of_requests_becomes_a_translation_client_error(clock: Clock, name: str) -> None:
    """Its cause has the same class, except for `JSONDecodeError`, and does not hold the request, which has the key."""
    kind = getattr(requests.exceptions, name)

    def respond(request: requests.PreparedRequest) -> requests.Response:
        if issubclass(kind, requests.exceptions.JSONDecodeError):
            raise kind("bad", "doc", 0, request=request)
        raise kind("bad", request=request)

    session = requests.Session()
    session.mount(BASE_URL, FunctionAdapter(respond))
    client = VideoTranslationClient(BASE_URL, session=session, sleep=clock.tick, api_key="k", max_faults=2)
    with pytest.raises(TranslationClientError, match="2 attempts in a row") as caught:
        client.check()

    cause: Any = caught.value.__cause__
    needs_a_document = issubclass(kind, requests.exceptions.JSONDecodeError)
    assert type(cause) is (requests.exceptions.RequestException if needs_a_document else kind)
    assert cause.request is None
    assert "bad" not in str(cause)


def test_an_exception_class_of_an_adapter_becomes_a_translation_client_error(clock: Clock) -> None:
    """Its constructor takes other arguments than those of `requests.RequestException`."""

    class Mine(requests.RequestException):
        def __init__(self, response: requests.Response) -> None:
            super().__init__(f"HTTP {response.status_code}")

    def respond(_: object) -> requests.Response:
        raise Mine(response(500))

    session = requests.Session()
    session.mount(BASE_URL, FunctionAdapter(respond))
    with pytest.raises(UnexpectedAnswer):
        VideoTranslationClient(BASE_URL, session=session, max_faults=1).check()


def test_the_client_does_not_close_a_session_of_the_caller(make_client: MakeClient) -> None:
    """The caller created it, and has to close it."""
    closed: list[bool] = []

    class Mine(requests.Session):
        def close(self) -> None:
            closed.append(True)

    with make_client(session=Mine()):
        pass

    assert closed == []


def test_the_user_agent_of_a_request_has_the_version_of_the_package() -> None:
    """A service can tell the versions apart by it."""
    adapter = FunctionAdapter(lambda _: response())
    session = requests.Session()
    session.mount(BASE_URL, adapter)
    VideoTranslationClient(BASE_URL, session=session).check()

    version = metadata.version("translation-client")
    assert adapter.requests[0].headers["User-Agent"] == f"translation-client/{version}"


def test_responses_and_requests_mock_intercept_the_requests_of_a_client() -> None:
    """They hook in at the adapter and at the session. One client has a session of its own, the other one a caller's."""
    with responses.RequestsMock() as played:
        played.get(f"{BASE_URL}/status", json={"result": "completed"})
        assert VideoTranslationClient(BASE_URL).get_status() == "completed"
    with requests_mock.Mocker() as played_too:
        played_too.get(f"{BASE_URL}/status", json={"result": "error"})
        assert VideoTranslationClient(BASE_URL, session=requests.Session()).get_status() == "error"


def test_status_words_are_counted_separately_up_to_a_limit(make_client: MakeClient, lines: LogLines) -> None:
    """A server that never sends the same word twice does not fill the memory or cause warnings without end."""
    numbers = iter(range(1000))
    adapter = FunctionAdapter(lambda _: response(body=b'{"result": "word %d"}' % next(numbers)))
    session = requests.Session()
    session.mount(BASE_URL, adapter)
    with pytest.raises(RetriesExhausted, match="× other"):
        make_client(session=session, max_retries=200, timeout=math.inf, wait=lambda _: 1).wait()

    assert len(lines.of("unknown_status")) == MAX_KINDS_SEEN


def test_the_repr_of_a_client_has_its_url_and_its_service() -> None:
    """It has neither user information nor headers, which may be secret."""
    client = VideoTranslationClient("https://u:s3cret@host/x", headers={"A": "s3cret"})

    assert repr(client) == "VideoTranslationClient('https://host/x', service='reference')"


def test_a_client_whose_arguments_are_refused_has_a_repr() -> None:
    """Tools that show tracebacks call it."""
    client = VideoTranslationClient.__new__(VideoTranslationClient)
    with pytest.raises(ValueError, match="timeout"):
        client.__init__("https://host/x", timeout=-1)  # type: ignore[misc]  # its reference is kept so

    assert repr(client) == "<VideoTranslationClient, not initialized>"


def test_the_metadata_of_the_package_is_read_for_the_first_client_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading it parses the README, which takes five times as long as all the rest."""
    VideoTranslationClient(BASE_URL)
    monkeypatch.setattr(metadata, "version", lambda _: pytest.fail("read again"))

    VideoTranslationClient(BASE_URL)


def test_the_error_of_a_failed_wait_has_the_job_id(make_client: MakeClient) -> None:
    """The job is not lost with the wait."""
    with pytest.raises(RequestFailed) as caught:
        make_client().wait("j-9")

    assert caught.value.job_id == "j-9"


def test_a_service_object_can_be_given_in_place_of_a_name(make_client: MakeClient) -> None:
    """If it has no path of a single job, a check needs an id."""
    from dataclasses import replace

    from translation_client.services.reference import REFERENCE

    service = replace(REFERENCE, name="mine", base_url="http://mine.test", single_job_path=None)
    client = VideoTranslationClient(service=service)

    assert repr(client) == "VideoTranslationClient('http://mine.test', service='mine')"
    with pytest.raises(ValueError, match="this request of the service 'mine' needs its id"):
        client.check()


def test_watch_raises_wait_cancelled_if_the_client_is_closed_past_its_deadline(
    make_client: MakeClient, clock: Clock
) -> None:
    """Closing a client cancels each of its waits, also one that would have timed out anyway."""
    client = make_client(Scenario(100), timeout=30)
    watching = client.watch()
    next(watching)
    clock.tick(31)
    client.close()

    with pytest.raises(WaitCancelled):
        next(watching)
