"""The parts of a batch, without sockets: rate limiter, queue of due jobs, bulk requests, options and source of jobs."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import threading
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fake_server.replies import json_reply
from translation_client import Job, TranslationStatus
from translation_client._clock import Deadline
from translation_client._config import NO_FEATURES
from translation_client._jobs.batch.batch_job import take_due_together
from translation_client._jobs.batch.bulk_availability import BulkAvailability
from translation_client._jobs.batch.due_queue import DueQueue
from translation_client._jobs.batch.options import BatchOptions, batch_options, require_source, sort_by_position
from translation_client._jobs.batch.rate_limiter import MAX_RESERVED, MAX_SLOWDOWN, RateLimiter, Reservations
from translation_client._jobs.batch.source import iterate
from translation_client._jobs.bulk import BulkFailed
from translation_client._models import Fault, MissingField, Request, Response
from translation_client._transports.threaded import ThreadedTransport
from translation_client.services.reference import REFERENCE

ANSWERED_AFTER = 0.0005

RATES = st.one_of(st.floats(0.2, 10), st.floats(10, 2000), st.integers(1, 2000).map(float))
LATE: SearchStrategy[list[float]] = st.lists(st.sampled_from([0.0, 0.0, 0.001, 0.01, 0.05, 0.4, 3.0]), min_size=1)


def sent(limiter: RateLimiter, number: int, lateness: list[float], start: float = 1000.0) -> list[float]:
    """Return the times of `number` requests: the earliest that the limiter allows, plus the delay of a late timer."""
    now, moments = start, []
    for late in itertools.islice(itertools.cycle(lateness), number):
        now = max(now, limiter.next_slot()) + late
        limiter.release(limiter.acquire(now), now + ANSWERED_AFTER)
        moments.append(now)
    return moments


def most_in_a_second(moments: list[float]) -> int:
    return max(bisect_left(moments, moment + 1) - index for index, moment in enumerate(moments))


@pytest.mark.parametrize("rate", [2**63, 1e19, 1e300, 2**2000])
def test_a_huge_rate_is_no_limit(rate: float) -> None:
    """It raises no `OverflowError`."""
    assert sent(RateLimiter(rate), 5, [0.0]) == sent(RateLimiter(math.inf), 5, [0.0])


@given(RATES, LATE)
def test_no_second_has_more_requests_than_the_rate_limiter_allows(rate: float, lateness: list[float]) -> None:
    """However late the timers are. Below one per second, there is one request in each `1 / rate` seconds."""
    number = min(6000, int(3 * rate) + 10)
    moments = sent(RateLimiter(rate), number, lateness)

    assert most_in_a_second(moments) <= max(1, math.floor(rate))
    if rate < 1:
        assert min(after - before for before, after in itertools.pairwise(moments)) >= 1 / rate - 1e-6


@given(RATES)
def test_a_sender_with_punctual_timers_reaches_nine_tenths_of_the_rate(rate: float) -> None:
    """Of the whole requests that fit into any second; below one per second, of the rate itself."""
    number = int(20 * rate) + 20
    moments = sent(RateLimiter(rate), number, [0.0])
    allowed = math.floor(rate) if rate >= 1 else rate

    assert (number - 1) / (moments[-1] - moments[0]) >= 0.9 * allowed


@pytest.mark.parametrize("rate", [1.0, 5.0, 100.0, 2000.0])
def test_requests_are_spread_over_the_second(rate: float) -> None:
    """Also after an idle hour: at most a fiftieth of a second is made up for."""
    limiter = RateLimiter(rate)
    sent(limiter, 3, [0.0])
    moments = sent(limiter, int(rate), [0.0], start=5000.0)

    assert moments.count(5000.0) <= 2 + 0.02 * rate
    assert moments[-1] - moments[0] >= 0.9 * (rate - 2) / rate - 0.02


@pytest.mark.parametrize("rate", [0.5, 20.0, math.inf])
def test_a_pause_holds_all_requests(rate: float) -> None:
    """At any rate. A shorter pause does not end a longer one."""
    limiter = RateLimiter(rate)
    limiter.acquire(100.0)
    limiter.pause(130.0)
    limiter.pause(110.0)

    assert limiter.next_slot() >= 130.0


@pytest.mark.parametrize(
    ("status_code", "hint", "is_paused"),
    [
        (429, 7.0, True),
        (429, None, True),
        (429, 86400.0, True),
        (503, 7.0, True),
        (503, 86400.0, True),
        (503, None, False),
        (500, 7.0, False),
        (None, None, False),
    ],
)
def test_only_a_429_or_a_503_with_retry_after_pauses_all_requests(
    status_code: int | None, hint: float | None, is_paused: bool
) -> None:
    """The pause has the seconds of `Retry-After`, at most 60, or else those of the sleep of the job."""
    limiter = RateLimiter(math.inf)
    limiter.record_failure(status_code, hint, 3.0, 100.0)

    assert limiter.next_slot() == ((100.0 + min(60.0, 3.0 if hint is None else hint)) if is_paused else -math.inf)


@pytest.mark.parametrize("rate", [2.0, 100.0, math.inf])
@pytest.mark.parametrize("slowed", [0, 5])
def test_an_urgent_request_ignores_pauses_and_the_slower_rate(rate: float, slowed: int) -> None:
    """`checks_per_second` still holds for it."""
    limiter = RateLimiter(rate)
    for second in range(slowed):
        limiter.throttle(100.0 + 2 * second)
    limiter.pause(200.0)
    assert limiter.next_slot() == 200.0
    assert limiter.next_slot(lambda: 150.0) == 150.0
    assert limiter.next_slot(lambda: 300.0) == 200.0

    now, moments = 150.0, []
    for _ in range(400):
        now = max(now, limiter.next_slot(lambda: 150.0))
        moments.append(now)
        limiter.release(limiter.acquire(now), now)
    assert moments[-1] - moments[0] <= limiter.seconds_for(400)
    if rate < math.inf:
        assert most_in_a_second(moments) <= rate


def test_urgent_requests_do_not_delay_later_requests() -> None:
    """The slots of the slower rate that urgent requests ignored do not add up."""
    limiter = RateLimiter(100.0)
    for second in range(9):
        limiter.throttle(100.0 + 2 * second)
    now = 150.0
    for _ in range(1000):
        now = max(now, limiter.next_slot(lambda: 0.0))
        limiter.acquire(now)

    assert limiter.next_slot() <= now + 0.01 * MAX_SLOWDOWN + 1.02


def test_urgent_at_is_called_only_during_a_pause() -> None:
    """It takes time to compute, and most requests are sent without a pause."""
    limiter = RateLimiter(100.0)
    limiter.acquire(100.0)

    def urgent_at() -> float:
        raise AssertionError("nobody waits")

    assert limiter.next_slot(urgent_at) < 101.0
    limiter.pause(200.0)
    with pytest.raises(AssertionError, match="nobody waits"):
        limiter.next_slot(urgent_at)


def gap_of(limiter: RateLimiter, now: float) -> float:
    """Return the seconds between two requests in the middle of a second."""
    moments = sent(limiter, 9, [0.0], start=now)
    return moments[-1] - moments[-2]


def test_throttle_halves_the_rate_and_recover_restores_it() -> None:
    """Down to a sixteenth, and up again after a while without a 429."""
    limiter = RateLimiter(100.0)
    limiter.throttle(100.0)
    assert gap_of(limiter, 101.0) == pytest.approx(0.02)

    limiter.throttle(100.5)  # within a second of the first, so it does not halve the rate again
    assert gap_of(limiter, 101.0) == pytest.approx(0.02)

    for second in range(20):
        limiter.throttle(102.0 + second)
    assert gap_of(limiter, 130.0) == pytest.approx(0.01 * MAX_SLOWDOWN)

    for second in range(200, 300):
        limiter.recover(float(second))
    assert gap_of(limiter, 400.0) == pytest.approx(0.01)


@pytest.mark.parametrize("seconds", [1.0, 1.5])
def test_throttle_halves_the_rate_again_after_a_second(seconds: float) -> None:
    """A response within a second may be to a request that was sent before."""
    limiter = RateLimiter(100.0)
    limiter.throttle(100.0)
    limiter.throttle(100.0 + seconds)

    assert gap_of(limiter, 102.0) == pytest.approx(0.04)


def test_throttle_halves_a_rate_that_has_just_recovered() -> None:
    """The second is counted from the last change only while the rate is lowered."""
    limiter = RateLimiter(100.0)
    limiter.throttle(100.0)
    for second in (101.0, 102.0, 103.0):
        limiter.recover(second)
    assert gap_of(limiter, 103.0) == pytest.approx(0.01)
    limiter.throttle(103.5)

    assert gap_of(limiter, 104.0) == pytest.approx(0.02)


def test_without_a_rate_limit_all_requests_are_sent_at_once() -> None:
    """A thousand requests are sent at the same time."""
    assert set(sent(RateLimiter(math.inf), 1000, [0.0])) == {1000.0}


def test_a_reservation_gets_its_latest_time_if_that_slot_is_free() -> None:
    """Reservations for the same time are one gap apart."""
    reservations = Reservations(0.5)
    assert [reservations.reserve(100.0, 110.2) for _ in range(3)] == pytest.approx([110.2, 109.7, 109.2])
    assert reservations.reserve(100.0, 120.4) == pytest.approx(120.4)
    assert reservations.reserve(100.0, 110.2) == pytest.approx(108.7)


def test_without_a_rate_limit_a_reservation_gets_its_latest_time() -> None:
    """Even if it is the same for a hundred requests."""
    reservations = Reservations(0.0)
    assert {reservations.reserve(100.0, 110.0) for _ in range(100)} == {110.0}


@given(st.lists(st.integers(1, 40), max_size=60))
def test_as_many_reservations_as_possible_are_in_time(latest: list[int]) -> None:
    """In whatever order they are made: as many as if the most urgent were first."""
    reservations = Reservations(1.0)
    moments = [reservations.reserve(0.5, at + 0.5) for at in latest]
    reserved = [moment for moment in moments if moment is not None]

    assert len(set(reserved)) == len(reserved)
    assert all(moment is None or moment <= at + 0.5 for moment, at in zip(moments, latest, strict=True))
    in_time = 0
    for at in sorted(latest):  # slots 0, 1, 2 …, of which the first is now
        in_time += in_time <= at
    assert len(reserved) == in_time


def test_the_slot_of_the_present_is_reserved_once_though_past_ones_are_dropped() -> None:
    """Which happens as soon as more than `MAX_RESERVED` slots are reserved."""
    reservations = Reservations(1.0)
    slots = MAX_RESERVED + 1
    latest = 100.0 + MAX_RESERVED

    assert [reservations.reserve(100.0, latest) for _ in range(slots)] == [latest - slot for slot in range(slots)]
    assert reservations.reserve(100.0, latest) is None


def test_past_reservations_are_dropped() -> None:
    """A batch may run for days."""
    reservations = Reservations(0.01)
    for number in range(20_000):
        now = 100.0 + number
        assert reservations.reserve(now, now + 5) == pytest.approx(now + 5, abs=1e-6, rel=0)
        assert reservations.reserve(now, now + 5) == pytest.approx(now + 4.99, abs=1e-6, rel=0)

    assert len(reservations._earlier) <= MAX_RESERVED + 1


class Thing:
    """An entry of a `DueQueue`."""

    def __init__(self, due: float, ends_at: float = math.inf) -> None:
        self.due_at = self.was_due_at = due
        self.ends_at = ends_at
        self.call_in_flight = False


class Counted(float):
    """A float that counts how often one is compared by `<`."""

    compared = 0

    def __lt__(self, other: float) -> bool:
        Counted.compared += 1
        return float(self) < float(other)

    def __eq__(self, other: object) -> bool:
        return float(self) == other

    __hash__ = float.__hash__


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "pop", "again", "remove", "ended"]), st.integers(0, 20), st.integers(0, 20)),
    max_size=80,
)


@given(STEPS)
def test_a_due_queue_behaves_like_a_sorted_list(steps: list[tuple[str, int, int]]) -> None:
    """The most overdue entry is first, whatever was added, popped, rescheduled, removed or expired before."""
    queue: DueQueue[Thing] = DueQueue()
    waiting: list[Thing] = []
    popped_things: list[Thing] = []
    added: list[Thing] = []  # kept alive, as a later entry could have the same `id` otherwise
    buried: set[int] = set()
    for step, one, other in steps:
        if step == "add":
            thing = Thing(float(one), float(other) if other else math.inf)
            queue.add(thing)
            waiting.append(thing)
            added.append(thing)
        elif step == "pop":
            due = [thing.due_at for thing in waiting]
            popped = queue.pop_due(float(one))
            assert (popped is None) == (not due or min(due) > one)
            if popped is not None:
                popped.call_in_flight = True
                assert popped in [thing for thing, at in zip(waiting, due, strict=True) if at == min(due)]
                waiting.remove(popped)
                popped_things.append(popped)
                assert popped.due_at == math.inf
        elif step == "again" and popped_things:
            thing = popped_things.pop(one % len(popped_things))
            queue.reschedule(thing, float(other))
            waiting.append(thing)
        elif step == "remove" and waiting + popped_things:
            thing = (waiting + popped_things)[one % len(waiting + popped_things)]
            queue.remove(thing)
            (waiting if thing in waiting else popped_things).remove(thing)
        elif step == "ended":
            ended = list(queue.pop_expired(float(one)))
            assert {id(thing) for thing in ended} == {
                id(thing) for thing in waiting if thing.ends_at <= one and id(thing) not in buried
            }
            buried |= {id(thing) for thing in waiting + popped_things if thing.ends_at <= one}
        assert len(queue) == len(waiting) + len(popped_things)
        assert queue.next_due == min((thing.due_at for thing in waiting), default=math.inf)
        assert queue.next_deadline == min(
            (thing.ends_at for thing in waiting + popped_things if id(thing) not in buried), default=math.inf
        )


@pytest.mark.parametrize("call_in_flight", [False, True])
def test_a_job_expires_during_a_bulk_request_but_not_during_its_own_request(call_in_flight: bool) -> None:
    """A request of its own ends at the deadline by itself. A bulk request goes on for the other jobs."""
    queue: DueQueue[Thing] = DueQueue()
    thing = Thing(0.0, 5.0)
    queue.add(thing)
    assert queue.pop_due(1.0) is thing
    thing.call_in_flight = call_in_flight

    assert list(queue.pop_expired(6.0)) == ([] if call_in_flight else [thing])


def comparisons_an_operation(number: int) -> float:
    chance = random.Random(1)
    queue: DueQueue[Thing] = DueQueue()
    for _ in range(number):
        queue.add(Thing(Counted(chance.random()), Counted(10 + chance.random())))
    Counted.compared = 0
    rounds = 3000
    for turn in range(rounds):
        thing = queue.pop_due(math.inf)
        assert thing is not None
        queue.reschedule(thing, Counted(1 + turn + chance.random()))
    return Counted.compared / rounds


def test_comparisons_per_check_grow_with_the_logarithm_of_the_number_of_jobs() -> None:
    """By less than three times from a thousand jobs to a hundred thousand."""
    assert comparisons_an_operation(100_000) < 3 * comparisons_an_operation(1_000)


def test_removed_entries_do_not_accumulate_in_memory() -> None:
    """A batch that runs for days holds the jobs that it waits for, and few others."""
    queue: DueQueue[Thing] = DueQueue()
    for number in range(20_000):
        thing = Thing(float(number), float(number) + 1e6)
        queue.add(thing)
        assert queue.pop_due(float(number)) is thing
        queue.remove(thing)

    assert len(queue._deadlines) <= 4096
    assert len(queue._due) <= 4096


def test_first_to_expire_is_the_entry_with_the_earliest_deadline() -> None:
    """It is None if no entry has a deadline."""
    queue: DueQueue[Thing] = DueQueue()
    queue.add(Thing(0.0))
    assert queue.first_to_expire is None
    late, early = Thing(0.0, 9.0), Thing(1.0, 8.0)
    queue.add(late)
    queue.add(early)
    assert queue.first_to_expire is early
    queue.remove(early)
    assert queue.first_to_expire is late


@dataclass
class Stub:
    """The attributes of a job that `take_due_together` reads."""

    name: str
    due_at: float
    single_checks: float = 0.0
    ends_at: float = math.inf
    was_due_at: float = 0.0
    call_in_flight: bool = False

    def __str__(self) -> str:
        return self.name

    def is_nearly_due(self, now: float) -> bool:
        return self.due_at <= now + 1


def shared(first: str, most: int, stubs: list[Stub]) -> tuple[list[str], list[str]]:
    """Return the jobs that share a bulk request with `first` at 10 s, and the jobs that are left, in their order."""
    queue: Any = DueQueue()
    one: Any = next(stub for stub in stubs if stub.name == first)
    for stub in stubs:
        queue.add(stub)
    queue.reschedule(one, -1.0)
    assert queue.pop_due(0.0) is one
    members: list[Any] = take_due_together(queue, one, most, 10.0, lambda member: str(member) != "late")
    left = [str(queue.pop_due(1e9)) for _ in range(len(stubs) - len(members))]
    return [str(member) for member in members], left


def test_jobs_that_need_single_checks_or_lack_time_are_not_checked_in_bulk() -> None:
    """They keep their places in the queue, as do jobs that are not nearly due."""
    stubs = [Stub("a", 1), Stub("b", 2, single_checks=1), Stub("c", 3), Stub("late", 4), Stub("e", 11), Stub("f", 12)]
    assert shared("a", 100, stubs) == (["a", "c", "e"], ["b", "late", "f"])


@pytest.mark.parametrize(("first", "together"), [("a", ["a", "b"]), ("d", ["d"])])
def test_no_more_jobs_share_a_bulk_request_than_its_maximum(first: str, together: list[str]) -> None:
    """No job shares one with a job that needs a single check."""
    stubs = [Stub("a", 1), Stub("b", 2), Stub("c", 3), Stub("d", 4, single_checks=math.inf)]
    assert shared(first, 2, stubs) == (together, [one for one in "abcd" if one not in together])


def failure(status_code: int | None = 500, hint: float | None = None, *, is_refusal: bool = False) -> BulkFailed:
    response = None if status_code is None else Response(status_code, {}, b"")
    return BulkFailed(Fault("status", "it failed", response, hint), is_refusal=is_refusal)


def test_bulk_requests_that_fail_at_the_same_time_count_as_one_failure() -> None:
    """They fail for the same reason."""
    availability = BulkAvailability()
    assert availability.record_failure(failure(), 100.0, is_trial=False) == 0.5
    assert availability.record_failure(failure(), 100.2, is_trial=False) == pytest.approx(0.3)
    assert (availability.may_try(100.4), availability.may_try(100.5)) == (False, True)

    availability.start_trial()
    assert not availability.may_try(101.0)
    assert availability.record_failure(failure(), 101.0, is_trial=True) == 1.0


def test_a_response_to_an_earlier_bulk_request_does_not_end_a_suspension() -> None:
    """If bulk requests with one of the ids fail, responses to others would end the suspension each time."""
    availability = BulkAvailability()
    availability.record_failure(failure(), 100.0, is_trial=False)
    availability.record_response(0.1, is_trial=False)
    assert availability.is_suspended
    assert availability.record_failure(failure(), 101.0, is_trial=True) == 1.0  # the next suspension is longer, too

    availability.start_trial()
    availability.record_response(0.1, is_trial=True)
    assert not availability.is_suspended
    assert availability.record_failure(failure(), 110.0, is_trial=False) == 0.5


@pytest.mark.parametrize(
    ("failed", "pauses"),
    [
        (failure(), [0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]),
        (failure(None), [0.5, 1, 2]),
        (failure(404, is_refusal=True), [30, 60, 120, 240, 300, 300]),
        (failure(501), [30, 60]),
        (failure(503, 7.0), [7, 7, 7, 7, 8, 16]),
        (failure(429, 86400.0), [60, 60, 60, 60, 60, 60, 60, 64]),
    ],
)
def test_each_failure_doubles_the_suspension_of_bulk_requests(failed: BulkFailed, pauses: list[float]) -> None:
    """It is longer after a refusal, and not shorter than `Retry-After`, of which at most a minute counts."""
    availability, now = BulkAvailability(), 100.0
    for number, pause in enumerate(pauses):
        assert availability.record_failure(failed, now, is_trial=number > 0) == pause
        now += pause
        availability.start_trial()


@pytest.mark.parametrize(
    ("left", "usual", "patience"), [(60, 0.0, 2), (60, 0.1, 2), (60, 3, 12), (60, 20, 30), (1, 0.1, 0.5), (10, 6, 5)]
)
def test_the_time_out_of_a_bulk_request_depends_on_the_usual_response_time(
    left: float, usual: float, patience: float
) -> None:
    """It leaves half of the remaining time to single requests."""
    availability = BulkAvailability()
    availability.record_response(usual, is_trial=False)
    assert availability.response_timeout(left, left) == patience
    assert availability.has_time(left) is (left >= 2 * usual)


def test_a_fast_bulk_response_only_halves_the_usual_response_time() -> None:
    """Otherwise the next slow response would be late, and suspend bulk requests."""
    availability, waits = BulkAvailability(), []
    for seconds in (6.0, 0.1, 0.1, 0.1, 0.1, 5.0):
        availability.record_response(seconds, is_trial=False)
        waits.append(availability.response_timeout(60, 60))

    assert waits == [24, 12, 6, 3, 2, 20]


@pytest.mark.parametrize(
    ("spare", "usual", "patience"),
    [
        (7, 0.0, 2),
        (1.5, 0.0, 1.5),
        (1, 0.0, 1),
        (0.9, 0.0, 2),
        (-50, 0.0, 2),
        (-50, 0.7, 2.8),
        (-50, 1.5, 4),
        (1.5, 0.7, 1.5),
        (1.3, 0.7, 2.8),
    ],
)
def test_the_time_out_of_a_bulk_request_leaves_time_for_single_requests(
    spare: float, usual: float, patience: float
) -> None:
    """One for each job, within 8 s, unless that is too short for a bulk response."""
    availability = BulkAvailability()
    availability.record_response(usual, is_trial=False)
    assert availability.response_timeout(8, spare) == pytest.approx(patience)


def terms(**arguments: Any) -> BatchOptions:
    usual: dict[str, Any] = {
        "checks_per_second": None,
        "max_in_flight": None,
        "timeout": 1.0,
        "cancel": None,
        "on_progress": None,
        "features": NO_FEATURES,
    }
    return batch_options(**{**usual, **arguments})


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("checks_per_second", 0, ValueError),
        ("checks_per_second", -1, ValueError),
        ("checks_per_second", math.nan, ValueError),
        ("checks_per_second", "5", TypeError),
        ("checks_per_second", True, TypeError),
        ("max_in_flight", 0, ValueError),
        ("max_in_flight", -3, ValueError),
        ("max_in_flight", 1.5, ValueError),
        ("max_in_flight", math.nan, ValueError),
        ("max_in_flight", "5", TypeError),
        ("on_progress", "print", TypeError),
    ],
)
def test_the_error_of_an_invalid_batch_option_names_the_option(name: str, value: object, kind: type[Exception]) -> None:
    """It is a ValueError or, for a value of the wrong type, a TypeError."""
    with pytest.raises((ValueError, TypeError), match=name) as caught:
        terms(**{name: value})
    assert isinstance(caught.value, kind)


def test_math_inf_removes_a_limit_of_a_batch() -> None:
    """None is the default: 100 checks per second, and 10 000 jobs in flight."""
    assert terms(checks_per_second=math.inf, max_in_flight=math.inf)[:2] == (math.inf, math.inf)
    assert terms()[:2] == (100.0, 10_000)


@pytest.mark.parametrize("jobs", ["job-1", Job("a", TranslationStatus.PENDING, "pending"), None, 5])
def test_a_source_that_is_not_several_jobs_raises_a_type_error(jobs: Any) -> None:
    """A single id is a string, and would be read letter by letter."""
    with pytest.raises(TypeError, match="jobs"):
        require_source(jobs, REFERENCE)


def test_outcomes_are_sorted_by_their_positions() -> None:
    """They are not compared with each other."""
    one: Any
    other: Any
    one, other = ValueError("a"), ValueError("b")
    placed: Any = [(2, one), (0, other), (1, one)]
    assert sort_by_position(placed) == [other, one, one]


def taken(source: Any) -> list[Any]:
    async def take() -> list[Any]:
        return [one async for one in iterate(source)]

    return asyncio.run(asyncio.wait_for(take(), 60))


async def counted_to(number: int) -> AsyncIterator[str]:
    for one in range(number):
        await asyncio.sleep(0)
        yield str(one)


@pytest.mark.parametrize(
    "make",
    [lambda: ["0", "1", "2"], lambda: (str(n) for n in range(3)), lambda: counted_to(3), lambda: dict.fromkeys("012")],
    ids=["list", "generator", "async generator", "dict"],
)
def test_a_source_is_read_in_its_order(make: Callable[[], Any]) -> None:
    """A list, a generator, an asynchronous generator or a dict."""
    assert taken(make()) == ["0", "1", "2"]


@pytest.mark.parametrize("source", [[], iter(())])
def test_an_empty_source_yields_no_job(source: Any) -> None:
    """The iteration ends."""
    assert taken(source) == []


def test_a_generator_is_read_one_job_at_a_time_and_only_on_demand() -> None:
    """It may be endless."""
    read = itertools.count()
    numbers: list[int] = []

    def endless() -> Iterator[str]:
        for number in read:
            numbers.append(number)
            yield str(number)

    async def take() -> None:
        each: Any = iterate(endless())
        for wanted in range(3):
            assert await asyncio.wait_for(anext(each), 60) == str(wanted)
            for _ in range(20):
                await asyncio.sleep(0)
            assert numbers == list(range(wanted + 1))
        await each.aclose()

    asyncio.run(take())


class Broken(Iterator[str]):
    """An iterator that yields one id, and then raises."""

    def __init__(self, error: BaseException) -> None:
        self._ids = iter("0")
        self._error = error

    def __next__(self) -> str:
        for one in self._ids:
            return one
        raise self._error


@pytest.mark.parametrize("error", [GeneratorExit(), KeyboardInterrupt(), SystemExit(3), asyncio.CancelledError()])
def test_a_base_exception_of_a_source_is_raised_unchanged(error: BaseException) -> None:
    """A fixture checks that the helper thread ends."""

    async def take() -> BaseException:
        each: Any = iterate(Broken(error))
        assert await anext(each) == "0"
        try:
            await anext(each)
        except BaseException as raised:  # noqa: BLE001  # that is the question
            return raised
        raise AssertionError("nothing was raised")

    assert asyncio.run(asyncio.wait_for(take(), 60)) is error


@pytest.mark.parametrize("error", [ValueError("broken"), StopAsyncIteration(), TimeoutError("late")])
def test_an_exception_of_a_source_is_raised(error: Exception) -> None:
    """After the jobs that it yielded before. A fixture checks that the helper thread ends."""

    def broken() -> Iterator[str]:
        yield "0"
        raise error

    async def take() -> list[str]:
        each: Any = iterate(broken())
        got = [await anext(each)]
        changes = isinstance(error, StopAsyncIteration)  # by Python, as it would end the iteration
        with pytest.raises(RuntimeError if changes else type(error)) as caught:
            await anext(each)
        assert (caught.value.__cause__ if changes else caught.value) is error
        return got

    assert asyncio.run(asyncio.wait_for(take(), 60)) == ["0"]


def test_a_blocking_source_does_not_block_other_tasks() -> None:
    """It is read in a thread, which ends as soon as the source lets it."""
    release = threading.Event()

    def blocking() -> Iterator[str]:
        release.wait(60)
        yield "late"

    async def take() -> list[str]:
        reading = asyncio.ensure_future(anext(iterate(blocking())))
        turns = 0
        for _ in range(50):
            await asyncio.sleep(0)
            turns += 1
        assert turns == 50
        assert not reading.done()
        release.set()
        return [await asyncio.wait_for(reading, 60)]

    assert asyncio.run(take()) == ["late"]


def test_the_thread_of_a_blocking_source_ends_after_reading_was_cancelled() -> None:
    """The event loop may be closed by the time the source yields a job."""
    release = threading.Event()

    def blocking() -> Iterator[str]:
        release.wait(60)
        yield "late"

    async def take() -> None:
        reading = asyncio.ensure_future(anext(iterate(blocking())))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

    asyncio.run(take())
    release.set()  # a fixture checks that the thread ends


class RaisingTransport:
    """A blocking transport whose requests raise, as a hook of the caller's session may."""

    base_url = "http://service.test"
    is_closed = False

    def __init__(self, error: BaseException) -> None:
        self._error = error

    async def send(self, *_: Any, **__: Any) -> Response:
        raise self._error


@pytest.mark.parametrize(
    "error",
    [
        ValueError("broken"),
        StopIteration("broken"),
        StopAsyncIteration("broken"),
        asyncio.CancelledError("broken"),
        GeneratorExit("broken"),
        KeyboardInterrupt("broken"),
        SystemExit("broken"),
    ],
    ids=repr,
)
def test_an_exception_of_a_request_in_a_thread_is_raised(error: BaseException) -> None:
    """Whatever its class is. A StopIteration becomes the cause of a RuntimeError, as in any coroutine."""
    line: Any = ThreadedTransport(RaisingTransport(error))  # type: ignore[arg-type]  # what it uses is there

    async def send() -> BaseException:
        try:
            await line.send(Request("GET", "/status"), Deadline.after(60), lambda: False, new_connection=False)
        except BaseException as raised:  # noqa: BLE001  # that is the question
            return raised
        raise AssertionError("nothing was raised")

    raised = asyncio.run(asyncio.wait_for(send(), 60))
    if isinstance(error, StopIteration):
        assert type(raised) is RuntimeError
        assert raised.__cause__ is error
    else:
        assert raised is error


def response_of(value: object) -> Response:
    reply = json_reply(value)
    return Response(200, {"Content-Type": "application/json"}, reply.body, 0.01)  # type: ignore[arg-type]


def test_a_bulk_response_is_read_by_job_id() -> None:
    """Malformed entries are skipped. Unknown status words, and that of a missing job, are read as pending."""
    assert REFERENCE.bulk is not None
    entries = [
        {"id": "a", "result": "completed"},
        {"id": "b", "result": "dreaming"},
        {"id": "c"},
        {"result": "completed"},
        None,
        5,
        {"id": "d", "result": "not_found"},
    ]
    jobs = REFERENCE.bulk.read(response_of({"results": entries}))

    assert {job_id: str(job.status) for job_id, job in jobs.items()} == {
        "a": "completed",
        "b": "pending",
        "d": "pending",
    }


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ({"result": "pending"}, MissingField, "'results'"),
        ({"results": {}}, MissingField, "'results'"),
        ([], Fault, "not a JSON object"),
    ],
)
def test_a_bulk_response_without_a_list_of_jobs_is_rejected(value: object, kind: type[Exception], message: str) -> None:
    """The response to a single request is one."""
    assert REFERENCE.bulk is not None
    with pytest.raises(kind, match=message):
        REFERENCE.bulk.read(response_of(value))
