"""Responses of the routes: counted, in the words and the error format of a service, and with faults."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from flask import request

from .faults import WIRE_ACTIONS, Fault, Route
from .jobs import JobState, NoSuchJob, TooManyJobs
from .lab import Lab
from .replies import Reply, ResponseTuple, apply_content_fault, error_code_of
from .scenario import PENDING
from .wsgi import RESPONSE_CALLBACK_KEY

UNKNOWN_STATUS_WORD = "polishing"
"""The status word of the fault `unknown-word`."""


class RequestRejected(Exception):
    """The request is rejected with an error response, and nothing is done."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status_code)
        self.reply = reply


@dataclass(frozen=True)
class StatusWords:
    """The status words of a service.

    Attributes:
        pending: Pairs of a progress and a word, which applies below that progress. The last progress is 1.
        completed: The word of a completed job.
        error: The word of a failed job.
    """

    pending: tuple[tuple[float, str], ...]
    completed: str
    error: str

    def word_for(self, state: JobState) -> str:
        """Return the status word of a job."""
        if state.status != PENDING:
            return self.completed if state.status == "completed" else self.error
        return next((word for progress, word in self.pending if state.progress < progress), self.last_pending)

    @property
    def last_pending(self) -> str:
        """The last word of a pending job, which the fault `relapse` sends for a finished one."""
        return self.pending[-1][1]


class ErrorResponses(ABC):
    """The error responses of a service."""

    @abstractmethod
    def error(self, status_code: int, message: str) -> Reply:
        """Return an error in the format of the service."""

    def too_many_jobs(self, error: TooManyJobs) -> Reply:
        """Return the error for too many pending jobs."""
        return self.error(429, str(error))

    def no_such_job(self, error: NoSuchJob) -> Reply:
        """Return the error for a job that does not exist."""
        return self.error(404, str(error))


@dataclass(frozen=True)
class Responder:
    """Builds the responses of the routes, counts them, and applies their faults."""

    lab: Lab
    errors: ErrorResponses

    def status(self, job_id: str | None, words: StatusWords, build: Callable[[JobState, str], Reply]) -> ResponseTuple:
        """Return the status of a job.

        Args:
            job_id: The id of the job. None for the single job.
            words: The status words of the service.
            build: Builds the response from the state of the job and a status word, of `words` or unknown.

        Raises:
            NoSuchJob: There is no job with this id.
        """
        state, fault = self.lab.count_job_response(job_id)
        word = words.word_for(state)
        if fault is not None:
            word = {"relapse": words.last_pending, "unknown-word": UNKNOWN_STATUS_WORD}.get(fault.action, word)
        return self._send(build(state, word), fault)

    def result(self, job_id: str, build: Callable[[JobState], Reply]) -> ResponseTuple:
        """Return the result of a job.

        Raises:
            NoSuchJob: There is no job with this id.
        """
        state, fault = self.lab.count_job_response(job_id, "result")
        return self._send(self._handle(lambda: build(state)), fault)

    def respond(self, route: Route, handle: Callable[[], Reply]) -> ResponseTuple:
        """Handle a request, unless `is_rejection` of its fault is True, and return the response."""
        fault = self.lab.count_response(route)
        if fault is not None and fault.is_rejection:
            return self._send(self.errors.error(error_code_of(fault), "scripted fault"), fault)
        return self._send(self._handle(handle), fault)

    def _handle(self, handle: Callable[[], Reply]) -> Reply:
        try:
            return handle()
        except RequestRejected as rejected:
            return rejected.reply
        except TooManyJobs as error:
            return self.errors.too_many_jobs(error)
        except NoSuchJob as error:
            return self.errors.no_such_job(error)

    def _send(self, reply: Reply, fault: Fault | None) -> ResponseTuple:
        if fault is None:
            return send_reply(reply)
        code = error_code_of(fault)
        error = self.errors.error(code, f"scripted fault {code}")
        return send_reply(apply_content_fault(reply, fault, request.url, error), fault)


def send_reply(reply: Reply, fault: Fault | None = None) -> ResponseTuple:
    """Return a reply to Flask, or pass it to the caller of the app if it has a fault or a long body.

    Raises:
        RuntimeError: The caller of the app cannot send a response with this fault.
    """
    callback = request.environ.get(RESPONSE_CALLBACK_KEY)
    if callback is not None and (fault is not None or not isinstance(reply.body, bytes)):
        callback(reply, fault)  # Flask would repair a faulty reply, or fail on it, and would copy a long one
        return b"", 204, []
    if fault is not None and fault.action in WIRE_ACTIONS:
        raise RuntimeError(f"the fault {fault.action} needs fake_server.Server or InProcessAdapter around the app")
    return reply.as_tuple()
