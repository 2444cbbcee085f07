"""Responses on their way from the routes to the wire, with the faults that strike them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from flask import request

from .exchange import STRIKE_KEY
from .faults import DELIVERIES, Fault, Route
from .jobs import Look, NoSuchJob, TooManyJobs
from .lab import Lab
from .replies import Parts, Reply, code_of, spoiled
from .scenario import PENDING

UNKNOWN_WORD = "polishing"


class Refused(Exception):
    """What was asked for is answered with an error, and nothing is done."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status_code)
        self.reply = reply


@dataclass(frozen=True)
class Words:
    """How a service calls the states of a job.

    Attributes:
        pending: Each word with the share of the job's life until which it is said; the last one until 1.
        completed: The word of a job that is finished.
        error: The word of one that failed.
    """

    pending: tuple[tuple[float, str], ...]
    completed: str
    error: str

    def of(self, look: Look) -> str:
        """The word for how a job stands."""
        if look.status != PENDING:
            return self.completed if look.status == "completed" else self.error
        return next((word for until, word in self.pending if look.share < until), self.relapse)

    @property
    def relapse(self) -> str:
        """The word of a finished job that says that it is not."""
        return self.pending[-1][1]


class Voice(ABC):
    """How a service words what goes wrong."""

    @abstractmethod
    def error(self, status_code: int, message: str) -> Reply:
        """Any error, in the shape that its errors have."""

    def full(self, problem: TooManyJobs) -> Reply:
        """Too many jobs are pending."""
        return self.error(429, str(problem))

    def missing(self, problem: NoSuchJob) -> Reply:
        """There is no such job."""
        return self.error(404, str(problem))


@dataclass(frozen=True)
class Desk:
    """Where the routes of a service hand their answers out."""

    lab: Lab
    voice: Voice

    def status(self, job_id: str | None, words: Words, say: Callable[[Look, str], Reply]) -> Parts:
        """Answer how a job stands.

        Args:
            job_id: Which one.
            words: How its states are called.
            say: Makes the answer of the job and of a word, which is one of `words` or the unknown one.

        Raises:
            NoSuchJob: There is none of that id.
        """
        sighting = self.lab.ask(job_id)
        look = sighting.look
        own = {"relapse": say(look, words.relapse), "unknown-word": say(look, UNKNOWN_WORD)} if sighting.fault else {}
        return self._out(say(look, words.of(look)), sighting.fault, own)

    def result(self, job_id: str, make: Callable[[Look], Reply]) -> Parts:
        """Answer with the file of a job.

        Raises:
            NoSuchJob: There is none of that id.
        """
        sighting = self.lab.ask(job_id, "result")
        return self._out(self._made(lambda: make(sighting.look)), sighting.fault, {})

    def answer(self, route: Route, make: Callable[[], Reply]) -> Parts:
        """Do what was asked, unless a fault says that it was not accepted, and answer."""
        fault = self.lab.answer(route)
        if fault is not None and fault.says_not_accepted:
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
    """Let an answer go: past Flask where something is wrong with it, or where it is long.

    Raises:
        RuntimeError: Whoever called the app cannot play this fault.
    """
    strike = request.environ.get(STRIKE_KEY)
    if strike is not None and (fault is not None or not isinstance(reply.body, bytes)):
        strike(reply, fault)  # Flask would mend what is wrong with it, or stumble over it, and copy what is long
        return b"", 204, []
    if fault is not None and fault.action in DELIVERIES:
        raise RuntimeError(f"a WSGI app cannot {fault.action}: serve this one by `Server` or `InProcessAdapter`")
    return reply.parts
