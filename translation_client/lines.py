"""How does an errand make its calls and its pauses? By blocking a thread, here; `aio/` has the other way.

Errands are coroutines, which know nothing of it. Those that block are run to their end by `run`: none of them is ever
suspended, and no event loop is needed, nor in the way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

import requests

from .clock import Deadline, Stopwatch
from .headers import KeyHeaders
from .messages import Answer, Request
from .transport import Sink, Transport

T = TypeVar("T")

CANCEL_SLICE_SECONDS = 0.02
"""How soon a sleep sees that the caller's event was set. `close()` needs no slices: its event is slept on."""


class Event(Protocol):
    """What ends an errand from outside: an event of `threading` or of `asyncio`."""

    def is_set(self) -> bool:
        """Whether it is to end."""


class Line(Protocol):
    """The way to the service."""

    @property
    def base_url(self) -> str:
        """Where the service is."""

    @property
    def is_closed(self) -> bool:
        """Whether the client was closed."""

    @property
    def width(self) -> int:
        """How many calls at once it takes."""

    def url_of(self, request: Request) -> str:
        """Say where a request goes."""

    async def send(
        self,
        request: Request,
        deadline: Deadline,
        is_cancelled: Callable[[], bool],
        sink: Sink | None = None,
        *,
        is_fresh: bool = False,
    ) -> Answer:
        """Make one call: see `Transport.send`."""

    async def sleep(self, seconds: float, cancel: Event | None, watch: Stopwatch) -> None:
        """Sleep until the client is closed or the event is set, and count the seconds that it really took."""

    def close_idle(self) -> None:
        """Close the idle connections, whose responses may be out of step with the requests."""


class Wiring(NamedTuple):
    """What a line to a service is made of."""

    base_url: str
    user_agent: str
    headers: Mapping[str, str]
    credentials: Callable[[], KeyHeaders]
    request_timeout: float
    session: Any
    sleep: Callable[[float], Any] | None

    def __repr__(self) -> str:
        return "Wiring(…)"  # a key is among them


class BlockingLine:
    """The way that blocks the thread of the caller."""

    def __init__(self, transport: Transport, sleep: Callable[[float], object] | None) -> None:
        """Take the transport, and what is called in place of an interruptible sleep."""
        self.transport = transport
        self.base_url = transport.base_url
        self.width = 1
        self._sleep = sleep
        self.closed = threading.Event()

    @property
    def is_closed(self) -> bool:
        """Whether the client was closed."""
        return self.closed.is_set()

    def url_of(self, request: Request) -> str:
        """Say where a request goes."""
        return self.transport.url_of(request)

    async def send(
        self,
        request: Request,
        deadline: Deadline,
        is_cancelled: Callable[[], bool],
        sink: Sink | None = None,
        *,
        is_fresh: bool = False,
    ) -> Answer:
        """Make one call, and return with its answer."""
        return self.transport.send(request, deadline, is_cancelled, sink, is_fresh=is_fresh)

    async def sleep(self, seconds: float, cancel: Any, watch: Stopwatch) -> None:
        """Sleep, and count the seconds that it really took."""
        if self._sleep is not None:
            with watch.measure_callers_sleep(seconds):
                self._sleep(seconds)
        elif cancel is None:
            with watch.measure():
                self.closed.wait(min(seconds, threading.TIMEOUT_MAX))
        else:
            self._sleep_on_two_events(Deadline.after(seconds, watch), cancel)

    def close_idle(self) -> None:
        """Close the idle connections."""
        self.transport.close_idle()

    def close(self) -> None:
        """Free the sockets, and end whatever goes on."""
        self.closed.set()
        self.transport.close()

    def _sleep_on_two_events(self, end: Deadline, cancel: threading.Event) -> None:
        while not self.closed.is_set() and end.left > 0:
            with end.watch.measure():
                if cancel.wait(min(end.left, CANCEL_SLICE_SECONDS)):
                    return


def blocking_line(wiring: Wiring) -> BlockingLine:
    """Make the line that blocks.

    Raises:
        TypeError: The session is none of requests.
    """
    session = wiring.session
    if session is not None and not isinstance(session, requests.Session):
        raise TypeError(f"session must be a requests.Session, got a value of type {type(session).__name__}")
    transport = Transport(
        wiring.base_url,
        user_agent=wiring.user_agent,
        headers=wiring.headers,
        request_timeout=wiring.request_timeout,
        credentials=wiring.credentials,
        session=session,
    )
    return BlockingLine(transport, wiring.sleep)


def run(errand: Coroutine[Any, Any, T]) -> T:
    """Run an errand that blocks to its end."""
    try:
        errand.send(None)
    except StopIteration as finished:
        value: T = finished.value
        return value
    errand.close()
    raise RuntimeError("an errand that blocks was suspended")
