"""Elapsed time on every kind of clock: the larger of the clock's seconds and those of sleeps and socket I/O."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import freezegun
import pytest
import requests
from freezegun import freeze_time
from support.adapters import BASE_URL, FunctionAdapter, response
from support.fixtures import Clock, LogLines, MakeClient, SilentLogger
from support.in_process_service import ClientSetup
from tenacity import RetryCallState
from tenacity.stop import stop_after_delay
from tenacity.wait import wait_fixed

from fake_server import Scenario
from translation_client import VideoTranslationClient, WaitTimeout, wait_learned
from translation_client import _clock as clock_module
from translation_client._auth.redactor import Redactor
from translation_client._clock import (
    ContinuousClock,
    Deadline,
    JobAge,
    SharedClock,
    Stopwatch,
    monotonic,
    real_clock_of,
    real_monotonic,
    unpatched_monotonic,
)
from translation_client._config import JobFeatures
from translation_client._polling import CallState, wait_pending
from translation_client._transports.cancel_scope import CallTimeout, CancelScope, TransferScope
from translation_client._transports.requests import RequestsTransport


class Steps:
    """A clock that the test sets."""

    def __init__(self, at: float = 0.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def never() -> bool:
    return False


def session_of(body: bytes) -> requests.Session:
    """Return a session with the same response to every request, in process."""
    session = requests.Session()
    session.mount(BASE_URL, FunctionAdapter(lambda _: response(200, body)))
    return session


@pytest.mark.parametrize("real", [real_monotonic, unpatched_monotonic()], ids=["clock_gettime", "a copy"])
def test_the_real_monotonic_clock_is_not_frozen(real: Callable[[], float], clock: Clock) -> None:
    """Read with `clock_gettime` or from a copy of the module `time`, it is the clock of the real `time.monotonic`."""
    assert monotonic() > 1e9
    clock.tick(3600)
    usual: float = freezegun.api.real_monotonic()
    assert 0 <= real() - usual < 60


def test_a_system_without_clock_gettime_reads_a_copy_of_the_module_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows is such a system."""
    for name in ("CLOCK_MONOTONIC", "CLOCK_UPTIME_RAW"):
        monkeypatch.delattr(time, name, raising=False)
    found = clock_module._find_real_monotonic()

    with freeze_time("2026-11-23"):
        assert abs(found() - real_monotonic()) < 60


def test_a_package_imported_while_time_is_frozen_finds_the_real_clock() -> None:
    """A test may import the package late, within `freeze_time`."""
    code = (
        "import time\n"
        "from freezegun import freeze_time\n"
        "with freeze_time('2026-11-23'):\n"
        "    from translation_client import _clock as clock\n"
        "    real = clock.real_monotonic, clock.unpatched_monotonic()\n"
        "    assert clock.monotonic() > 1e9\n"
        "    assert all(one() < 1e9 for one in real)\n"
        "assert all(abs(one() - time.monotonic()) < 60 for one in real)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_elapsed_time_is_the_larger_of_clock_seconds_and_added_seconds(clock: Clock) -> None:
    """It is never their sum."""
    watch = Stopwatch()
    assert watch.elapsed == 0
    watch.add(2)
    assert watch.elapsed == 2
    clock.tick(1.5)
    assert watch.elapsed == 2
    clock.tick(3.5)
    assert watch.elapsed == 5
    watch.add(2)
    assert watch.elapsed == 5
    watch.add(3)
    assert watch.elapsed == 7
    assert watch.now() == watch.began_at + 7


def test_seconds_added_to_a_stopwatch_count_for_it_and_its_parents(clock: Clock) -> None:
    """They count neither for its children nor for other children of its parent."""
    whole = Stopwatch()
    part, other = Stopwatch(whole), Stopwatch(whole)
    Stopwatch(part).add(1)
    other.add(2)
    whole.add(4)

    assert (part.elapsed, other.elapsed, whole.elapsed) == (1, 2, 7)


def test_measure_adds_the_real_seconds_of_a_block(clock: Clock) -> None:
    """Also if the block raises."""
    watch, real = Stopwatch(), Steps()
    with watch.measure(real):
        real.at += 2

    def interrupted() -> None:
        with watch.measure(real):
            real.at += 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert watch.elapsed == 3


@pytest.mark.parametrize(
    ("took", "counted"), [(0.0, 2.0), (0.04, 2.0), (0.06, 0.06), (1.9, 1.9), (2.0, 2.0), (2.5, 2.0)]
)
def test_a_callers_sleep_on_a_frozen_clock_counts_its_real_or_requested_seconds(
    took: float, counted: float, clock: Clock
) -> None:
    """The real seconds count, but no more than requested. If they are less than 50 ms, the requested ones count."""
    watch, real = Stopwatch(), Steps()
    with watch.measure_callers_sleep(2.0, real):
        real.at += took

    assert watch.elapsed == counted


@pytest.mark.parametrize("ticks", [0.001, 2.0, 3.0])
def test_a_callers_sleep_that_moves_a_frozen_clock_counts_the_clock_seconds(ticks: float, clock: Clock) -> None:
    """The real time that it takes to move the clock does not count."""
    watch, real = Stopwatch(), Steps()
    with watch.measure_callers_sleep(2.0, real):
        clock.tick(ticks)
        real.at += 0.02

    assert watch.elapsed == pytest.approx(ticks, abs=1e-6)


def test_a_callers_sleep_that_returns_at_once_counts_0_s_on_a_running_clock() -> None:
    """A running clock reaches the deadline by itself."""
    watch, real = Stopwatch(), Steps()
    with watch.measure_callers_sleep(3600.0, real):
        pass

    assert watch.elapsed < 3600


@pytest.mark.parametrize("body", [b'{"data": {"id": "j", "status": "running"}}', b"<html>"], ids=["pending", "fault"])
def test_a_wait_on_a_frozen_clock_times_out_though_sleep_does_nothing(body: bytes, clock: Clock) -> None:
    """As in a test with mocked responses: no `max_retries`, no time that passes, no network."""
    session = requests.Session()
    session.mount("https://", FunctionAdapter(lambda _: response(200, body)))
    slept: list[float] = []
    client = VideoTranslationClient(
        service="heygen", api_key="k", timeout=5, max_faults=math.inf, sleep=slept.append, session=session
    )

    with client, pytest.raises(WaitTimeout) as caught:
        client.wait("j")

    assert 4 <= caught.value.elapsed <= 5
    assert sum(slept) == pytest.approx(caught.value.elapsed)


def test_added_seconds_count_towards_a_deadline(clock: Clock) -> None:
    """Seconds added to a part count for the deadlines of the part and of the whole."""
    whole = Deadline.after(10)
    part = Deadline.after(3, whole.stopwatch)
    part.stopwatch.add(2)
    assert (whole.remaining, part.remaining) == (8, 1)
    clock.tick(9)
    assert (whole.remaining, part.remaining) == (1, -6)
    assert part.expired
    assert not whole.expired
    whole.stopwatch.add(8)
    assert whole.expired


def test_the_age_of_a_job_grows_with_the_elapsed_time_of_its_wait(clock: Clock) -> None:
    """Also on a frozen clock."""
    watch = Stopwatch()
    job = JobAge(time.time() - 100, watch)
    watch.add(5)
    assert job.age() == 105
    job.set_submitted_at(time.time() - 50)
    watch.add(5)
    assert job.age() == 55


def test_freezing_and_unfreezing_time_does_not_change_the_elapsed_time() -> None:
    """The ticks of the frozen clock count."""
    watch, deadline = Stopwatch(), Deadline.after(1000)
    with freeze_time("2026-11-23") as frozen:
        assert watch.elapsed < 60
        assert deadline.remaining > 900
        frozen.tick(300)
        assert 299 < watch.elapsed < 360
        assert 600 < deadline.remaining < 701
    assert 299 < watch.elapsed < 360
    assert 600 < deadline.remaining < 701


def test_a_clock_that_is_moved_back_does_not_reduce_the_elapsed_time(clock: Clock) -> None:
    """Seconds added before and after the move count."""
    watch = Stopwatch()
    watch.add(2)
    clock.move_to("2020-01-01")
    assert watch.elapsed == 2
    watch.add(3)
    assert watch.elapsed == 5


def test_alternating_real_and_frozen_readings_add_no_elapsed_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """freezegun returns the real time to callers near the module `threading`."""
    reading = Steps()
    monkeypatch.setattr(time, "monotonic", reading)
    reading.at = frozen = 1.8e9
    watch = Stopwatch()
    for _ in range(3):
        reading.at = real_monotonic()
        assert watch.elapsed < 60
        reading.at = frozen
        assert watch.elapsed < 60
    reading.at += 100
    assert 100 <= watch.elapsed < 160


CALLS: dict[str, Callable[[VideoTranslationClient], Any]] = {
    "wait": lambda client: client.wait("j"),
    "check_all": lambda client: client.check_all(["j"]),
    "submit": lambda client: client.submit("https://videos.example.com/talk.mp4", "es"),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_in_a_thread_on_a_frozen_clock_does_not_time_out_early(
    call: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some readings of the clock are frozen and others are not, which must not end a wait that has just begun."""
    monkeypatch.setattr(freezegun.api, "call_stack_inspection_limit", 5)  # the default, lowered in conftest.py
    client = VideoTranslationClient(
        BASE_URL, session=session_of(b'{"id": "j", "result": "completed"}'), logger=SilentLogger()
    )
    outcomes: list[Any] = []

    def do() -> None:
        try:
            outcomes.append(CALLS[call](client))
        except Exception as error:  # noqa: BLE001  # the test asserts that there is none
            outcomes.append(error)

    thread = threading.Thread(target=do)
    thread.start()
    thread.join()

    [outcome] = outcomes
    assert not isinstance(outcome, Exception), outcome


def test_a_wait_times_out_on_a_clock_that_ticks_at_each_reading(make_client: MakeClient) -> None:
    """With `auto_tick_seconds` of freezegun, and a `sleep` that does nothing."""
    with freeze_time("2026-11-23", auto_tick_seconds=0.5), pytest.raises(WaitTimeout) as ended:
        make_client(Scenario(1e6), sleep=lambda _: None, max_retries=math.inf, timeout=300).wait()

    assert ended.value.elapsed is not None
    assert 200 <= ended.value.elapsed < 400


def test_a_wait_in_process_on_a_frozen_clock_counts_only_the_clock_seconds(make_client: MakeClient) -> None:
    """A test with an adapter in process and `sleep=clock.tick` does not depend on the speed of the machine."""
    client = make_client(Scenario(1e6), max_retries=math.inf, timeout=0.05, backoff_factor=0.001)
    with pytest.raises(WaitTimeout) as ended:
        client.wait()

    assert ended.value.elapsed == pytest.approx(0.05, abs=0.006)
    assert make_client(Scenario(0)).wait().elapsed == 0


def test_seconds_added_to_a_cancel_scope_count_towards_its_limit_and_its_wait(clock: Clock) -> None:
    """Seconds added to a child scope count for its parent scope, too."""
    wait = Deadline.after(60)
    watch = Stopwatch(wait.stopwatch)
    guard = CancelScope(watch.began_at + 10, never, watch)
    guard.stopwatch.add(4)
    part = guard.child(1)
    assert (guard.require_remaining(), part.require_remaining(), wait.remaining) == (6, 1, 56)
    part.stopwatch.add(0.75)
    assert (guard.require_remaining(), part.require_remaining(), wait.remaining) == (5.25, 0.25, 55.25)
    part.stopwatch.add(0.25)
    with pytest.raises(CallTimeout):
        part.require_remaining()
    assert guard.child(30).require_remaining() == guard.require_remaining() == 5
    guard.stopwatch.add(5)
    with pytest.raises(CallTimeout):
        guard.require_remaining()
    assert wait.remaining == 50


def test_bytes_of_the_file_restart_the_idle_time_out_of_a_transfer_not_its_deadline(clock: Clock) -> None:
    """Added seconds count for both."""
    wait = Deadline.after(25)
    call = Stopwatch(wait.stopwatch)
    guard = TransferScope(wait, 10, never, call)
    for _ in range(2):
        guard.stopwatch.add(9)
        assert guard.require_remaining() == 1
        guard.record_received()
        assert guard.require_remaining() == 1
        guard.record_sent()
    assert guard.require_remaining() == wait.remaining == 7
    assert call.elapsed == 18
    guard.is_receiving_file = True
    clock.tick(20)
    guard.record_received()
    assert guard.require_remaining() == wait.remaining == 5
    guard.stopwatch.add(7)
    with pytest.raises(CallTimeout):
        guard.require_remaining()


def test_the_idle_time_out_of_a_transfer_counts_seconds_added_since_the_last_byte(clock: Clock) -> None:
    """A move of the clock before that byte does not count. The transfer has no deadline."""
    guard = TransferScope(Deadline.after(math.inf), 10, never, Stopwatch())
    guard.is_receiving_file = True
    clock.tick(9)
    guard.record_received()
    guard.stopwatch.add(9)
    assert guard.require_remaining() == 1
    guard.stopwatch.add(1)
    with pytest.raises(CallTimeout):
        guard.require_remaining()


class Together:
    """A shared clock, and the two clocks that it reads: `time.monotonic` and the real seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock, self.real = Steps(1e9), Steps(5.0)
        monkeypatch.setattr(time, "monotonic", self.clock)
        self.shared = SharedClock(self.real)
        self.shared.now()

    def move(self, clock: float, real: float) -> float:
        before = self.shared.now()
        self.clock.at += clock
        self.real.at += real
        return self.shared.now() - before


@pytest.mark.parametrize(
    ("by_clock", "real", "advance"),
    [(0, 0, 0), (2, 2, 2), (0, 2, 2), (2, 0, 2), (3600, 2, 3600), (-3600, 2, 2), (-1, 0, 0), (2, -1e6, 2)],
)
def test_a_shared_clock_advances_by_the_larger_of_clock_and_real_seconds(
    by_clock: float, real: float, advance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two readings, and never backwards."""
    together = Together(monkeypatch)

    assert together.move(by_clock, real) == pytest.approx(advance)
    assert together.move(1, 0) == pytest.approx(1)
    assert together.move(0, 1) == pytest.approx(1)


def test_concurrent_sleeps_on_a_shared_clock_do_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty waits that sleep 2 s concurrently, while the clock moves by 1 s, have an elapsed time of 2 s."""
    together = Together(monkeypatch)
    watches = [Stopwatch(clock=together.shared) for _ in range(60)]
    together.real.at += 2
    together.clock.at += 1
    for watch in watches:
        watch.add(2)

    assert [watch.elapsed for watch in watches] == [2.0] * 60


def test_a_shared_clock_on_a_running_clock_never_gets_ahead_of_it() -> None:
    """However often it is read."""
    shared, running = SharedClock(time.monotonic), ContinuousClock()
    for _ in range(20_000):
        before, seen, after = running.now(), shared.now(), running.now()
        assert before <= seen <= after


def test_the_real_clock_of_a_frozen_event_loop_is_the_time_of_the_loop() -> None:
    """Nothing takes time in a frozen event loop. The time of a running one may be some milliseconds old."""
    frozen = Steps(1.8e9)

    assert real_clock_of(frozen) is frozen
    assert real_clock_of(lambda: real_monotonic() - 0.01) is real_monotonic


def takes(setup: ClientSetup, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Add real seconds to each request, as one over a socket takes them."""
    send = RequestsTransport.send

    async def slow(transport: RequestsTransport, request: Any, deadline: Deadline, *rest: Any, **more: Any) -> Any:
        deadline.stopwatch.add(seconds)
        return await send(transport, request, deadline, *rest, **more)

    monkeypatch.setattr(RequestsTransport, "send", slow)


def test_the_elapsed_time_of_a_submission_counts_all_its_requests(
    clock: Clock, lines: LogLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request for the list of languages is one of them."""
    setup = ClientSetup(clock, "heygen")
    takes(setup, 3, monkeypatch)
    setup.submit()

    assert setup.requested_paths("GET") == ["/v3/video-translations/languages"]
    [submitted] = lines.of("job_submitted")
    assert submitted["elapsed_seconds"] == 6
    with pytest.raises(WaitTimeout) as ended:
        ClientSetup(clock, "heygen").submit(timeout=4)
    assert ended.value.elapsed == 6


def test_the_elapsed_time_of_a_download_counts_all_its_requests(
    clock: Clock, lines: LogLines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status check is one of them."""
    setup = ClientSetup(clock, "heygen")
    job = setup.finished()
    takes(setup, 3, monkeypatch)
    setup.client.download(str(job.id), tmp_path / "film.mp4")

    [downloaded] = lines.of("file_downloaded")
    assert downloaded["elapsed_seconds"] == 6


def test_check_all_gives_each_job_the_elapsed_time_of_its_own_request(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `check` of each job does."""
    setup = ClientSetup(clock, "elevenlabs")
    jobs = [setup.finished(), setup.finished()]
    takes(setup, 3, monkeypatch)

    assert [job.elapsed for job in setup.client.check_all(jobs)] == [3, 3]


def progress_of(timeout: float) -> CallState:
    return CallState(None, timeout, Redactor([]))


def a_state() -> RetryCallState:
    """Return the state of a first attempt that has ended."""
    state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]  # what a strategy reads is there
    state.outcome_timestamp = monotonic()
    return state


def test_seconds_since_start_exclude_the_time_before_the_first_attempt(clock: Clock) -> None:
    """A wait for a slot that follows an upload of an hour has its whole time."""
    progress, state = progress_of(math.inf), a_state()
    progress.stopwatch.add(3600)
    pauses, stop = (
        wait_pending(None, wait_fixed(1), progress, elapsed_before=progress.stopwatch.elapsed),
        stop_after_delay(3),
    )
    progress.stopwatch.add(2)
    pauses(state)
    assert not stop(state)
    progress.stopwatch.add(1)
    pauses(state)
    assert stop(state)


def test_the_callers_wait_and_stop_strategies_get_the_elapsed_time(clock: Clock) -> None:
    """The `seconds_since_start` of tenacity itself is by a clock that may be frozen."""
    progress, state = progress_of(60), a_state()
    stop, seen = stop_after_delay(20), list[float]()

    def schedule(state: RetryCallState) -> float:
        seen.append(state.seconds_since_start or 0.0)
        return 1.0

    pauses = wait_pending(schedule, wait_fixed(2), progress)
    progress.stopwatch.add(19)
    assert (pauses(state), stop(state)) == (1.0, False)
    progress.stopwatch.add(1)
    assert (pauses(state), stop(state)) == (1.0, True)
    assert seen == [19, 20]


def test_a_learned_schedule_uses_the_elapsed_time(clock: Clock) -> None:
    """On a frozen clock, its sleeps would otherwise be those of a job that has just begun."""
    strategy, state = wait_learned(check_cost=3), a_state()
    first = strategy(state)
    state.outcome_timestamp = state.start_time + 27

    assert (first, strategy(state)) == pytest.approx((3, 21))


def test_a_learned_wait_computes_the_age_of_its_job_from_the_elapsed_time(make_client: MakeClient) -> None:
    """The times of its checks and the duration that it learns depend on this age."""
    client = make_client(Scenario(0), history=True, check_cost=1)
    wait: Any = client._poller("j", None, None, JobFeatures(submitted_at=time.time() - 100))
    wait.requestor.state.stopwatch.add(5)

    assert wait._recorder.strategy._job_age.age() == 105


def test_a_request_of_a_batch_in_a_thread_has_its_own_stopwatch(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopwatch that threads share would count wrong."""
    clocks: list[Any] = []
    send = RequestsTransport.send

    async def seen(transport: RequestsTransport, request: Any, deadline: Deadline, *rest: Any, **more: Any) -> Any:
        clocks.append(deadline.stopwatch._clock)
        return await send(transport, request, deadline, *rest, **more)

    monkeypatch.setattr(RequestsTransport, "send", seen)
    session = session_of(b'{"id": "j", "result": "completed"}')
    VideoTranslationClient(BASE_URL, session=session, logger=SilentLogger()).wait_all(["j"])

    assert [type(one) for one in clocks] == [ContinuousClock]


def test_a_process_stopped_between_two_readings_does_not_look_like_a_frozen_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As by SIGSTOP, or on a machine that is suspended. The seconds before and after it count."""
    present, pauses = [1000.0], iter([0.0, 0.0, 5.0])

    def real() -> float:
        present[0] += next(pauses, 0.0)
        return present[0]

    monkeypatch.setattr(clock_module, "real_monotonic", real)
    monkeypatch.setattr(time, "monotonic", lambda: present[0])
    clock = ContinuousClock()
    began = clock.now()
    present[0] += 300

    assert clock.now() - began == 305
    assert not clock.is_frozen
    present[0] += 200
    assert clock.now() - began == 505
