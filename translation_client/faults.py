"""Did this call bring a usable answer, and if not: may it be repeated?

A *fault* says nothing about the job and is repeated; a *refusal* will be the same next time and is not.
Neither leaves the package: `endings.py` turns them into public errors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from http import HTTPStatus
from typing import Any, Literal

from .messages import Answer
from .problems import Problem

FaultKind = Literal["connection", "timeout", "status", "unreadable"]

TRANSIENT_4XX = frozenset({408, 425, 429})
"""Request Timeout, Too Early, Too Many Requests: the request itself is fine (RFC 9110 15.5.9, RFC 8470, RFC 6585)."""


NOT_DONE = frozenset({425, 429})
"""Too Early, Too Many Requests: nothing was done (RFC 8470, section 5.2; RFC 6585, section 4)."""


MAX_ID_LENGTH = 200
"""The longest id in the text of a fault, in characters: a server may send one of any length."""


class Fault(Exception):
    """A call that brought no usable answer and may be repeated.

    Attributes:
        kind: `connection`, `timeout`, `status` (408, 425, 429, 5xx) or `unreadable`.
        text: What happened, in a few words of ours. It is not redacted later, so it quotes nothing of the server.
        answer: The answer, where one came.
        hint: The seconds that the server asked to be left alone, where it did.
        was_sent: Whether the whole request may have reached the server: what it asked for may have been done.
    """

    def __init__(self, kind: FaultKind, text: str, answer: Answer | None = None, hint: float | None = None) -> None:
        super().__init__(kind, text)  # what it is built from: it is the cause of a public error, which may be pickled
        self.kind: FaultKind = kind
        self.text = text
        self.answer = answer
        self.hint = hint
        self.was_sent = True

    def __str__(self) -> str:
        return self.text

    def add_sent_keys(self, keys: tuple[str, ...]) -> None:
        """Add the keys of the request to the answer, if one came."""
        if self.answer is not None:
            self.answer = replace(self.answer, sent_keys=keys)

    @property
    def may_be_done(self) -> bool:
        """Whether what was asked for may have been done all the same."""
        return self.was_sent and self.status_code not in NOT_DONE

    @property
    def status_code(self) -> int | None:
        """The HTTP status of the answer, where one came."""
        return None if self.answer is None else self.answer.status_code


class WrongJob(Fault):
    """A response that names another job, or another operation, than its request.

    Attributes:
        requested_id: The id in the request.
        named_id: The id in the response, as the server sent it.
    """

    def __init__(self, requested_id: str, named_id: str, answer: Answer, kind: str = "job") -> None:
        super().__init__("unreadable", f"the response is about another {kind}", answer)
        self._kind = kind
        self.requested_id = requested_id
        self.named_id = named_id

    def name_jobs(self, shown: Callable[[str], str]) -> None:
        """Put both ids into the text, each as `shown` returns it, shortened and with control characters escaped."""
        named_id, requested_id = (shown(one)[:MAX_ID_LENGTH] for one in (self.named_id, self.requested_id))
        self.text = f"the response is about {self._kind} {named_id!r}, not {requested_id!r}"


class Refusal(Exception):
    """An answer that says no, and will say no again.

    Attributes:
        answer: It.
        problem: Its body, where that is a JSON object.
    """

    def __init__(self, answer: Answer, text: str = "") -> None:
        line = status_line(answer.status_code)
        super().__init__(f"{text} ({line})" if text else line)
        self.answer = answer

    @cached_property
    def problem(self) -> Problem | None:
        """What the body says."""
        return problem_of(self.answer)


class NoFreeSlot(Refusal):
    """A refusal because too many jobs are running: it will be the same until one of them has finished."""


class NothingMade(Refusal):
    """An answer that says that nothing will come of an order that had been taken."""


class FieldMissing(Exception):
    """A success that lacks what it was asked for, and will lack it again.

    Attributes:
        field: What was promised, as a path through the JSON.
        answer: The answer.
    """

    def __init__(self, field: str, answer: Answer) -> None:
        super().__init__(f"the answer has no {field!r}")
        self.field = field
        self.answer = answer


def problem_of(answer: Answer) -> Problem | None:
    """Read the body of an error; None where it is no JSON object."""
    body = answer.json_object()
    return None if body is None else Problem(body)


def require_usable(answer: Answer) -> None:
    """Pass a 2xx; the general rule for everything that a service does not claim as an answer of its own.

    Raises:
        Fault: 408, 425, 429, 5xx, and what is neither a success nor an error.
        Refusal: Any other 4xx.
    """
    code = answer.status_code
    if 200 <= code < 300:
        return
    if code in TRANSIENT_4XX or code >= 500:
        raise Fault("status", status_line(code), answer)
    if 400 <= code < 500:
        raise Refusal(answer)
    raise Fault("unreadable", f"{status_line(code)} is no answer to this request", answer)


def interim_as_final(answer: Answer) -> Fault:
    """Return the fault for a 1xx response that came out as the final one. Its connection must not be used again."""
    return Fault("unreadable", f"{status_line(answer.status_code)} is no final response", answer)


def json_of(answer: Answer) -> dict[str, Any]:
    """Read the JSON object that an answer has to be.

    Raises:
        Fault: It is none.
    """
    payload = answer.json_object()
    if payload is None:
        raise Fault("unreadable", "the body is not a JSON object", answer)
    return payload


def status_line(code: int) -> str:
    """Name an HTTP status, in the registry's words and never in the server's."""
    try:
        return f"HTTP {code} {HTTPStatus(code).phrase}"
    except ValueError:
        return f"HTTP {code}"
