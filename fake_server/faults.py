"""Faults of a response, and when they apply: data without behaviour, so that every run is the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

ContentAction = Literal[
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
"""Faults of the content of a response, which any WSGI server can serve. `replies.py` builds them, and `responder.py` those
that only change the status word.
"""

WireAction = Literal[
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
"""Faults in how a response is sent. `wire.py` implements them."""

Action = Literal[ContentAction, WireAction]

WIRE_ACTIONS: tuple[str, ...] = get_args(WireAction)
ACTIONS: tuple[str, ...] = (*get_args(ContentAction), *WIRE_ACTIONS)

MEANINGS: dict[Action, str] = {
    "answer": "an error of the service, by default 503; the same as its status code alone",
    "html": "200 with an HTML page",
    "invalid-json": "JSON that breaks off",
    "wrong-shape": "JSON without the expected fields",
    "unknown-word": "a status word that no service has",
    "relapse": "pending, even after the job was finished",
    "redirect-loop": "a redirect to itself",
    "redirect-away": "a redirect to the same path at another origin",
    "gzip-bomb": "a small body that unpacks to 64 MiB",
    "invalid-gzip": "a body that is not gzip, although it says so",
    "late": "the response, SECONDS later",
    "mute": "no response; the connection stays open",
    "drop": "no response; the connection is closed",
    "refuse": "all connections are closed, and new ones refused (needs a time interval)",
    "reset": "no response; the connection is reset",
    "reset-in-headers": "reset after half of the headers",
    "reset-after-headers": "reset after the headers and half of the body",
    "drip-headers": "the headers byte by byte, SECONDS apart",
    "drip-body": "the body byte by byte, SECONDS apart",
    "truncate": "half of the body; the connection is closed",
    "truncate-chunked": "the same of a chunked body",
    "endless": "a body that never ends",
    "early-hints": "a 103 response SECONDS before the response",
    "processing": "three 102 responses, SECONDS apart, before the response",
    "doubled": "the response twice at once",
    "repeated": "the response again SECONDS later, or at the next request",
    "repeated-late": "the response again in place of that to the next request",
}
"""What each action sends in place of the response."""

Route = Literal["status", "create", "result", "delete", "languages", "upload", "operation", "bulk"]
"""What a response is about: the status of a job, its submission, its result, its deletion, the list of languages, an
upload, an operation (Azure), or the statuses of many jobs.
"""

ROUTES: tuple[Route, ...] = get_args(Route)

JOB_ROUTES: tuple[Route, ...] = ("status", "result")
"""Routes whose responses are counted, and timed, for each job. Those of the others are for the server."""

REJECTION_STATUS_CODES = range(400, 430)
"""Status codes that mean that the request was rejected and nothing was done."""

MAX_SECONDS = 1e6
"""Longer than any test waits, and less than the longest possible socket timeout."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The name of a header (RFC 9110, section 5.6.2)."""


@dataclass(frozen=True)
class Fault:
    """A fault of the responses of a route. Exactly one of `nth`, `every` and `between` is set.

    A fault replaces the response only, which is the worst case: the job has been created, or deleted, and the client
    does not know. The request is not handled only if the fault means that it was rejected: a status code from 400 to
    429, or `refuse`.

    `relapse` and `unknown-word` change the status word in a response about a job. They change nothing in other
    responses.

    `status_code`, `headers` and `body` replace those of the response that the action would send, so that any response
    can be truncated or dripped. A header value may hold `{date+3}`, the HTTP date in three seconds; `{date-60}` is a
    past one.

    Attributes:
        nth: The number of the response, counted from 1: for each job on the routes `status` and `result`, for the
            server on the others. None if `every` or `between` is set.
        every: Every n-th of these responses. None if `nth` or `between` is set.
        between: Start and exclusive end in seconds of the job's time, or of the server's time on the other routes. For
            `refuse`, all connections are refused in that time of any job, or of the server. None if `nth` or `every` is
            set.
        action: What is sent instead: see `MEANINGS`. `answer` sends an error of the service.
        status_code: From 100 to 999; None for that of the action, which is 503 for `answer`.
        headers: Further headers by name, in place of those of the same name.
        body: The body as text, sent as UTF-8; None for that of the action.
        seconds: The delay before a response that is `late`, before each byte of a drip, after each interim response of
            `early-hints` and `processing`, or before the second response of `repeated`.
        route: The route of the responses, one of `ROUTES`.

    Raises:
        ValueError: An attribute is out of range or has the wrong type. The message says which.
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
        _require(self.route in ROUTES, f"route must be one of {', '.join(ROUTES)}; got {self.route!r}")
        _require(self.action in ACTIONS, f"action must be one of {', '.join(ACTIONS)}; got {self.action!r}")
        self._check_trigger()
        code = self.status_code
        _require(
            code is None or (_is_integer(code) and 100 <= code <= 999),
            f"status_code must be an integer from 100 to 999, or None; got {code!r}",
        )
        _require(
            self.body is None or _is_text(self.body),
            f"body must be text that UTF-8 can encode, or None; got {self.body!r}",
        )
        _require(_is_seconds(self.seconds), f"seconds must be a number from 0 to {MAX_SECONDS:g}; got {self.seconds!r}")
        self._check_headers()

    def _check_trigger(self) -> None:
        triggers = (self.nth, self.every, self.between)
        _require(
            sum(trigger is not None for trigger in triggers) == 1,
            f"a fault has exactly one trigger: nth, every or between; got {self!r}",
        )
        for count in (self.nth, self.every):
            _require(
                count is None or (_is_integer(count) and count >= 1),
                f"nth and every must be positive integers; got {self!r}",
            )
        if self.between is not None:
            _require(
                _is_interval(self.between),
                f"between must be a start and a later end, in seconds, 0 or more; got {self.between!r}",
            )
        _require(
            self.action != "refuse" or self.between is not None,
            f"refuse needs a time interval, such as 5s-8s, as it refuses connections and not a response; got {self!r}",
        )

    def _check_headers(self) -> None:
        _require(
            isinstance(self.headers, Mapping), f"headers must be a mapping of names to values; got {self.headers!r}"
        )
        for name, value in self.headers.items():
            _require(
                isinstance(name, str) and bool(_HEADER_NAME.fullmatch(name)),
                f"a header name must be a token (RFC 9110, section 5.6.2); got {name!r}",
            )
            _require(
                _is_header_value(value), f"the value of {name} must be one line of printable Latin-1; got {value!r}"
            )

    @property
    def is_rejection(self) -> bool:
        """True if the response means that the request was rejected. The request is not handled then."""
        return self.action == "refuse" or self.status_code in REJECTION_STATUS_CODES

    def applies_to(self, number: int, elapsed: float) -> bool:
        """Return True if the fault applies to the response `number`, sent `elapsed` seconds into the job (or server)."""
        if self.between is not None:
            return self.between[0] <= elapsed < self.between[1]
        return number == self.nth if self.every is None else number % self.every == 0


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_seconds(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= MAX_SECONDS


def _is_interval(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(_is_seconds, value)) and value[0] < value[1]


def _is_text(value: Any) -> bool:
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:  # half a surrogate pair
        return False


def _is_header_value(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and all(ord(char) < 256 for char in value)
