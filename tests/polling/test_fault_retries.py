"""Faults of every kind during a wait: retries, `Retry-After`, and the messages of the errors."""

import time
from typing import Any

import pytest
from support.fixtures import Clock, LogLines, MakeClient
from tenacity import RetryCallState, Retrying, retry_always, wait_none

from fake_server import Fault, Scenario
from translation_client import RequestFailed, TranslationStatus, UnexpectedAnswer, WaitTimeout, _models
from translation_client._config import RANDOM
from translation_client._polling import RetryStepper, fault_of, placeholder

ONE_FAULT = {
    "503": Fault(nth=2, status_code=503),
    "500": Fault(nth=2, status_code=500),
    "408": Fault(nth=2, status_code=408),
    "425": Fault(nth=2, status_code=425),
    "429": Fault(nth=2, status_code=429),
    "204": Fault(nth=2, status_code=204),
    "304": Fault(nth=2, status_code=304),
    "html": Fault(nth=2, action="html"),
    "drop": Fault(nth=2, action="drop"),
    "truncate": Fault(nth=2, action="truncate"),
}


@pytest.mark.parametrize("name", ONE_FAULT)
def test_a_wait_survives_one_fault(make_client: MakeClient, lines: LogLines, name: str) -> None:
    """The job is not reported as failed."""
    job = make_client(Scenario(9, faults=(ONE_FAULT[name],))).wait()

    assert job.status is TranslationStatus.COMPLETED
    assert len(lines.of("check_failed")) == 1
    assert lines.of("gave_up") == []


@pytest.mark.parametrize(
    ("fault", "error", "status_code"),
    [
        (Fault(every=1, status_code=503), RequestFailed, 503),
        (Fault(every=1, status_code=429), RequestFailed, 429),
        (Fault(every=1, action="drop"), RequestFailed, None),
        (Fault(every=1, action="html"), UnexpectedAnswer, 200),
        (Fault(every=1, action="truncate"), UnexpectedAnswer, 200),
        (Fault(every=1, status_code=204), UnexpectedAnswer, 204),
        (Fault(every=1, status_code=304), UnexpectedAnswer, 304),
    ],
)
def test_a_fault_of_every_attempt_fails_the_check(
    make_client: MakeClient, fault: Fault, error: type[RequestFailed | UnexpectedAnswer], status_code: int | None
) -> None:
    """After `max_faults` attempts. The error has the status code, the number of attempts and its cause."""
    with pytest.raises(error) as caught:
        make_client(Scenario(9, faults=(fault,))).wait()

    failure: Any = caught.value
    assert failure.status_code == status_code
    assert (failure.attempts, failure.checks, failure.job) == (5, 0, None)
    assert failure.__cause__ is not None


def test_the_last_of_different_faults_determines_the_error(make_client: MakeClient) -> None:
    """An HTML page after four 503 raises `UnexpectedAnswer`."""
    faults = (Fault(nth=5, action="html"), Fault(every=1, status_code=503))

    with pytest.raises(UnexpectedAnswer, match="5 attempts in a row"):
        make_client(Scenario(faults=faults)).wait()


@pytest.mark.parametrize("code", [400, 401, 402, 403, 404, 405, 409, 410, 422, 451])
def test_a_4xx_that_is_not_retryable_fails_the_check_at_once(
    make_client: MakeClient, lines: LogLines, clock: Clock, code: int
) -> None:
    """A 401 is not better a second later. The log has the reason "refused"."""
    with pytest.raises(RequestFailed) as caught:
        make_client(Scenario(faults=(Fault(every=1, status_code=code),))).wait()

    assert (caught.value.status_code, caught.value.attempts, caught.value.elapsed) == (code, 1, 0)
    assert caught.value.problem == {"error": f"scripted fault {code}"}
    assert [line["reason"] for line in lines.of("gave_up")] == ["refused"]


def test_the_error_of_an_unknown_job_names_its_id(make_client: MakeClient) -> None:
    """The message says what to check."""
    with pytest.raises(
        RequestFailed, match=r"the status of job 'nope': HTTP 404 Not Found.*Check the id and base_url"
    ) as caught:
        make_client().check("nope")

    assert caught.value.job_id == "nope"


def test_a_429_with_retry_after_3_is_retried_after_3_seconds(make_client: MakeClient, lines: LogLines) -> None:
    """None of fifteen public clients for this task does that."""
    fault = Fault(nth=2, status_code=429, headers={"Retry-After": "3"})

    job = make_client(Scenario(4, faults=(fault,))).wait()

    assert lines.of("check_failed")[0]["sleep_seconds"] == 3
    assert job.elapsed == 5


def test_retry_after_shorter_than_the_backoff_changes_no_sleep(make_client: MakeClient, lines: LogLines) -> None:
    """The sleep is the longer of the two."""
    make_client(Scenario(9, faults=(Fault(nth=2, headers={"Retry-After": "0"}),))).wait()

    assert 0.375 <= lines.of("check_failed")[0]["sleep_seconds"] <= 0.625


def test_retry_after_as_a_date_is_relative_to_the_date_of_the_response(
    make_client: MakeClient, lines: LogLines
) -> None:
    """The clock of the server may be wrong, as long as both dates are."""
    headers = {"Date": "Mon, 02 Jan 2006 15:04:05 GMT", "Retry-After": "Mon, 02 Jan 2006 15:04:12 GMT"}

    make_client(Scenario(4, faults=(Fault(nth=2, status_code=503, headers=headers),))).wait()

    assert lines.of("check_failed")[0]["sleep_seconds"] == 7


@pytest.mark.parametrize("hint", ["soon", "-1", "1e3", "inf", "99999999999", "3 s", "Wed, 99 Foo 2026 00:00:00 GMT"])
def test_an_invalid_retry_after_is_ignored_and_logged(make_client: MakeClient, lines: LogLines, hint: str) -> None:
    """Other SDKs end the wait for it, or sleep for 86 400 seconds."""
    job = make_client(Scenario(9, faults=(Fault(nth=2, headers={"Retry-After": hint}),))).wait()

    assert job.status is TranslationStatus.COMPLETED
    assert [line["value"] for line in lines.of("retry_after_ignored")] == [hint]


def test_retry_after_past_the_deadline_ends_the_wait_at_once(make_client: MakeClient) -> None:
    """A sleep until the deadline would be of no use. The error has the `Retry-After`."""
    fault = Fault(nth=2, status_code=429, headers={"Retry-After": "60"})

    with pytest.raises(WaitTimeout, match="Retry-After is 60 s, longer than the time left") as caught:
        make_client(Scenario(9, faults=(fault,))).wait()

    assert (caught.value.elapsed, caught.value.retry_after, caught.value.checks) == (2, 60, 1)


def test_retry_after_of_a_pending_response_lengthens_the_sleep(make_client: MakeClient, lines: LogLines) -> None:
    """The reason in the log is "retry_after"."""
    client = make_client(Scenario(9, faults=()))
    _respond_with(client, "5")

    assert client.wait().elapsed == 10
    assert [line["reason"] for line in lines.of("sleeping")] == ["retry_after", "retry_after"]


def test_retry_after_of_a_pending_response_applies_to_the_next_sleep_only(
    make_client: MakeClient, lines: LogLines
) -> None:
    """It is read from each response anew."""
    client = make_client(Scenario(20))
    hints = iter(["5"])
    session = client._transport._session._session  # type: ignore[union-attr]  # a test double of the responses
    session.hooks["response"].append(
        lambda response, **_: response.headers.update({"Retry-After": hint} if (hint := next(hints, None)) else {})
    )
    client.wait()

    assert [line["sleep_seconds"] for line in lines.of("sleeping")] == [5, 4, 8, 12.75]


def test_retry_after_of_a_pending_response_is_shortened_to_the_last_check(
    make_client: MakeClient, lines: LogLines
) -> None:
    """A job may end earlier than the server expects."""
    client = make_client(Scenario(9))
    _respond_with(client, "600")

    assert client.wait().elapsed == 29.75
    assert [line["reason"] for line in lines.of("sleeping")] == ["deadline"]


def _respond_with(client: object, retry_after: str) -> None:
    session = client._transport._session._session  # type: ignore[attr-defined]  # a test double of the responses
    session.hooks["response"].append(lambda response, **_: response.headers.update({"Retry-After": retry_after}))


def test_the_message_of_a_time_out_says_that_the_job_is_still_running(make_client: MakeClient) -> None:
    """It also says that the job has not failed, and how to resume."""
    with pytest.raises(WaitTimeout) as caught:
        make_client(Scenario(100), timeout=5).wait()

    assert str(caught.value) == (
        "the job was still 'pending' after 4.8 s (3 attempts: 3 × pending, timeout=5). The job has not failed and is still "
        "running. Resume waiting with client.wait(), or check once with client.check()."
    )


def test_the_message_of_an_unreachable_server_says_what_to_check(make_client: MakeClient) -> None:
    """It also says that the job may still be running, and how to resume."""
    with pytest.raises(RequestFailed) as caught:
        make_client(Scenario(faults=(Fault(every=1, action="drop"),))).wait()

    assert str(caught.value) == (
        "http://fake.test/status could not be reached, 5 attempts in a row; the last: the connection broke. This says "
        "nothing about the job, which may still be running. Check that the server is running and that base_url is "
        "right. Resume waiting with client.wait(), or check once with client.check()."
    )


def test_the_message_of_a_time_out_without_any_response_says_what_to_check(make_client: MakeClient) -> None:
    """Without a response it is unknown if there is a server, or a job."""
    with pytest.raises(WaitTimeout) as caught:
        make_client(Scenario(faults=(Fault(every=1, action="drop"),)), timeout=2).wait()

    assert "did not return the status of the job within" in str(caught.value)
    assert "; the last error: the connection broke (" in str(caught.value)
    assert "Check that the server is running and that base_url is right. Resume waiting" in str(caught.value)


def test_the_message_of_a_time_out_after_a_503_does_not_doubt_the_server(make_client: MakeClient) -> None:
    """It does not say to check that the server is running."""
    with pytest.raises(WaitTimeout) as caught:
        make_client(Scenario(faults=(Fault(every=1, status_code=503),)), timeout=2).wait()

    assert "; the last error: HTTP 503" in str(caught.value)
    assert "Check that the server is running" not in str(caught.value)


def test_the_message_of_an_html_page_as_response_quotes_its_beginning(make_client: MakeClient) -> None:
    """The attribute `excerpt` begins with it, too."""
    with pytest.raises(UnexpectedAnswer, match=r"not a JSON object \(it begins '<!doctype html>") as caught:
        make_client(Scenario(faults=(Fault(every=1, action="html"),))).wait()

    assert caught.value.excerpt is not None
    assert caught.value.excerpt.startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("chance", "part"),
    [(0.0, 0.75), (1.0, 1.25)],
)
def test_jitter_changes_the_sleeps_after_faults_by_at_most_a_quarter(
    make_client: MakeClient, lines: LogLines, monkeypatch: pytest.MonkeyPatch, chance: float, part: float
) -> None:
    """At both ends of the range, and never above the cap."""
    monkeypatch.setattr(RANDOM, "random", lambda: chance)
    with pytest.raises(RequestFailed):
        make_client(Scenario(faults=(Fault(every=1),)), max_faults=9, timeout=1000).wait()

    sleeps = [line["sleep_seconds"] for line in lines.of("check_failed")]
    assert sleeps == pytest.approx([min(30, part * min(30, 0.5 * 2**number)) for number in range(8)])


def test_a_fault_in_the_last_second_still_gets_a_further_attempt(make_client: MakeClient) -> None:
    """A fault without `Retry-After` is not one with a `Retry-After` of 1 s."""
    scenario = Scenario(2.2, faults=(Fault(nth=2, status_code=503),))

    assert make_client(scenario, timeout=2.9).wait().status is TranslationStatus.COMPLETED


def test_a_401_after_a_503_fails_the_check_at_once(make_client: MakeClient) -> None:
    """By default, tenacity would repeat it as any exception."""
    faults = (Fault(nth=1, status_code=503), Fault(nth=2, status_code=401))
    with pytest.raises(RequestFailed) as caught:
        make_client(Scenario(9, faults=faults)).wait()

    assert (caught.value.status_code, caught.value.attempts) == (401, 2)


def test_fault_of_an_attempt_without_a_fault_raises_type_error() -> None:
    """Such a retry state is a bug of this package."""
    retrying: Any = None
    states = [RetryCallState(retrying, None, (), {}) for _ in range(3)]
    states[1].set_result(7)
    fault = _models.Fault("connection", "broke")
    states[2].set_exception((_models.Fault, fault, None))

    for state in states[:2]:
        with pytest.raises(TypeError, match="not the state of a failed call"):
            fault_of(state)
    assert fault_of(states[2]) is fault


def test_a_stepper_shows_strategies_the_number_of_the_attempt_in_its_outcome() -> None:
    """As in tenacity's own loop. A delay of 0 seconds is kept."""
    numbers: list[int] = []

    def record(state: RetryCallState) -> None:
        assert state.outcome is not None
        assert state.outcome.done()
        numbers.append(state.outcome.attempt_number)

    retrying = Retrying(retry=retry_always, wait=wait_none(), before_sleep=record)
    stepper = RetryStepper()
    fault = _models.Fault("connection", "broke")

    assert [stepper.delay_after_fault(fault, retrying), stepper.delay_after("pending", retrying)] == [0, 0]
    assert numbers == [1, 2]


def test_a_declaration_without_a_function_says_how_it_is_used() -> None:
    """Such a call is a bug of this package."""
    with pytest.raises(RuntimeError) as caught:
        placeholder()

    assert str(caught.value) == "this declaration has no function and no sleep: step through it with a RetryStepper"


@pytest.mark.parametrize(("arguments", "ago"), [((), 0), ((3.0,), 3)])
def test_the_start_time_of_a_stepper_is_its_own_unless_some_seconds_have_elapsed(
    clock: Clock, arguments: tuple[float, ...], ago: float
) -> None:
    """A strategy of the caller may read it, and the arguments of the attempt, of which there are none."""
    seen: list[object] = []

    def record(state: RetryCallState) -> None:
        seen.extend((round(time.monotonic() - state.start_time, 3), state.args, state.kwargs))

    RetryStepper(*arguments).delay_after("pending", Retrying(retry=retry_always, before_sleep=record))

    assert seen == [ago, (), {}]
