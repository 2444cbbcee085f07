"""Responses on their way from the routes to the client, with their faults."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from flask import request

from .faults import WIRE_ACTIONS, Fault, Route
from .jobs import Look, NoSuchJob, TooManyJobs
from .lab import Lab
from .replies import Parts, Reply, code_of, spoiled
from .scenario import PENDING
from .wsgi import STRIKE_KEY

UNKNOWN_WORD = "polishing"


class Refused(Exception):
    """The request is refused with an error response, and nothing is done."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status_code)
        self.reply = reply


@dataclass(frozen=True)
class Words:
    """The status words of a service.

    Attributes:
        pending: Each word with the fraction of the duration up to which it applies, 1 for the last.
        completed: The word of a completed job.
        error: The word of a failed job.
    """

    pending: tuple[tuple[float, str], ...]
    completed: str
    error: str

    def of(self, look: Look) -> str:
        """Return the status word of a job."""
        if look.status != PENDING:
            return self.completed if look.status == "completed" else self.error
        return next((word for until, word in self.pending if look.share < until), self.relapse)

    @property
    def relapse(self) -> str:
        """The pending word that `relapse` sends for a finished job."""
        return self.pending[-1][1]


class Voice(ABC):
    """The error responses of a service."""

    @abstractmethod
    def error(self, status_code: int, message: str) -> Reply:
        """Return an error in the format of the service."""

    def full(self, problem: TooManyJobs) -> Reply:
        """Return the error for too many pending jobs."""
        return self.error(429, str(problem))

    def missing(self, problem: NoSuchJob) -> Reply:
        """Return the error for a job that does not exist."""
        return self.error(404, str(problem))


@dataclass(frozen=True)
class Desk:
    """Responses of the routes of a service, counted and with faults."""

    lab: Lab
    voice: Voice

    def status(self, job_id: str | None, words: Words, say: Callable[[Look, str], Reply]) -> Parts:
        """Return the status of a job.

        Args:
            job_id: The id of the job. None for the single job.
            words: The status words of the service.
            say: Builds the response from the job and a status word, either of `words` or an unknown one.

        Raises:
            NoSuchJob: There is no job with this id.
        """
        sighting = self.lab.ask(job_id)
        look = sighting.look
        own = {"relapse": say(look, words.relapse), "unknown-word": say(look, UNKNOWN_WORD)} if sighting.fault else {}
        return self._out(say(look, words.of(look)), sighting.fault, own)

    def result(self, job_id: str, make: Callable[[Look], Reply]) -> Parts:
        """Return the result of a job.

        Raises:
            NoSuchJob: There is no job with this id.
        """
        sighting = self.lab.ask(job_id, "result")
        return self._out(self._made(lambda: make(sighting.look)), sighting.fault, {})

    def answer(self, route: Route, make: Callable[[], Reply]) -> Parts:
        """Handle a request, unless a fault means that it was not accepted, and return the response."""
        fault = self.lab.answer(route)
        if fault is not None and fault.is_rejection:
            return self._out(self.voice.error(code_of(fault), "scripted fault"), fault, {})
        return self._out(self._made(make), fault, {})

    def _made(self, make: Callable[[], Reply]) -> Reply:
        try:
            return make()
        except Refused as refused:
            return refused.reply
        except TooManyJobs as too_many:
            return self.voice.full(too_many)
        except NoSuchJob as missing:
            return self.voice.missing(missing)

    def _out(self, usual: Reply, fault: Fault | None, own: dict[str, Reply]) -> Parts:
        if fault is None:
            return handed(usual)
        code = code_of(fault)
        own = {"answer": self.voice.error(code, f"scripted fault {code}"), **own}
        return handed(spoiled(usual, fault, request.url, own), fault)


def handed(reply: Reply, fault: Fault | None = None) -> Parts:
    """Return a reply to WSGI, or pass it to the caller of the app if it has a fault or a long body.

    Raises:
        RuntimeError: The caller of the app cannot play this fault.
    """
    strike = request.environ.get(STRIKE_KEY)
    if strike is not None and (fault is not None or not isinstance(reply.body, bytes)):
        strike(reply, fault)  # Flask would repair a faulty reply, or fail on it, and copy a long one
        return b"", 204, []
    if fault is not None and fault.action in WIRE_ACTIONS:
        raise RuntimeError(f"a WSGI app cannot {fault.action}: serve this one by `Server` or `InProcessAdapter`")
    return reply.parts
