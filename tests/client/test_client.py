"""The client as its user meets it: the calls, what they return, and how a wait is ended from outside."""

import math
import threading
import time
from importlib import metadata
from typing import Any

import pytest
import requests
import requests_mock
import responses
from support.adapters import BASE_URL, Answers, response
from support.fixtures import Clock, Lines, MakeClient

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
def test_get_status_returns_how_it_ended(make_client: MakeClient, outcome: Any, status: str) -> None:
    """A job that failed is an answer and not an exception."""
    result = make_client(Scenario(3, outcome)).get_status()

    assert result == status
    assert isinstance(result, TranslationStatus)


def test_the_single_job_has_an_empty_id_and_can_be_passed_on(make_client: MakeClient) -> None:
    """To whatever takes a job, and errors do not name it."""
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


def test_wait_returns_the_job_with_what_it_took(make_client: MakeClient) -> None:
    """Checks, seconds, and the answer itself."""
    job = make_client(Scenario(3)).wait()

    assert job == Job(
        "", TranslationStatus.COMPLETED, "completed", checks=3, elapsed=6, payload={"result": "completed"}
    )


def test_check_asks_once(make_client: MakeClient, lines: Lines) -> None:
    """And returns a job that is pending."""
    job = make_client(Scenario(3)).check()

    assert (job.status, job.checks) == (TranslationStatus.PENDING, 1)
    assert [line["event"] for line in lines] == ["status_checked"]


def test_watch_yields_each_answer(make_client: MakeClient) -> None:
    """The last one is final."""
    assert [str(job.status) for job in make_client(Scenario(3)).watch()] == ["pending", "pending", "completed"]


def test_a_job_has_an_id_of_its_own(make_client: MakeClient, clock: Clock) -> None:
    """Made with `POST /jobs`, asked for by id or by the job itself."""
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


def test_the_time_of_watch_starts_with_the_call(make_client: MakeClient, clock: Clock) -> None:
    """However late it is iterated: for the deadline, and for a strategy of the caller's that reads the start."""
    ages: list[tuple[float, float]] = []

    def stop(state: Any) -> bool:
        ages.append((time.monotonic() - state.start_time, state.seconds_since_start))
        return False

    updates = make_client(Scenario(12), stop=stop).watch()
    clock.tick(5)

    assert [job.elapsed for job in updates] == [5, 7, 11, 19]
    assert ages == [pytest.approx((5, 5)), pytest.approx((7, 7)), pytest.approx((11, 11))]


def test_the_request_for_an_id_is_one_encoded_segment() -> None:
    """On the wire."""
    answers = Answers(lambda _: response())
    session = requests.Session()
    session.mount(BASE_URL, answers)
    VideoTranslationClient(f"{BASE_URL}/api/", session=session).check("a/b?c#d%2F é")

    assert answers.requests[0].url == f"{BASE_URL}/api/status/a%2Fb%3Fc%23d%252F%20%C3%A9"


def test_after_close_every_call_is_cancelled(make_client: MakeClient, lines: Lines) -> None:
    """Without a request."""
    with make_client() as client:
        pass

    for call in (client.check, client.wait, client.get_status, lambda: next(client.watch())):
        with pytest.raises(WaitCancelled) as caught:
            call()
        assert caught.value.attempts == 0
    assert [line["reason"] for line in lines] == ["cancelled"] * 4


def test_close_can_be_called_twice(make_client: MakeClient) -> None:
    """As that of a file."""
    client = make_client()
    client.close()
    client.close()


def test_an_event_that_is_set_before_the_wait_sends_nothing(make_client: MakeClient) -> None:
    """It was cancelled already."""
    cancel = threading.Event()
    cancel.set()

    with pytest.raises(WaitCancelled) as caught:
        make_client().wait(cancel=cancel)

    assert caught.value.attempts == 0


@pytest.mark.parametrize("how", ["close", "event"])
def test_a_wait_that_is_cancelled_while_it_sleeps_makes_no_further_request(
    make_client: MakeClient, clock: Clock, lines: Lines, how: str
) -> None:
    """tenacity's own way makes one more."""
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


def test_a_cancelled_event_does_not_harm_other_waits(make_client: MakeClient) -> None:
    """It belongs to one."""
    cancel = threading.Event()
    cancel.set()
    client = make_client(Scenario(3))
    with pytest.raises(WaitCancelled):
        client.wait(cancel=cancel)

    assert client.get_status() == "completed"


def test_an_interrupt_ends_a_wait_at_once(make_client: MakeClient) -> None:
    """Ctrl-C is nobody's fault, and is not repeated."""

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_client(Scenario(9), sleep=interrupt).wait()


def test_an_interrupt_in_a_call_is_not_repeated() -> None:
    """tenacity catches everything; only a fault is called again."""

    def answer(_: object) -> requests.Response:
        raise KeyboardInterrupt

    session = requests.Session()
    answers = Answers(answer)
    session.mount(BASE_URL, answers)
    with pytest.raises(KeyboardInterrupt):
        VideoTranslationClient(BASE_URL, session=session).wait()

    assert len(answers.requests) == 1


def test_a_final_answer_that_comes_after_the_deadline_is_not_thrown_away(clock: Clock) -> None:
    """A slow adapter of the caller's may overrun; what it brings is still the answer."""

    def answer(_: object) -> requests.Response:
        clock.tick(40)
        return response(body=b'{"result": "completed"}')

    session = requests.Session()
    session.mount(BASE_URL, Answers(answer))

    assert VideoTranslationClient(BASE_URL, session=session, sleep=clock.tick).get_status() == "completed"


def test_an_adapter_that_runs_out_of_time_is_a_time_out(clock: Clock) -> None:
    """In whatever way it says so."""

    def answer(_: object) -> requests.Response:
        clock.tick(40)
        raise requests.ReadTimeout("too slow")

    session = requests.Session()
    session.mount(BASE_URL, Answers(answer))

    with pytest.raises(WaitTimeout, match=r"did not return the status of the job within 40\.0 s"):
        VideoTranslationClient(BASE_URL, session=session, sleep=clock.tick).get_status()


def test_an_adapter_that_is_slow_within_the_time_is_a_fault(clock: Clock, lines: Lines) -> None:
    """And is asked again."""
    answers = [requests.ReadTimeout("slow"), requests.ConnectTimeout("slow"), requests.exceptions.SSLError("bad")]

    def answer(_: object) -> requests.Response:
        if answers:
            raise answers.pop(0)
        return response(body=b'{"result": "completed"}')

    session = requests.Session()
    session.mount(BASE_URL, Answers(answer))
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
def test_no_exception_of_requests_gets_through(clock: Clock, name: str) -> None:
    """Each is one of ours, raised from it, and without the request in it, which holds the key."""
    kind = getattr(requests.exceptions, name)

    def answer(request: requests.PreparedRequest) -> requests.Response:
        if issubclass(kind, requests.exceptions.JSONDecodeError):
            raise kind("bad", "doc", 0, request=request)
        raise kind("bad", request=request)

    session = requests.Session()
    session.mount(BASE_URL, Answers(answer))
    client = VideoTranslationClient(BASE_URL, session=session, sleep=clock.tick, api_key="k", max_faults=2)
    with pytest.raises(TranslationClientError, match="2 attempts in a row") as caught:
        client.check()

    cause: Any = caught.value.__cause__
    needs_a_document = issubclass(kind, requests.exceptions.JSONDecodeError)
    assert type(cause) is (requests.exceptions.RequestException if needs_a_document else kind)
    assert cause.request is None
    assert "bad" not in str(cause)


def test_an_exception_of_an_adapters_own_is_one_of_ours_too(clock: Clock) -> None:
    """However it wants to be made."""

    class Mine(requests.RequestException):
        def __init__(self, response: requests.Response) -> None:
            super().__init__(f"HTTP {response.status_code}")

    def answer(_: object) -> requests.Response:
        raise Mine(response(500))

    session = requests.Session()
    session.mount(BASE_URL, Answers(answer))
    with pytest.raises(UnexpectedAnswer):
        VideoTranslationClient(BASE_URL, session=session, max_faults=1).check()


def test_a_callers_session_is_never_closed(make_client: MakeClient) -> None:
    """Who makes it closes it."""
    closed: list[bool] = []

    class Mine(requests.Session):
        def close(self) -> None:
            closed.append(True)

    with make_client(session=Mine()):
        pass

    assert closed == []


def test_a_request_says_which_version_it_comes_from() -> None:
    """So that a service can tell."""
    answers = Answers(lambda _: response())
    session = requests.Session()
    session.mount(BASE_URL, answers)
    VideoTranslationClient(BASE_URL, session=session).check()

    version = metadata.version("translation-client")
    assert answers.requests[0].headers["User-Agent"] == f"translation-client/{version}"


def test_the_libraries_that_play_a_server_work() -> None:
    """They hook in at the adapter and at the session, with a session of ours and with one of the caller's."""
    with responses.RequestsMock() as played:
        played.get(f"{BASE_URL}/status", json={"result": "completed"})
        assert VideoTranslationClient(BASE_URL).get_status() == "completed"
    with requests_mock.Mocker() as played_too:
        played_too.get(f"{BASE_URL}/status", json={"result": "error"})
        assert VideoTranslationClient(BASE_URL, session=requests.Session()).get_status() == "error"


def test_kinds_of_answers_are_told_apart_up_to_a_limit(make_client: MakeClient, lines: Lines) -> None:
    """A server that never says the same twice fills no memory, and warns no end."""
    numbers = iter(range(1000))
    answers = Answers(lambda _: response(body=b'{"result": "word %d"}' % next(numbers)))
    session = requests.Session()
    session.mount(BASE_URL, answers)
    with pytest.raises(RetriesExhausted, match="× other"):
        make_client(session=session, max_retries=200, timeout=math.inf, wait=lambda _: 1).wait()

    assert len(lines.of("unknown_status")) == MAX_KINDS_SEEN


def test_a_client_says_what_it_is() -> None:
    """Without what may be secret."""
    client = VideoTranslationClient("https://u:s3cret@host/x", headers={"A": "s3cret"})

    assert repr(client) == "VideoTranslationClient('https://host/x', service='reference')"


def test_a_client_whose_arguments_are_refused_has_a_repr() -> None:
    """Tools that show tracebacks call it."""
    client = VideoTranslationClient.__new__(VideoTranslationClient)
    with pytest.raises(ValueError, match="timeout"):
        client.__init__("https://host/x", timeout=-1)  # type: ignore[misc]  # its reference is kept so

    assert repr(client) == "<VideoTranslationClient, not initialized>"


def test_the_job_id_is_on_every_error(make_client: MakeClient) -> None:
    """So that the job is not lost with the wait."""
    with pytest.raises(RequestFailed) as caught:
        make_client().wait("j-9")

    assert caught.value.job_id == "j-9"


def test_a_service_can_be_given_as_a_value(make_client: MakeClient) -> None:
    """It is data."""
    from dataclasses import replace

    from translation_client.services.reference import REFERENCE

    service = replace(REFERENCE, name="mine", base_url="http://mine.test", single_job_path=None)
    client = VideoTranslationClient(service=service)

    assert repr(client) == "VideoTranslationClient('http://mine.test', service='mine')"
    with pytest.raises(ValueError, match="every job of the service 'mine' has an id"):
        client.check()


def test_a_watch_that_is_closed_after_its_deadline_was_cancelled(make_client: MakeClient, clock: Clock) -> None:
    """Who closes a client is told so by every wait of it, also by one that would have ended anyway."""
    client = make_client(Scenario(100), timeout=30)
    watching = client.watch()
    next(watching)
    clock.tick(31)
    client.close()

    with pytest.raises(WaitCancelled):
        next(watching)
