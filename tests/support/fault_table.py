"""Every fault, once, three times and for ever: how a wait for a finished job ends then. The README shows it as a table.

The limits are `LIMITS`: five faults in a row, ten retries, ten seconds for a call, a hundred for the wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from fake_server import Fault, parse_fault
from translation_client import RequestFailed, RetriesExhausted, TranslationClientError, UnexpectedAnswer, WaitTimeout

LIMITS: dict[str, Any] = {
    "timeout": 100,
    "max_retries": 10,
    "backoff_factor": 0.1,
    "max_delay": 5,
    "request_timeout": 10,
    "max_faults": 5,
}

FAULT_PAUSES = (0.5, 1.0, 2.0, 4.0)
"""After the first fault, the second …; each may be a quarter longer."""


class Ends(NamedTuple):
    """How a wait ends.

    Attributes:
        error: The error, or None: the job is finished.
        calls: HTTP calls.
        by: Seconds that it takes at the most.
        at_least: Seconds that it takes at the least.
        requests: What arrives at the server, where that is not one for each call.
    """

    error: type[TranslationClientError] | None
    calls: int
    by: float
    at_least: float = 0.0
    requests: int | None = None

    @property
    def words(self) -> str:
        """As the README says it."""
        attempts = "1 attempt" if self.calls == 1 else f"{self.calls} attempts"
        return f"finished, {attempts}" if self.error is None else f"`{self.error.__name__}`, {attempts}"


class Expected(NamedTuple):
    """How it ends where the fault strikes once, three times, for ever."""

    once: Ends
    thrice: Ends
    forever: Ends


@dataclass(frozen=True)
class Group:
    """Faults that end alike, as they are written without their trigger."""

    faults: tuple[str, ...]
    expected: Expected


def repeated(error: type[TranslationClientError], seconds: float = 0, hint: float = 0, per_call: int = 1) -> Expected:
    """Each failed call is repeated after a pause, and the fifth in a row is the end.

    Args:
        error: What is raised then.
        seconds: What a failed call takes.
        hint: For how long the server asks to be left alone.
        per_call: The requests of a failed call.
    """

    def ends(failed: int, pauses: int, raised: type[TranslationClientError] | None) -> Ends:
        calls = failed + (raised is None)
        arrived = failed * per_call + (raised is None)
        longest = sum(max(hint, 1.25 * pause) for pause in FAULT_PAUSES[:pauses])
        shortest = sum(max(hint, 0.75 * pause) for pause in FAULT_PAUSES[:pauses])
        return Ends(raised, calls, longest + failed * seconds, shortest + failed * seconds, arrived)

    return Expected(ends(1, 1, None), ends(3, 3, None), ends(5, 4, error))


AT_ONCE = Ends(RequestFailed, 1, 0)
GIVES_UP = Ends(WaitTimeout, 1, 0)
RIGHT = Ends(None, 1, 1)

SILENT = ("mute", "late@30", "drip-headers", "drip-body", "early-hints@30", "processing@30", "199")
"""Faults that no response ends: the call takes `request_timeout`."""

GROUPS = (
    Group(("500", "502", "503", "504", "599", "999", "408", "425", "429"), repeated(RequestFailed)),
    Group(("429:Retry-After=3", "503:Retry-After=3"), repeated(RequestFailed, hint=3)),
    Group(("429:Retry-After={date+3}", "503:Retry-After={date+3}"), repeated(RequestFailed, hint=3)),
    Group(
        ("429:Retry-After={date-60}", "503:Retry-After={date-60}", "429:Retry-After=soon", "503:Retry-After=soon"),
        repeated(RequestFailed),
    ),
    Group(("429:Retry-After=86400", "503:Retry-After=86400"), Expected(GIVES_UP, GIVES_UP, GIVES_UP)),
    Group(("400", "401", "403", "404", "410", "418"), Expected(AT_ONCE, AT_ONCE, AT_ONCE)),
    Group(("drop", "reset", "reset-in-headers"), repeated(RequestFailed, seconds=0.02)),
    Group(SILENT, repeated(RequestFailed, seconds=10)),
    Group(
        ("late@0.05", "drip-headers@0", "drip-body@0", "early-hints@0.02", "processing@0.02"),
        Expected(RIGHT, RIGHT, RIGHT),
    ),
    Group(("doubled", "repeated@0.05", "repeated-late"), Expected(RIGHT, RIGHT, RIGHT)),
    Group(("reset-after-headers", "truncate", "truncate-chunked", "endless"), repeated(UnexpectedAnswer, seconds=0.02)),
    Group(("html", "invalid-json", "wrong-shape", "invalid-gzip", "gzip-bomb"), repeated(UnexpectedAnswer)),
    Group(("101", "204", "300", "302", "304"), repeated(UnexpectedAnswer)),
    Group(("redirect-loop",), repeated(UnexpectedAnswer, per_call=4)),
    Group(
        ("redirect-away",),
        Expected(
            Ends(None, 1, 0, requests=2),
            Ends(None, 1, 0, requests=4),
            Ends(UnexpectedAnswer, 5, 9.375, requests=20),
        ),
    ),
    Group(
        ("unknown-word", "relapse"),
        Expected(Ends(None, 2, 0.1, 0.1), Ends(None, 4, 0.7, 0.7), Ends(RetriesExhausted, 11, 26.3, 26.3)),
    ),
)

REFUSED = Expected(
    Ends(None, 2, 0.625, 0.375, requests=1),
    Ends(None, 4, 4.375, 2.625, requests=1),
    Ends(RequestFailed, 5, 9.375, 5.625, requests=0),
)
"""Connections refused: for a moment, for three calls, for ever."""

REFUSALS = {"once": "0s-0.2s:refuse", "thrice": "0s-2.2s:refuse", "forever": "0s-999s:refuse"}
"""The second call comes after 0.375 s at the earliest, the third until 1.875 s, the fourth after 2.625 s."""

TIMES = Expected._fields

ROWS = [
    (fault, times, getattr(group.expected, times)) for group in GROUPS for fault in group.faults for times in TIMES
] + [("refuse", times, getattr(REFUSED, times)) for times in TIMES]

INTERIM = ("early-hints@0.02", "processing@0.02", "early-hints@30", "processing@30", "199")

ROWS_IN_PROCESS = [
    (fault, times, getattr(repeated(UnexpectedAnswer), times) if fault in INTERIM else ends)
    for fault, times, ends in ROWS
]
"""What requests' own adapter makes of them, and so the one in process: it takes a 1xx for the final response."""


def faults_of(fault: str, times: str) -> list[Fault]:
    """Write the fault down with its trigger."""
    if fault == "refuse":
        return [parse_fault(REFUSALS[times])]
    when = {"once": ["1"], "thrice": ["1", "2", "3"], "forever": ["every-1"]}[times]
    return [parse_fault(f"{trigger}:{fault}") for trigger in when]


def readme_table() -> list[str]:
    """The rows as the README shows them."""
    groups = (*GROUPS, Group(("refuse",), REFUSED))
    return [
        f"| {', '.join(f'`{fault}`' for fault in group.faults)} | {' | '.join(end.words for end in group.expected)} |"
        for group in groups
    ]
