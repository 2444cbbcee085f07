"""Cancellations of tasks that use the asyncio client: on an event loop whose steps are counted, at every step."""

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
from support.fixtures import Silent

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
"""Seconds that a step of the event loop takes, on its own clock."""

MAX_STEPS = 1_000_000
"""More is a test that hangs."""

VIDEO = "https://videos.example.com/talk.mp4"

Act = Callable[[], object]


class SteppedLoop(asyncio.SelectorEventLoop):
    """An event loop with a clock of its own: a step takes a millisecond, and a loop with nothing to do skips to its next timer."""

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
        """Do something at the beginning of a step, counted from now."""
        self.acts.setdefault(self.step + step, []).extend(acts)

    def timers(self) -> list[asyncio.TimerHandle]:
        """Return those that have neither rung nor been cancelled."""
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
        super()._run_once()  # type: ignore[misc]  # it is there


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Coroutine[Any, Any, T]], T]]:
    """Run a coroutine on a stepped loop, whose time the client sees too. Nothing may be left, and nothing complained of."""
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
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield run_stepped
        gc.collect()
    assert (complaints, [str(warning.message) for warning in caught]) == ([], [])


class Transport(asyncio.Transport):
    """One without a socket."""

    is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_aborted


class Connection:
    """As much of a connection of aiohttp as is used."""

    def __init__(self) -> None:
        self.transport = Transport()

    def close(self) -> None:
        self.transport.abort()


async def steps(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def deaf(seconds: float) -> None:
    """Let time pass, whoever cancels this."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(end - loop.time())


@dataclass
class Service:
    """What stands for aiohttp: a connection, a request and a response, with a step or more for each.

    Attributes:
        how: "answers", "pending" or not; "fails", by a broken connection; "mute", which never answers; "cleans up", in some steps after a
            cancellation; "swallows" a cancellation while it cleans up, as aiohttp does on Python 3.10; "goes on" after one
            cancellation, or "goes on twice", and never answers; "deaf" to any cancellation for half a second, while it connects; "deaf late",
            while it reads.
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
            cut.record_connection(Connection())  # type: ignore[arg-type]  # what is used of it is there
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
    usual = {"logger": Silent(), "timeout": 60, "request_timeout": 30, "max_faults": 1}
    client = AsyncVideoTranslationClient("http://service.test", **{**usual, **arguments})
    vars(client._transport._sessions)["request"] = service.request
    return client


def cancel_call(client: AsyncVideoTranslationClient, event: asyncio.Event) -> None:
    """Set the event of a call, and have the client see it in this very step."""
    event.set()
    client._transport._scopes.stop_cancelled()


def assert_free(client: AsyncVideoTranslationClient) -> None:
    """Nothing of a call is left in its client."""
    transport = client._transport
    assert vars(transport._slots)["_free"] == MAX_CONNECTIONS
    assert not vars(transport._slots)["_queue"]
    assert not transport._scopes._running
    assert not vars(transport._scopes)["_abandoned"]


@dataclass
class Ending:
    """How a task of the caller's ended, as it sees it itself."""

    value: Any = None
    error: BaseException | None = None
    at: float = 0.0
    cancellations: int = 0

    async def of(self, call: Coroutine[Any, Any, Any]) -> None:
        """Await a call; a cancellation is raised on."""
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
"""Those that outlive their callers."""
OTHERS = ("nothing", "event", "close", "deadline", "request_timeout")
STEPS = range(1, 13)
"""As many as a call takes, and some."""


async def cancelled_at(call: str, how: str, other: str, cancel_at: int, other_at: int, *, is_first: bool) -> None:
    """Cancel a task at a step of its call, and have something else happen at another step, or in the same one."""
    service = Service(how)
    client = client_of(service, **({"request_timeout": other_at * STEP} if other == "request_timeout" else {}))
    loop, event, ending = asyncio.get_running_loop(), asyncio.Event(), Ending()
    assert isinstance(loop, SteppedLoop)
    limits: dict[str, Any] = {"cancel": event, "timeout": other_at * STEP if other == "deadline" else None}
    made = client.submit(VIDEO, "es", **limits) if call == "submit" else client.wait("job-1", **limits)
    task = asyncio.create_task(ending.of(made))
    await asyncio.sleep(0)  # in which it begins
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
"""What a call raises that is ended so."""


def assert_plausible(ending: Ending, service: Service, other: str) -> None:
    """What a call came to that nobody cancelled: its own end, or that of the limit."""
    if ending.error is None:
        assert isinstance(ending.value, Job)
        assert service.answered_at is not None
        return
    assert isinstance(ending.error, (ENDS.get(other, RequestFailed), RequestFailed))
    assert isinstance(ending.error, TranslationClientError)
    if service.methods == ["POST"]:
        assert ending.error.may_have_been_accepted is True


async def assert_goes_on(client: AsyncVideoTranslationClient, service: Service, *, is_closed: bool) -> None:
    """The next call is made as ever, unless the client was closed."""
    service.how = "answers"
    vars(client._transport)["_request_timeout"] = 30
    if not is_closed:
        assert (await client.check("job-2")).status == "completed"
        await client.close()
    assert_free(client)


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("how", HOWS)
def test_a_task_that_is_cancelled_is_cancelled(
    how: str, other: str, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    """At each step of a call, whatever else happens before it or after it in that step, or in one near it."""
    for call, is_first, cancel_at, other_at in itertools.product(["submit", "wait"], [True, False], STEPS, STEPS):
        if other_at == cancel_at or (abs(other_at - cancel_at) <= 2 and other != "nothing"):
            run(cancelled_at(call, how, other, cancel_at, other_at, is_first=is_first))


@pytest.mark.parametrize("how", HOWS)
def test_a_task_that_is_cancelled_again_and_again_is_cancelled(
    how: str, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    """At each step until it has ended, as anyio does; and its own task has ended before, unless it is deaf."""

    async def errand(begin_at: int) -> None:
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
        run(errand(begin_at))


@pytest.mark.parametrize("how", ["mute", "deaf late"])
def test_wait_for_ends_a_wait_in_the_very_moment_of_our_own_time_out(
    how: str, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    """`wait_for(client.wait(job), 10)` with `request_timeout=10`, and a little less and more."""

    async def errand(offset: float) -> None:
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
        run(errand(number * STEP / 4))
        run(errand(number * 1e-7))


def ways_to_limit(seconds: float) -> list[tuple[Callable[[Coroutine[Any, Any, Any]], Coroutine[Any, Any, Any]], Any]]:
    """Return ways to bound a call from outside, on Python 3.11 and later, each with the exception that ends it."""

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

    # Not by its name, which Python 3.10 lacks.
    return [
        (by_timeout, TimeoutError),
        (by_nested_timeouts, TimeoutError),
        (by_group, vars(builtins)["ExceptionGroup"]),
    ]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout and TaskGroup are of Python 3.11")
@pytest.mark.parametrize("number", range(3), ids=["timeout", "nested timeouts", "group"])
@pytest.mark.parametrize("how", ["mute", "deaf late"])
def test_structured_cancellations_are_counted_right(
    how: str, number: int, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    """The error of the limit comes out, and no cancellation is left over, also in the moment of our own time-out."""

    async def errand(offset: float) -> None:
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
        run(errand(at * STEP / 4))


@pytest.mark.parametrize("how", ["answers", "cleans up", "swallows"])
@pytest.mark.parametrize("other", ["event", "close", "deadline", "request_timeout"])
@pytest.mark.parametrize("call", ["submit", "wait"])
def test_a_response_that_is_there_is_not_thrown_away(
    call: str, other: str, how: str, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    """At whatever step the time is up: a job whose id has arrived is returned, and one that may exist is told of."""

    async def errand(at: int) -> None:
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
        run(errand(at))
    assert outcomes == {Job, ENDS[other]}


def test_a_call_that_waits_for_a_slot_is_ended_and_takes_none_with_it(
    run: Callable[[Coroutine[Any, Any, None]], None],
) -> None:
    """By its own task, an event, the deadline or `close()`, in the step in which a slot becomes free or near it."""

    async def errand(how: str, at: int) -> None:
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
        run(errand(how, at))
    assert outcomes == {(how, kind) for how in hows for kind in (Job, ENDS[how])}


def test_closing_ends_calls_that_wait_for_a_slot(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """At once, and each with its own error."""

    async def errand() -> None:
        client = client_of(Service("mute"))
        slots = vars(client._transport)["_slots"] = Slots(1)
        waits = [asyncio.create_task(client.wait(f"job-{number}")) for number in range(5)]
        await steps(5)
        await client.close()
        errors = await asyncio.gather(*waits, return_exceptions=True)
        assert {type(error) for error in errors} == {WaitCancelled}
        assert (vars(slots)["_free"], len(vars(slots)["_queue"])) == (1, 0)

    run(errand())


def test_no_slot_is_ever_lost(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """Three thousand times some tasks wait for two slots, and are cancelled at random."""

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

    async def errand() -> None:
        chance = random.Random(7)
        for _ in range(3000):
            await attempt(chance)

    holders: list[asyncio.Future[None]] = []
    run(errand())


def test_slots_are_given_in_the_order_of_the_queue(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """One that comes later does not overtake."""

    async def errand() -> None:
        slots = Slots(1)
        first, second, third, fourth = (slots.enter() for _ in range(4))
        slots.leave(third)
        assert (first.done(), second.done(), third.cancelled(), fourth.done()) == (True, False, True, False)
        assert list(vars(slots)["_queue"]) == [second, fourth]
        slots.leave(first)
        assert (second.done(), fourth.done()) == (True, False)
        slots.leave(second)
        assert (fourth.done(), slots.enter().done()) == (True, False)

    run(errand())


def test_a_close_that_is_cancelled_closes_all_the_same(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """At each of its steps, while a call is deaf to it; and its own cancellation comes out."""

    async def errand(at: int) -> None:
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
        run(errand(at))


def test_a_task_whose_caller_has_gone_on_is_cancelled_until_it_ends(
    run: Callable[[Coroutine[Any, Any, None]], None],
) -> None:
    """Nobody has to close the client for that."""

    async def errand() -> None:
        client = client_of(Service("goes on twice"), timeout=0.2)
        with pytest.raises(WaitTimeout):
            await client.wait("job-1")
        assert len(asyncio.all_tasks()) == 2
        await asyncio.sleep(0.1)
        assert len(asyncio.all_tasks()) == 1
        assert_free(client)

    run(errand())


@pytest.mark.parametrize("how", ["deaf", "goes on twice"])
def test_close_ends_a_task_whose_caller_has_gone_on(how: str, run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """It waits for it, too."""

    async def errand() -> None:
        client = client_of(Service(how), timeout=0.2)
        with pytest.raises(WaitTimeout):
            await client.wait("job-1")
        assert len(asyncio.all_tasks()) == 2
        await client.close()
        assert len(asyncio.all_tasks()) == 1
        assert_free(client)

    run(errand())


def test_a_stopped_call_sends_and_writes_nothing_more(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """Its task may go on for a while, but its part file and its connection belong to the next call."""

    async def errand() -> None:
        async def go_on() -> None:
            cut = CURRENT_SCOPE.get()
            assert cut is not None
            cut.record_connection(connection)  # type: ignore[arg-type]  # what is used of it is there
            await deaf(1)
            assert connection.transport.is_aborted
            for note in (cut.record_sent, cut.record_received, cut.record_complete_response, cut.raise_if_stopped):
                with pytest.raises(CallAborted):
                    note()
            with pytest.raises(CallAborted):
                cut.record_connection(later)  # type: ignore[arg-type]  # what is used of it is there
            assert later.transport.is_aborted
            passed.append(True)

        client, connection, later = client_of(Service()), Connection(), Connection()
        vars(client._transport)["_send_in_scope"] = lambda *_, **__: go_on()
        with pytest.raises(WaitTimeout):
            await client.wait("job-1", timeout=0.5)
        await asyncio.sleep(2)
        assert passed == [True]

    passed: list[bool] = []
    run(errand())


def test_a_connection_that_was_put_back_is_not_aborted(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """It may belong to another call by now."""

    async def errand() -> None:
        async def fail_late() -> None:
            cut = CURRENT_SCOPE.get()
            assert cut is not None
            cut.record_connection(connection)  # type: ignore[arg-type]  # what is used of it is there
            vars(connection)["transport"] = None  # as aiohttp does at the end of a response
            raise aiohttp.ClientPayloadError

        client, connection = client_of(Service()), Connection()
        transport = connection.transport
        vars(client._transport)["_send_in_scope"] = lambda *_, **__: fail_late()
        with pytest.raises(aiohttp.ClientPayloadError):
            await client.wait("job-1")
        assert not transport.is_aborted

    run(errand())


def test_a_call_runs_in_the_context_of_its_caller(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """What gives the key and what traces the call see the variables that the caller has set."""

    async def errand() -> None:
        variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
        seen: list[str] = []

        def key() -> str:
            seen.append(variable.get())
            return "key-0123456789"

        @asynccontextmanager
        async def request(*given: Any, **more: Any) -> AsyncIterator[Any]:
            seen.append(variable.get())
            async with service.request(*given, **more) as response:
                yield response

        service = Service()
        client = client_of(service, api_key=key)
        vars(client._transport._sessions)["request"] = request
        variable.set("of the caller")
        await client.check("job-1")
        assert seen == ["of the caller", "of the caller"]
        assert CURRENT_SCOPE.get() is None

    run(errand())


def test_a_task_of_ours_that_others_cancel_is_a_cancellation(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """Whoever cancels all tasks of a loop cancels it, too."""

    async def errand() -> None:
        client = client_of(Service("mute"))
        task = asyncio.create_task(client.wait("job-1"))
        await steps(8)
        [ours] = asyncio.all_tasks() - {task, asyncio.current_task()}
        assert ours.get_name() == "translation_client call"
        ours.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert_free(client)

    run(errand())


@pytest.mark.parametrize("how", ["answers", "mute", "cleans up"])
def test_all_tasks_of_a_loop_can_be_cancelled_at_once(
    how: str, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    """As `asyncio.run` does at its end."""

    async def errand(at: int) -> None:
        client = client_of(Service(how))
        tasks = [asyncio.create_task(client.wait(f"job-{number}")) for number in range(3)]
        await steps(at)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, *tasks, return_exceptions=True)
        assert_free(client)

    for at in STEPS:
        run(errand(at))


def test_an_upload_that_never_has_to_wait_lets_others_go_on(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """A server that takes each block at once would otherwise hold up every timer, its own deadline among them."""

    async def errand() -> None:
        blocks = iter([b"a", b"b", b"c", b""])
        form = SimpleNamespace(read=lambda _: next(blocks))
        cut = SimpleNamespace(record_sent=lambda: None)
        turns: list[bytes] = []
        asyncio.get_running_loop().call_soon(turns.append, b"another")
        async for block in blocks_of(form, cut):  # type: ignore[arg-type]  # what is used of them is there
            turns += [block]
        assert turns == [b"a", b"another", b"b", b"c"]

    run(errand())


@pytest.mark.parametrize("how", ["answers", "mute", "cancelled"])
def test_a_call_leaves_no_garbage(how: str, run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """What it held is freed at once, and not when the garbage collector runs."""

    async def errand() -> None:
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
        run(errand())
    finally:
        gc.enable()


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_a_call_ends_the_program(interrupt: type[BaseException]) -> None:
    """It comes out of the event loop, as from any task, and once."""

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
def test_a_loop_may_begin_tasks_eagerly(how: str, run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """Then a call begins, and may end, before its caller waits for it."""

    async def errand(at: int) -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]  # see above
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
        run(errand(at))


@pytest.mark.parametrize("how", ["answers", "pending", "mute", "cleans up", "swallows"])
@pytest.mark.parametrize("call", ["wait_all", "as_completed", "watch"])
def test_a_batch_that_is_cancelled_is_cancelled(
    call: str, how: str, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    """At each of its steps, once, or twice in a row; its workers, its timers and its calls have ended by then."""

    async def errand(at: int, again_after: int | None) -> None:
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
        run(errand(at, again_after))
