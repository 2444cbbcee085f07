"""Faults of a response, and when they strike. Pure data, so that a run repeats exactly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

WhatItSays = Literal[
    "answer",
    "html",
    "invalid-json",
    "wrong-shape",
    "unknown-word",
    "relapse",
    "redirect-loop",
    "redirect-away",
    "gzip-bomb",
    "invalid-gzip",
]
"""Faults of what an answer says; `replies.py` words them, and any WSGI server can serve them."""

HowItArrives = Literal[
    "late",
    "mute",
    "drop",
    "refuse",
    "reset",
    "reset-in-headers",
    "reset-after-headers",
    "drip-headers",
    "drip-body",
    "truncate",
    "truncate-chunked",
    "endless",
    "early-hints",
    "processing",
    "doubled",
    "repeated",
    "repeated-late",
]
"""Faults below HTTP, of how an answer arrives or does not; `delivery.py` plays them."""

Action = Literal[WhatItSays, HowItArrives]

DELIVERIES: tuple[str, ...] = get_args(HowItArrives)
ACTIONS: tuple[str, ...] = (*get_args(WhatItSays), *DELIVERIES)

Route = Literal["status", "create", "result", "delete", "languages", "upload", "operation", "bulk"]
"""What the answer is about: how a job stands, the order of one, the file that comes of it, its deletion, the list of
languages, an upload, an operation (Azure), or many jobs at once.
"""

ROUTES: tuple[Route, ...] = get_args(Route)

ROUTES_OF_A_JOB: tuple[Route, ...] = ("status", "result")
"""Their answers are counted for each job, and lie in its time. Those of the others are counted over the server, and lie in
its time.
"""

NOT_ACCEPTED = range(400, 430)
"""Status codes by which a service says that it has done nothing of what it was told."""

MAX_SECONDS = 1e6
"""More than any test waits for, and less than what a socket can count."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What a header may be called (RFC 9110, section 5.6.2)."""


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong with the answers of a route. Exactly one of the three triggers is set.

    What strikes is the answer, which is the worst case: the job has been made, or deleted, and nobody is told. Only where a
    fault says that nothing was accepted, by a status code from 400 to 429 or by `refuse`, nothing has been done.

    `relapse` and `unknown-word` speak the words of the service in an answer about a job, and change nothing in others.

    `status_code`, `headers` and `body` replace those of the answer that the action would send: so anything can be
    truncated, or drip. A header value may hold `{date+3}`, the HTTP date in three seconds; `{date-60}` has passed.

    Attributes:
        nth: The n-th answer, counted from 1: of those about a job where the route is `status` or `result`, and of all that
            the server gives on it where it is another.
        every: Every so many of these answers.
        between: From and until, in seconds of the job's time, or of the server's for the other routes.
        action: What happens; `answer` sends an error, a 503 where nothing else is said.
        status_code: From 100 to 999.
        headers: By name.
        body: As text, which is sent in UTF-8.
        seconds: The delay of `late`, that between two bytes of a drip, that after each interim response of `early-hints`
            and `processing`, or that before the second response of `repeated`.
        route: Which answers it strikes, one of `ROUTES`.

    Raises:
        ValueError: Something of it makes no sense; the message says what.
    """

    nth: int | None = None
    every: int | None = None
    between: tuple[float, float] | None = None
    action: Action = "answer"
    status_code: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    seconds: float = 1.0
    route: Route = "status"

    def __post_init__(self) -> None:
        _require(self.route in ROUTES, f"a route is one of {', '.join(ROUTES)}; got {self.route!r}")
        _require(self.action in ACTIONS, f"an action is one of {', '.join(ACTIONS)}; got {self.action!r}")
        self._check_trigger()
        code = self.status_code
        _require(
            code is None or (_is_whole(code) and 100 <= code <= 999), f"a status code has three digits; got {code!r}"
        )
        _require(self.body is None or _is_text(self.body), f"a body is text that UTF-8 can hold; got {self.body!r}")
        _require(_is_seconds(self.seconds), f"seconds are a number from 0 to {MAX_SECONDS:g}; got {self.seconds!r}")
        _require(isinstance(self.headers, Mapping), f"headers are names with values; got {self.headers!r}")
        for name, value in self.headers.items():
            _require(isinstance(name, str) and bool(_TOKEN.fullmatch(name)), f"no header is called {name!r}")
            _require(_is_header_value(value), f"a header holds one line of Latin-1; got {value!r} for {name}")

    def _check_trigger(self) -> None:
        triggers = (self.nth, self.every, self.between)
        _require(
            sum(trigger is not None for trigger in triggers) == 1,
            f"a fault has exactly one trigger: nth, every or between; got {self!r}",
        )
        for count in (self.nth, self.every):
            _require(count is None or (_is_whole(count) and count >= 1), f"answers are counted from 1; got {self!r}")
        if self.between is not None:
            _require(
                _is_span(self.between), f"a span is two rising numbers of seconds, 0 or more; got {self.between!r}"
            )
        _require(
            self.action != "refuse" or self.between is not None,
            f"connections are refused for a span of time, such as 5s-8s, and not for an answer; got {self!r}",
        )

    @property
    def says_not_accepted(self) -> bool:
        """Whether the answer says that nothing was done: then nothing is."""
        return self.action == "refuse" or self.status_code in NOT_ACCEPTED

    def strikes(self, number: int, elapsed: float) -> bool:
        """Whether it hits the answer `number`, which is given `elapsed` seconds into the job."""
        if self.between is not None:
            return self.between[0] <= elapsed < self.between[1]
        return number == self.nth if self.every is None else number % self.every == 0


def _require(is_true: bool, sentence: str) -> None:
    if not is_true:
        raise ValueError(sentence)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_seconds(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= MAX_SECONDS


def _is_span(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(_is_seconds, value)) and value[0] < value[1]


def _is_text(value: Any) -> bool:
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:  # half a surrogate pair
        return False


def _is_header_value(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and all(ord(character) < 256 for character in value)
