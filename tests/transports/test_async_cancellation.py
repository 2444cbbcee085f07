"""Cancellation of tasks that use the asyncio client, at every step of an event loop that counts its steps."""

from __future__ import annotations

import asyncio
import builtins
import contextvars
import gc
import heapq
import itertools
import random
import sys
import warnings
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypeVar

import aiohttp
import pytest
from support.fixtures import SilentLogger
from support.garbage import only_new_objects_collected

from translation_client import (
    AsyncVideoTranslationClient,
    Job,
    RequestFailed,
    TranslationClientError,
    WaitCancelled,
    WaitTimeout,
    _clock,
)
from translation_client._transports.async_body import blocks_of
from translation_client._transports.async_cancel_scope import CURRENT_SCOPE, STOP_SECONDS
from translation_client._transports.async_connections import MAX_CONNECTIONS
from translation_client._transports.cancel_scope import CallAborted
from translation_client._transports.slots import Slots

T = TypeVar("T")

STEP = 0.001
"""Seconds that one step of the event loop takes, on its own clock."""

MAX_STEPS = 1_000_000
"""A test that takes more steps hangs."""

VIDEO = "https://videos.example.com/talk.mp4"

Act = Callable[[], object]


class SteppedLoop(asyncio.SelectorEventLoop):
    """An event loop with its own clock: a step takes 1 ms, and an idle loop skips to its next timer."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__()
        self.step = 0
        self.now = 1000.0
        self.acts: dict[int, list[Act]] = {}
        self.set_exception_handler(lambda _, context: complaints.append(str(context)))
        selector = vars(self)["_selector"]
        select = selector.select
        selector.select = lambda _: select(0)

    def time(self) -> float:
        return self.now

    def at_step(self, step: int, *acts: Act) -> None:
        """Call functions at the beginning of a step, counted from now."""
        self.acts.setdefault(self.step + step, []).extend(acts)

    def timers(self) -> list[asyncio.TimerHandle]:
        """Return the timers that have neither fired nor been cancelled."""
        return [timer for timer in vars(self)["_scheduled"] if not timer.cancelled()]

    def _run_once(self) -> None:
        self.step += 1
        self.now += STEP
        assert self.step < MAX_STEPS
        pending = vars(self)
        if not pending["_ready"] and self.timers() and not self.acts:
            self.now = max(self.now, heapq.nsmallest(1, self.timers())[0].when())
        for act in self.acts.pop(self.step, ()):
            act()
        super()._run_once()  # type: ignore[misc]  # a private method of asyncio


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Coroutine[Any, Any, T]], T]]:
    """Run a coroutine on a stepped loop, whose time the client uses too.

    Fails if a task or a timer is left, and on any warning or error that the event loop reports.
    """
    time = SimpleNamespace(monotonic=lambda: asyncio.get_running_loop().time(), time=lambda: 1_700_000_000.0)
    monkeypatch.setattr(_clock, "time", time)

    def run_stepped(main: Coroutine[Any, Any, T]) -> T:
        async def watched() -> T:
            value = await main
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert loop.timers() == []
            return value

        loop = SteppedLoop(complaints)
        try:
            return loop.run_until_complete(watched())
        finally:
            loop.close()

    complaints: list[str] = []
    with only_new_objects_collected(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield run_stepped
        gc.collect()
    assert (complaints, [str(warning.message) for warning in caught]) == ([], [])


class Transport(asyncio.Transport):
    """A transport without a socket."""

    is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_aborted


class Connection:
    """The part of an aiohttp connection that the client uses."""

    def __init__(self) -> None:
        self.transport = Transport()

    def close(self) -> None:
        self.transport.abort()


async def steps(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def deaf(seconds: float) -> None:
    """Let time pass, and ignore every cancellation."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(end - loop.time())


@dataclass
class Service:
    """A replacement for aiohttp: a connection, a request and a response, each of which takes one step or more.

    Attributes:
        how: What happens to a request. "answers" and "pending": a response arrives. "fails": the connection breaks.
            "mute": no response ever arrives. "cleans up": it takes some steps to end after a cancellation. "swallows":
            a cancellation during its cleanup is lost, as in aiohttp on Python 3.10. "goes on" and "goes on twice": one
            or two cancellations are ignored, and no response arrives. "deaf" and "deaf late": every cancellation is
            ignored for half a second, while it connects or while it waits for the response.
        got: How many requests arrived.
        answered_at: The step in which the response was complete.
    """

    how: str = "answers"
    got: int = 0
    answered_at: int | None = None
    methods: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def request(self, method: str, *_: Any, **__: Any) -> AsyncIterator[Any]:
        trace = _[3]
        try:
            await steps(2)
            if self.how == "deaf":
                await deaf(0.5)
            cut = CURRENT_SCOPE.get()
            assert cut is not None
            cut.record_connection(Connection())  # type: ignore[arg-type]  # has the attributes that are used
            await steps(1)
            trace.has_sent = True
            self.got += 1
            self.methods.append(method)
            yield await self._response(method)
        finally:
            if self.how == "cleans up":
                await steps(3)
            if self.how == "swallows":
                with suppress(asyncio.CancelledError):
                    await steps(3)

    async def _response(self, method: str) -> Any:
        await steps(2)
        if self.how == "fails":
            raise aiohttp.ServerDisconnectedError
        for _ in range({"goes on": 1, "goes on twice": 2}.get(self.how, 0)):
            with suppress(asyncio.CancelledError):
                await asyncio.get_running_loop().create_future()
        if self.how in ("mute", "goes on", "goes on twice"):
            await asyncio.get_running_loop().create_future()
        if self.how == "deaf late":
            await deaf(0.5)
        body = b'{"id": "job-1", "result": "pending"}' if method == "POST" else b'{"result": "completed"}'
        if self.how == "pending":
            body = body.replace(b"completed", b"pending")

        async def read(_: int) -> bytes:
            await steps(1)
            loop = asyncio.get_running_loop()
            assert isinstance(loop, SteppedLoop)
            self.answered_at = loop.step
            return body

        content = SimpleNamespace(read=read, set_exception=lambda _: None)
        return SimpleNamespace(
            status=201 if method == "POST" else 200,
            headers={"Content-Type": "application/json", "Content-Length": str(len(body))},
            content=content,
            close=lambda: None,
        )


def client_of(service: Service, **arguments: Any) -> AsyncVideoTranslationClient:
    usual = {"logger": SilentLogger(), "timeout": 60, "request_timeout": 30, "max_faults": 1}
    client = AsyncVideoTranslationClient("http://service.test", **{**usual, **arguments})
    vars(client._transport._sessions)["request"] = service.request
    return client


def cancel_call(client: AsyncVideoTranslationClient, event: asyncio.Event) -> None:
    """Set the cancel event of a call, and let the client check it in this step."""
    event.set()
    client._transport._scopes.stop_cancelled()


def assert_free(client: AsyncVideoTranslationClient) -> None:
    """Check that the client holds no slot, no queue entry, no cancel scope and no abandoned task."""
    transport = client._transport
    assert vars(transport._slots)["_free"] == MAX_CONNECTIONS
    assert not vars(transport._slots)["_queue"]
    assert not transport._scopes._running
    assert not vars(transport._scopes)["_abandoned"]


@dataclass
class Ending:
    """How a task of the caller's ended, as recorded within the task."""

    value: Any = None
    error: BaseException | None = None
    at: float = 0.0
    cancellations: int = 0

    async def of(self, call: Coroutine[Any, Any, Any]) -> None:
        """Await a call of the client, and record its end. A cancellation is raised again."""
        try:
            self.value = await call
        except asyncio.CancelledError as error:
            self.error = error
            raise
        except TranslationClientError as error:
            self.error = error
        finally:
            task = asyncio.current_task()
            self.at = asyncio.get_running_loop().time()
            self.cancellations = task.cancelling() if task is not None and hasattr(task, "cancelling") else 0


HOWS = ("answers", "fails", "mute", "cleans up", "swallows", "goes on", "deaf", "deaf late")
SLOW = ("goes on", "deaf", "deaf late")
"""The services whose tasks outlive their callers."""
OTHERS = ("nothing", "event", "close", "deadline", "request_timeout")
STEPS = range(1, 13)
"""The steps of a call, and a few more."""


async def cancelled_at(call: str, how: str, other: str, cancel_at: int, other_at: int, *, is_first: bool) -> None:
    """Cancel a task at one step of its call, and let something else happen at another step, or in the same one."""
    service = Service(how)
    client = client_of(service, **({"request_timeout": other_at * STEP} if other == "request_timeout" else {}))
    loop, event, ending = asyncio.get_running_loop(), asyncio.Event(), Ending()
    assert isinstance(loop, SteppedLoop)
    limits: dict[str, Any] = {"cancel": event, "timeout": other_at * STEP if other == "deadline" else None}
    made = client.submit(VIDEO, "es", **limits) if call == "submit" else client.wait("job-1", **limits)
    task = asyncio.create_task(ending.of(made))
    await asyncio.sleep(0)  # the task begins in this step
    [cut] = client._transport._scopes._running
    was_done: list[bool] = []
    began = loop.time()

    def cancel() -> None:
        was_done.append(task.done())
        task.cancel("from outside")

    def act() -> None:
        if other == "event":
            cancel_call(client, event)
        elif other == "close":
            closing.append(loop.create_task(client.close()))

    closing: list[asyncio.Task[None]] = []
    if other in ("deadline", "request_timeout"):
        alarm = vars(cut._timeout)["_handle"]
        loop.call_at(alarm.when() + (cancel_at - other_at) * STEP + (-1e-7 if is_first else 1e-7), cancel)
    else:
        loop.at_step(cancel_at, *([cancel, act] if is_first else [act, cancel]))
        loop.at_step(other_at, act)
    await asyncio.wait({task})
    while not was_done or (other in ("close", "event") and loop.acts):
        await asyncio.sleep(0)
    await asyncio.gather(*closing)

    assert ending.at - began < (cancel_at + other_at) * STEP + STOP_SECONDS + 0.05
    if was_done == [False]:
        assert task.cancelled()
        assert isinstance(ending.error, asyncio.CancelledError)
        assert ending.error.args == ("from outside",)
        assert ending.cancellations == (1 if sys.version_info >= (3, 11) else 0)
    else:
        assert not task.cancelled()
        assert_plausible(ending, service, other)
    if how in SLOW:
        await asyncio.sleep(1)
    assert_free(client)
    assert not (how == "deaf" and was_done == [False] and service.got), "sent by a task that nobody waited for"
    await assert_goes_on(client, service, is_closed=bool(closing))


ENDS: dict[str, type[BaseException]] = {
    "cancel": asyncio.CancelledError,
    "event": WaitCancelled,
    "close": WaitCancelled,
    "deadline": WaitTimeout,
    "request_timeout": RequestFailed,
}
"""The exception that a call raises, by the reason for its end."""


def assert_plausible(ending: Ending, service: Service, other: str) -> None:
    """Check the outcome of a call whose task was not cancelled: its own result, or the error of the limit."""
    if ending.error is None:
        assert isinstance(ending.value, Job)
        assert service.answered_at is not None
        return
    assert isinstance(ending.error, (ENDS.get(other, RequestFailed), RequestFailed))
    assert isinstance(ending.error, TranslationClientError)
    if service.methods == ["POST"]:
        assert ending.error.may_have_been_accepted is True


async def assert_goes_on(client: AsyncVideoTranslationClient, service: Service, *, is_closed: bool) -> None:
    """Check that the next request succeeds, unless the client was closed."""
    service.how = "answers"
    vars(client._transport)["_request_timeout"] = 30
    if not is_closed:
        assert (await client.check("job-2")).status == "completed"
        await client.close()
    assert_free(client)


@pytest.mark.parametrize("call", ["wait", pytest.param("submit", marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize(
    "other",
    ["nothing", "request_timeout", *(pytest.param(one, marks=pytest.mark.exhaustive) for one in OTHERS[1:-1])],
)
@pytest.mark.parametrize("how", HOWS)
def test_a_cancelled_task_raises_cancelled_error_at_every_step(
    how: str, other: str, call: str, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    """With an event, `close()`, the deadline or the request timeout before or after it, in the same or a near step."""
    for is_first, cancel_at, other_at in itertools.product([True, False], STEPS, STEPS):
        if other_at == cancel_at or (abs(other_at - cancel_at) <= 2 and other != "nothing"):
            run(cancelled_at(call, how, other, cancel_at, other_at, is_first=is_first))


@pytest.mark.parametrize("how", HOWS)
def test_a_task_cancelled_in_every_step_raises_its_first_cancellation(
    how: str, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    """In each step until it has ended, as anyio does. The client's own task has ended by then, except for `SLOW`."""

    async def action(begin_at: int) -> None:
        service = Service(how)
        client, ending, times = client_of(service), Ending(), 0
        task = asyncio.create_task(ending.of(client.wait("job-1")))
        await steps(begin_at)
        while not task.done():
            task.cancel(f"number {times}")
            times += 1
            await asyncio.sleep(0)
        if times:
            assert isinstance(ending.error, asyncio.CancelledError)
            assert ending.error.args == ("number 0",)
            assert task.cancelled()
        if how in SLOW:
            await asyncio.sleep(1)
        assert_free(client)
        await assert_goes_on(client, service, is_closed=False)

    for begin_at in STEPS:
        run(action(begin_at))


@pytest.mark.parametrize("how", ["mute", "deaf late"])
def test_wait_for_raises_its_own_error_at_the_moment_of_the_request_timeout(
    how: str, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    """`wait_for(client.wait(job), 10)` with `request_timeout=10`, and a little less and more."""

    async def action(offset: float) -> None:
        client = client_of(Service(how), request_timeout=10, max_faults=5)
        began = asyncio.get_running_loop().time()
        with pytest.raises(asyncio.TimeoutError) as caught:
            await asyncio.wait_for(never_final(client), 10 + offset)
        assert not isinstance(caught.value, WaitTimeout)
        assert asyncio.get_running_loop().time() - began < 10 + offset + STOP_SECONDS + 0.05
        await asyncio.sleep(1)
        assert_free(client)

    async def never_final(client: AsyncVideoTranslationClient) -> None:
        while True:
            await client.wait("job-1")

    for number in range(-20, 21):
        run(action(number * STEP / 4))
        run(action(number * 1e-7))


def ways_to_limit(seconds: float) -> list[tuple[Callable[[Coroutine[Any, Any, Any]], Coroutine[Any, Any, Any]], Any]]:
    """Return ways to limit a call from outside, on Python 3.11 and later, each with the exception that it raises."""

    async def by_timeout(call: Coroutine[Any, Any, Any]) -> None:
        async with asyncio.timeout(seconds):  # type: ignore[attr-defined,unused-ignore]  # not on Python 3.10
            await call

    async def by_nested_timeouts(call: Coroutine[Any, Any, Any]) -> None:
        async with asyncio.timeout(seconds):  # type: ignore[attr-defined,unused-ignore]  # not on Python 3.10
            async with asyncio.timeout(seconds):  # type: ignore[attr-defined,unused-ignore]  # not on Python 3.10
                await call

    async def by_group(call: Coroutine[Any, Any, Any]) -> None:
        async with asyncio.TaskGroup() as group:  # type: ignore[attr-defined,unused-ignore]  # not on Python 3.10
            group.create_task(call)
            await asyncio.sleep(seconds)
            raise KeyError("a sibling")

    # `ExceptionGroup` through `vars`, as Python 3.10 has no such name.
    return [
        (by_timeout, TimeoutError),
        (by_nested_timeouts, TimeoutError),
        (by_group, vars(builtins)["ExceptionGroup"]),
    ]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout and TaskGroup are of Python 3.11")
@pytest.mark.parametrize("number", range(3), ids=["timeout", "nested timeouts", "group"])
@pytest.mark.parametrize("how", ["mute", "deaf late"])
def test_timeout_and_task_group_raise_their_error_and_leave_no_cancellation(
    how: str, number: int, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    """Also at the moment of the request timeout; `Task.cancelling()` is 0 afterwards."""

    async def action(offset: float) -> None:
        limit, ends = ways_to_limit(10 + offset)[number]
        client = client_of(Service(how), request_timeout=10, max_faults=5)
        with pytest.raises(ends) as caught:
            await limit(never_final(client))
        assert not isinstance(caught.value, WaitTimeout)
        assert [str(one) for one in getattr(caught.value, "exceptions", ())] == ["'a sibling'"] * (number == 2)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0  # type: ignore[attr-defined,unused-ignore]  # not on Python 3.10
        await asyncio.sleep(1)
        assert_free(client)

    async def never_final(client: AsyncVideoTranslationClient) -> None:
        while True:
            await client.wait("job-1")

    for at in range(-10, 11):
        run(action(at * STEP / 4))


@pytest.mark.parametrize("how", ["answers", "cleans up", "swallows"])
@pytest.mark.parametrize("other", ["event", "close", "deadline", "request_timeout"])
@pytest.mark.parametrize("call", ["submit", "wait"])
def test_a_complete_response_is_returned_although_the_call_is_stopped(
    call: str, other: str, how: str, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    """At every step: a job whose id has arrived is returned, and otherwise the error says whether the job may exist."""

    async def action(at: int) -> None:
        service, loop = Service(how), asyncio.get_running_loop()
        assert isinstance(loop, SteppedLoop)
        client = client_of(service, **({"request_timeout": at * STEP} if other == "request_timeout" else {}))
        event, ending = asyncio.Event(), Ending()
        limits: dict[str, Any] = {"cancel": event, "timeout": at * STEP if other == "deadline" else None}
        made = client.submit(VIDEO, "es", **limits) if call == "submit" else client.wait("job-1", **limits)
        task = asyncio.create_task(ending.of(made))
        await asyncio.sleep(0)
        stopped_at, closing = loop.step + at, []
        if other == "event":
            loop.at_step(at, lambda: cancel_call(client, event))
        if other == "close":
            loop.at_step(at, lambda: closing.append(loop.create_task(client.close())))
        await asyncio.wait({task})
        while loop.acts:
            await asyncio.sleep(0)
        await asyncio.gather(*closing)
        assert_plausible(ending, service, other)
        outcomes.add(type(ending.value or ending.error))
        if service.answered_at is not None and service.answered_at <= stopped_at:
            assert isinstance(ending.value, Job)
        if call == "submit" and isinstance(ending.error, TranslationClientError):
            assert ending.error.may_have_been_accepted is bool(service.got)
        assert_free(client)

    outcomes: set[type[Any]] = set()
    for at in STEPS:
        run(action(at))
    assert outcomes == {Job, ENDS[other]}


def test_a_request_that_ends_while_it_waits_for_a_slot_keeps_none(
    run: Callable[[Coroutine[Any, Any, None]], None],
) -> None:
    """It is ended by its own task, an event or the deadline, in the step in which a slot becomes free or near it."""

    async def action(how: str, at: int) -> None:
        service, loop = Service("mute"), asyncio.get_running_loop()
        assert isinstance(loop, SteppedLoop)
        client = client_of(service)
        slots = vars(client._transport)["_slots"] = Slots(1)
        event, ending, waiting_ending = asyncio.Event(), Ending(), Ending()
        holder = asyncio.create_task(ending.of(client.wait("job-1")))
        await steps(8)
        service.how = "answers"
        timeout = at * STEP if how == "deadline" else None
        waiting = asyncio.create_task(waiting_ending.of(client.wait("job-2", cancel=event, timeout=timeout)))
        third = asyncio.create_task(client.wait("job-3"))
        await asyncio.sleep(0)
        assert len(vars(slots)["_queue"]) == 2
        act: dict[str, Act] = {"cancel": waiting.cancel, "event": lambda: cancel_call(client, event)}
        if how in act:
            loop.at_step(at, act[how])
        began = loop.time()
        loop.at_step(6, holder.cancel)
        await asyncio.wait({holder, waiting, third})
        assert third.result().status == "completed"
        assert isinstance(waiting_ending.error, ENDS[how]) or waiting_ending.value.status == "completed"
        assert waiting.cancelled() is isinstance(waiting_ending.error, asyncio.CancelledError)
        assert waiting.cancelled() or how != "cancel" or waiting_ending.value is not None
        assert waiting_ending.value or waiting_ending.at <= began + (at + 6) * STEP, "it waited until a slot was free"
        outcomes.add((how, type(waiting_ending.value or waiting_ending.error)))
        assert vars(slots)["_free"] == 1
        assert not client._transport._scopes._running

    outcomes: set[tuple[str, type[Any]]] = set()
    hows = ("cancel", "event", "deadline")
    for how, at in itertools.product(hows, range(1, 31)):
        run(action(how, at))
    assert outcomes == {(how, kind) for how in hows for kind in (Job, ENDS[how])}


def test_close_ends_the_requests_that_wait_for_a_slot(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """Each of them, and the one that has the slot, raises `WaitCancelled`."""

    async def action() -> None:
        client = client_of(Service("mute"))
        slots = vars(client._transport)["_slots"] = Slots(1)
        waits = [asyncio.create_task(client.wait(f"job-{number}")) for number in range(5)]
        await steps(5)
        await client.close()
        errors = await asyncio.gather(*waits, return_exceptions=True)
        assert {type(error) for error in errors} == {WaitCancelled}
        assert (vars(slots)["_free"], len(vars(slots)["_queue"])) == (1, 0)

    run(action())


def test_random_cancellations_lose_no_slot(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """3000 times, six tasks wait for two slots and are cancelled at random."""

    async def use(slots: Slots, chance: random.Random) -> None:
        turn = slots.enter()
        try:
            await turn
            holders.append(turn)
            assert len(holders) <= 2
            await steps(chance.randrange(4))
        finally:
            if turn in holders:
                holders.remove(turn)
            slots.leave(turn)

    async def attempt(chance: random.Random) -> None:
        slots = Slots(2)
        tasks = [asyncio.create_task(use(slots, chance)) for _ in range(6)]
        for _ in range(6):
            await steps(chance.randrange(2))
            chance.choice(tasks).cancel()
        done, pending = await asyncio.wait(tasks, timeout=1)
        assert (len(done), len(pending)) == (6, 0)
        assert not [task for task in tasks if not task.cancelled() and task.exception()]
        assert (vars(slots)["_free"], len(vars(slots)["_queue"])) == (2, 0)

    async def action() -> None:
        chance = random.Random(7)
        for _ in range(3000):
            await attempt(chance)

    holders: list[asyncio.Future[None]] = []
    run(action())


def test_slots_are_given_in_the_order_of_the_queue(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """A later turn does not overtake an earlier one."""

    async def action() -> None:
        slots = Slots(1)
        first, second, third, fourth = (slots.enter() for _ in range(4))
        slots.leave(third)
        assert (first.done(), second.done(), third.cancelled(), fourth.done()) == (True, False, True, False)
        assert list(vars(slots)["_queue"]) == [second, fourth]
        slots.leave(first)
        assert (second.done(), fourth.done()) == (True, False)
        slots.leave(second)
        assert (fourth.done(), slots.enter().done()) == (True, False)

    run(action())


def test_a_cancelled_close_still_closes_the_sessions(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """At each of its steps, while a request ignores cancellations. `close()` raises its own cancellation."""

    async def action(at: int) -> None:
        client = client_of(Service("deaf late"))
        sessions = client._transport._sessions
        closed: list[str] = []

        async def close() -> None:
            closed.append("sessions")

        vars(sessions)["close"] = close
        call = asyncio.create_task(client.wait("job-1"))
        await steps(8)
        closing = asyncio.create_task(client.close())
        await steps(at)
        assert not closing.done()
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert closed == ["sessions"]
        with pytest.raises(WaitCancelled):
            await call
        await asyncio.sleep(1)
        assert_free(client)

    for at in range(1, 20):
        run(action(at))


def test_a_task_that_outlives_its_caller_is_cancelled_until_it_ends(
    run: Callable[[Coroutine[Any, Any, None]], None],
) -> None:
    """The client need not be closed for that."""

    async def action() -> None:
        client = client_of(Service("goes on twice"), timeout=0.2)
        with pytest.raises(WaitTimeout):
            await client.wait("job-1")
        assert len(asyncio.all_tasks()) == 2
        await asyncio.sleep(0.1)
        assert len(asyncio.all_tasks()) == 1
        assert_free(client)

    run(action())


@pytest.mark.parametrize("how", ["deaf", "goes on twice"])
def test_close_ends_a_task_that_outlives_its_caller(how: str, run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """The task has ended when `close()` returns."""

    async def action() -> None:
        client = client_of(Service(how), timeout=0.2)
        with pytest.raises(WaitTimeout):
            await client.wait("job-1")
        assert len(asyncio.all_tasks()) == 2
        await client.close()
        assert len(asyncio.all_tasks()) == 1
        assert_free(client)

    run(action())


def test_a_stopped_request_sends_and_writes_nothing_more(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """Its task may run for a while longer, but its part file and its connection belong to the next request."""

    async def action() -> None:
        async def go_on() -> None:
            cut = CURRENT_SCOPE.get()
            assert cut is not None
            cut.record_connection(connection)  # type: ignore[arg-type]  # has the attributes that are used
            await deaf(1)
            assert connection.transport.is_aborted
            for note in (cut.record_sent, cut.record_received, cut.record_complete_response, cut.raise_if_stopped):
                with pytest.raises(CallAborted):
                    note()
            with pytest.raises(CallAborted):
                cut.record_connection(later)  # type: ignore[arg-type]  # has the attributes that are used
            assert later.transport.is_aborted
            passed.append(True)

        client, connection, later = client_of(Service()), Connection(), Connection()
        vars(client._transport)["_send_in_scope"] = lambda *_, **__: go_on()
        with pytest.raises(WaitTimeout):
            await client.wait("job-1", timeout=0.5)
        await asyncio.sleep(2)
        assert passed == [True]

    passed: list[bool] = []
    run(action())


def test_a_connection_returned_to_the_pool_is_not_aborted(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """It may serve another request by then."""

    async def action() -> None:
        async def fail_late() -> None:
            cut = CURRENT_SCOPE.get()
            assert cut is not None
            cut.record_connection(connection)  # type: ignore[arg-type]  # has the attributes that are used
            vars(connection)["transport"] = None  # as aiohttp does at the end of a response
            raise aiohttp.ClientPayloadError

        client, connection = client_of(Service()), Connection()
        transport = connection.transport
        vars(client._transport)["_send_in_scope"] = lambda *_, **__: fail_late()
        with pytest.raises(aiohttp.ClientPayloadError):
            await client.wait("job-1")
        assert not transport.is_aborted

    run(action())


def test_a_request_runs_in_the_context_of_its_caller(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """The function that returns the API key, and the session, see the context variables that the caller has set."""

    async def action() -> None:
        variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
        seen: list[str] = []

        def key() -> str:
            seen.append(variable.get())
            return "key-0123456789"

        @asynccontextmanager
        async def request(*arguments: Any, **more: Any) -> AsyncIterator[Any]:
            seen.append(variable.get())
            async with service.request(*arguments, **more) as response:
                yield response

        service = Service()
        client = client_of(service, api_key=key)
        vars(client._transport._sessions)["request"] = request
        variable.set("of the caller")
        await client.check("job-1")
        assert seen == ["of the caller", "of the caller"]
        assert CURRENT_SCOPE.get() is None

    run(action())


def test_cancelling_the_clients_own_task_cancels_the_wait(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """Code that cancels all tasks of an event loop cancels it, too."""

    async def action() -> None:
        client = client_of(Service("mute"))
        task = asyncio.create_task(client.wait("job-1"))
        await steps(8)
        [ours] = asyncio.all_tasks() - {task, asyncio.current_task()}
        assert ours.get_name() == "translation_client call"
        ours.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert_free(client)

    run(action())


@pytest.mark.parametrize("how", ["answers", "mute", "cleans up"])
def test_all_tasks_of_an_event_loop_can_be_cancelled_at_once(
    how: str, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    """As `asyncio.run` does at its end."""

    async def action(at: int) -> None:
        client = client_of(Service(how))
        tasks = [asyncio.create_task(client.wait(f"job-{number}")) for number in range(3)]
        await steps(at)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, *tasks, return_exceptions=True)
        assert_free(client)

    for at in STEPS:
        run(action(at))


def test_an_upload_yields_to_the_event_loop_after_each_block(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """A server that takes each block at once would otherwise hold up every timer, even that of its deadline."""

    async def action() -> None:
        blocks = iter([b"a", b"b", b"c", b""])
        form = SimpleNamespace(read=lambda _: next(blocks))
        cut = SimpleNamespace(record_sent=lambda: None)
        turns: list[bytes] = []
        asyncio.get_running_loop().call_soon(turns.append, b"another")
        async for block in blocks_of(form, cut):  # type: ignore[arg-type]  # have the attributes that are used
            turns += [block]
        assert turns == [b"a", b"another", b"b", b"c"]

    run(action())


@pytest.mark.parametrize("how", ["answers", "mute", "cancelled"])
def test_the_cancel_scope_of_a_request_is_freed_without_garbage_collection(
    how: str, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    """At once after a response, a timeout and a cancellation."""

    async def action() -> None:
        client = client_of(Service("answers" if how == "answers" else "mute"), request_timeout=1)
        task = asyncio.create_task(client.check("job-1"))
        await steps(4)
        [cut] = map(weakref.ref, client._transport._scopes._running)
        if how == "cancelled":
            task.cancel()
        await asyncio.wait({task})
        ended = "cancelled" if task.cancelled() else type(task.exception() or task.result())
        assert ended == {"answers": Job, "mute": RequestFailed, "cancelled": "cancelled"}[how]
        del task
        await steps(1)
        assert cut() is None

    gc.collect()
    gc.disable()
    try:
        run(action())
    finally:
        gc.enable()


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_a_request_ends_the_event_loop(interrupt: type[BaseException]) -> None:
    """`asyncio.run` raises it, as from any task, and the event loop reports nothing else."""

    async def raise_interrupt() -> None:
        raise interrupt("of the user's")

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        client = client_of(Service())
        vars(client._transport)["_send_in_scope"] = lambda *_, **__: raise_interrupt()
        await asyncio.gather(client.submit(VIDEO, "es"), client_of(Service("mute")).wait("job-1"))

    complaints: list[Any] = []
    with pytest.raises(interrupt, match="of the user's"):
        asyncio.run(main())
    gc.collect()
    assert complaints == []


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are of Python 3.12")
@pytest.mark.parametrize("how", HOWS)
def test_cancellation_works_with_eager_tasks(how: str, run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """A request then begins, and may end, before its caller waits for it."""

    async def action(at: int) -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]  # of Python 3.12
        service, ending = Service(how), Ending()
        client = client_of(service)
        task = loop.create_task(ending.of(client.wait("job-1")))
        await steps(at)
        was_done = task.done()
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled() is not was_done
        if how in SLOW:
            await asyncio.sleep(1)
        await assert_goes_on(client, service, is_closed=False)

    for at in range(13):
        run(action(at))


@pytest.mark.parametrize("how", ["answers", "pending", "mute", "cleans up", "swallows"])
@pytest.mark.parametrize("call", ["wait_all", "as_completed", "watch"])
def test_a_cancelled_batch_or_watch_raises_cancelled_error(
    call: str, how: str, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    """Once, or twice in a row, at one of its steps. Its workers, timers and requests have ended by then."""

    async def action(at: int, again_after: int | None) -> None:
        service, ending = Service(how), Ending()
        client = client_of(service)
        task = asyncio.create_task(ending.of(used(client)))
        await steps(1 + at)
        was_done = task.done()
        task.cancel("from outside")
        if again_after is not None:
            await steps(again_after)
            task.cancel("once more")
        await asyncio.wait({task})
        assert task.cancelled() is not was_done
        await assert_goes_on(client, service, is_closed=False)

    async def used(client: AsyncVideoTranslationClient) -> None:
        jobs = [f"job-{number}" for number in range(3)]
        if call == "wait_all":
            await client.wait_all(jobs, max_in_flight=3)
        elif call == "as_completed":
            async for _ in client.as_completed(jobs, max_in_flight=3):
                pass
        else:
            async for _ in client.watch("job-1"):
                pass

    for at, again_after in itertools.product([*range(16), 30, 40], [None, 0, 1, 2]):
        run(action(at, again_after))
