"""An event loop whose clock jumps to its next timer, and a client of asyncio whose requests a function answers."""

from __future__ import annotations

import asyncio
import json
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar
from unittest import mock

from support.adapters import BASE_URL
from support.fixtures import SilentLogger
from translation_client import AsyncVideoTranslationClient
from translation_client._clock import Deadline
from translation_client._models import Fault, Request, Response
from translation_client._transports.cancel_scope import CallTimeout

T = TypeVar("T")

START = 1e7
"""Far from any real clock, so that a mix-up shows."""

LATENCY = 0.02

LONGEST = 20_000
"""Virtual seconds after which a test would go on for ever."""


class JumpingSelector(selectors.DefaultSelector):
    """Lets the time of a timer pass at once."""

    def __init__(self) -> None:
        super().__init__()
        self.present = START

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "nothing is left that could wake the loop: it would hang"
        self.present += max(0.0, timeout)
        assert self.present < START + LONGEST, "it does not end"
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual seconds. It fails where one on real time would hang."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.present


@contextmanager
def virtual_loop() -> Iterator[JumpingLoop]:
    """A loop whose clock everybody sees."""
    loop = JumpingLoop()
    with mock.patch.object(time, "monotonic", loop.time):
        try:
            yield loop
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time, and see that it leaves no task behind."""
    with virtual_loop() as loop:
        result = loop.run_until_complete(coroutine)
        assert asyncio.all_tasks(loop) == set()
        return result


def present() -> float:
    """Seconds since the loop was made."""
    return asyncio.get_running_loop().time() - START


class Reply(NamedTuple):
    """What a server does with a request: it answers, or the call breaks down, after some seconds."""

    outcome: Response | Fault
    seconds: float = LATENCY


def client_of(respond: Callable[[str], Reply], **settings: Any) -> AsyncVideoTranslationClient:
    """A client whose requests are answered by a function of their path, within the time that they have."""
    client = AsyncVideoTranslationClient(BASE_URL, **{"logger": SilentLogger(), **settings})
    transport = client._transport

    async def send(request: Request, deadline: Deadline, *_: Any, **__: Any) -> Response:
        reply = respond(request.path)
        most = max(0.0, min(deadline.remaining, transport._request_timeout))
        await asyncio.sleep(min(reply.seconds, most))
        if reply.seconds > most:
            raise CallTimeout
        if isinstance(reply.outcome, Fault):
            raise reply.outcome
        return replace(reply.outcome, seconds=reply.seconds)

    vars(transport)["send"] = send
    return client


def json_reply(value: object, status_code: int = 200, seconds: float = LATENCY, **headers: str) -> Reply:
    """Make a reply; `retry_after="3"` is the header Retry-After."""
    named = {name.replace("_", "-").title(): text for name, text in headers.items()}
    return Reply(Response(status_code, named, json.dumps(value).encode()), seconds)


def html_reply() -> Reply:
    """A page in place of an answer."""
    return Reply(Response(200, {"Content-Type": "text/html"}, b"<html>maintenance</html>"))


def broken() -> Reply:
    """A connection that breaks."""
    return Reply(Fault("connection", "the connection broke"))


def mute() -> Reply:
    """A server that takes the request, and says nothing."""
    return Reply(Fault("connection", "the connection broke"), 1e6)
