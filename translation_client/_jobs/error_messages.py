"""The public errors of a failed call. Each message states what happened, what is still true, and what to do next.

Text that a server may have sent is redacted here, when it becomes part of a message. Attributes of an error such as
`job_id` are data, and keep their values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from .._auth.redactor import Redactor
from .._exceptions import (
    RequestFailed,
    ResultNotReady,
    RetriesExhausted,
    TooManyJobs,
    UnexpectedAnswer,
    WaitCancelled,
    WaitTimeout,
)
from .._models import (
    ConcurrencyLimitReached,
    Fault,
    Job,
    MissingField,
    Problem,
    Refusal,
    WrongJob,
    describe_job,
    redacted_problem,
    shown_text,
)
from .._polling import CallState

_KEY = "The API key is missing or wrong."
_NOT_ALLOWED = "The API key may not do this."


class ErrorText(NamedTuple):
    """The texts for the errors of one call of the client.

    Attributes:
        action: Completes "the service refused to …".
        still_true: What is true after any failure, unless a job may have been accepted.
        next_step: What to do next.
        advice_by_status: The likely reason of a refusal, by HTTP status code.
        is_wait: True for the wait for a job.
        unreachable: What to check if the service cannot be reached.
        unreadable: What to check if the response cannot be read.
        of_job: Returns the same texts with another form of the job id; None if the texts contain no job id.
    """

    action: str
    still_true: str
    next_step: str
    advice_by_status: Mapping[int, str]
    is_wait: bool = False
    unreachable: str = "Check that the server is running and that base_url is right."
    unreadable: str = "Check that base_url is the address of the API."
    of_job: Callable[[str | None], ErrorText] | None = None


def status_text(job_id: str | None) -> ErrorText:
    """Return the texts for a status check."""
    argument = "" if job_id is None else repr(job_id)
    return ErrorText(
        action=f"return the status of {describe_job(job_id)}",
        still_true="This says nothing about the job, which may still be running.",
        next_step=f"Resume waiting with client.wait({argument}), or check once with client.check({argument}).",
        advice_by_status={
            401: _KEY,
            403: "The API key may not see this job.",
            404: "Check the id and base_url.",
            410: "The service no longer keeps this job.",
        },
        is_wait=True,
        of_job=status_text,
    )


def statuses_text(count: int) -> ErrorText:
    """Return the texts for a bulk status check."""
    return ErrorText(
        action="return the status of 1 job" if count == 1 else f"return the status of {count} jobs",
        still_true="This says nothing about the jobs, which may still be running.",
        next_step="Try again with client.check_all(...).",
        advice_by_status={401: _KEY, 403: _NOT_ALLOWED, 404: "Check base_url."},
    )


def submit_text() -> ErrorText:
    """Return the texts for a submission."""
    return ErrorText(
        action="accept the job",
        still_true="No job was made.",
        next_step="Submit again when the cause is gone.",
        advice_by_status={
            401: _KEY,
            402: "The account has no credits left.",
            403: _NOT_ALLOWED,
            404: "Check base_url.",
            413: "The file is too large for the service.",
        },
    )


def download_text(job_id: str | None) -> ErrorText:
    """Return the texts for a download."""
    return ErrorText(
        action=f"return the result of {describe_job(job_id)}",
        still_true="The job itself is finished, and no file was left behind.",
        next_step=f"Try again with client.download({job_id!r}, path).",
        advice_by_status={
            401: _KEY,
            403: "The host of the result rejected the link, and a fresh one too.",
            404: "The result is not kept any more.",
            410: "The result is not kept any more.",
        },
        unreachable="Check that the host of the result can be reached from here.",
        unreadable="The response may come from a proxy or a login page in between.",
        of_job=download_text,
    )


def delete_text(job_id: str | None) -> ErrorText:
    """Return the texts for a deletion."""
    return ErrorText(
        action=f"delete {describe_job(job_id)}",
        still_true="It may or may not be deleted.",
        next_step=f"Try again with client.delete({job_id!r}).",
        advice_by_status={401: _KEY, 403: _NOT_ALLOWED, 404: "There is no such job; it may have been deleted before."},
        of_job=delete_text,
    )


def languages_text() -> ErrorText:
    """Return the texts for the list of languages."""
    return ErrorText(
        action="list its languages",
        still_true="Nothing was submitted.",
        next_step="Try again.",
        advice_by_status={401: _KEY, 403: _NOT_ALLOWED, 404: "Check base_url."},
    )


ADVICE_NOT_TO_RETRY = "Repeating the request would not change the response."

MIXED_UP = "A proxy in between may mix up the responses."
"""The likely cause if a response is about another job."""

_NOT_REACHED = {"connection", "timeout"}
"""The kinds of faults after which it is unknown if there is a server."""


def wait_timeout(error_text: ErrorText, state: CallState, retry_after: float | None = None) -> WaitTimeout:
    """Return the error for a missed deadline."""
    seconds = f"{state.stopwatch.elapsed:.1f} s"
    if state.job is not None:
        happened = f"{describe_job(state.shown_id)} was still {shown_text(state.job, 'raw_status')!r} after {seconds}"
        still = "The job has not failed and is still running."
    elif state.attempts == 0 and error_text.is_wait:
        happened = f"{describe_job(state.shown_id)} was not checked within {seconds}"
        still = f"{error_text.still_true} A longer timeout, or more checks_per_second, leaves time for every job."
    else:
        last = "" if state.last_fault is None else f"; the last error: {state.last_fault.text}"
        happened = f"{_where(state)} did not {error_text.action} within {seconds}{last}"
        still = _still_true(error_text, state)
        if not state.may_have_been_accepted and state.seen.keys() <= _NOT_REACHED:
            still = f"{still} {error_text.unreachable}"
    if retry_after is not None:
        happened += f", and Retry-After is {retry_after:g} s, longer than the time left"
    return WaitTimeout(
        f"{happened} ({_counts(state)}, timeout={state.timeout:g}). {still} {_next_step(error_text, state)}",
        seen=state.seen,
        retry_after=retry_after,
        **state.error_fields(),
    )


def retries_exhausted(error_text: ErrorText, state: CallState) -> RetriesExhausted:
    """Return the error for a job that is pending after the last allowed check."""
    shown_status = "pending" if state.job is None else shown_text(state.job, "raw_status")
    return RetriesExhausted(
        f"{describe_job(state.shown_id)} was still {shown_status!r} when the retries were used up, after "
        f"{state.stopwatch.elapsed:.1f} s ({_counts(state)}). The job has not failed and is still running. "
        f"{_next_step(error_text, state)}",
        **state.error_fields(),
    )


def wait_cancelled(error_text: ErrorText, state: CallState) -> WaitCancelled:
    """Return the error for a cancelled call."""
    spent = f"was cancelled after {state.stopwatch.elapsed:.1f} s ({_counts(state)})"
    if error_text.is_wait:
        ended = f"the wait for {describe_job(state.shown_id)} {spent}. The job itself was not cancelled."
    else:
        ended = f"the wait for the service to {error_text.action} {spent}. {_still_true(error_text, state)}"
    return WaitCancelled(f"{ended} {_next_step(error_text, state)}", **state.error_fields())


def interrupted_by_caller(error_text: ErrorText, state: CallState, error: Exception) -> RequestFailed:
    """Return the error for an exception of the caller's `api_key()` or file during a submission."""
    return RequestFailed(
        f"the submission was ended by an exception of the caller: {type(error).__name__}, which is shown as the cause. "
        f"{_still_true(error_text, state)} {_next_step(error_text, state)}",
        **state.error_fields(),
    )


def interrupt_message(error_text: ErrorText, state: CallState) -> str:
    """Return the message for Ctrl-C during a submission."""
    return f"{_still_true(error_text, state)} {_next_step(error_text, state)}"


def refused(error_text: ErrorText, state: CallState, refusal: Refusal) -> RequestFailed:
    """Return the error for a refused request, which a retry would not change."""
    code = refusal.response.status_code
    message = (
        f"the service refused to {error_text.action}: {refusal}{_problem_message(refusal.problem, state.redactor)}"
    )
    kind: type[RequestFailed] = RequestFailed
    advice = error_text.advice_by_status.get(code, ADVICE_NOT_TO_RETRY)
    if isinstance(refusal, ConcurrencyLimitReached):
        kind, advice = (
            TooManyJobs,
            "The service runs no more jobs at once: wait for one to finish, or submit with queue=True.",
        )
    if state.may_have_been_accepted:
        advice = f"{advice} {_still_true(error_text, state)} {_next_step(error_text, state)}"
    return kind(
        f"{message} ({state.url}). {advice}",
        status_code=code,
        problem=refusal.problem and redacted_problem(refusal.problem, state.redactor),
        retry_after=state.retry_after,
        **state.error_fields(),
    )


def missing_field(error_text: ErrorText, state: CallState, missing: MissingField) -> UnexpectedAnswer:
    """Return the error for a success without a required field."""
    excerpt = state.redactor.printable(missing.response.text)
    field = state.redactor.redact_id(missing.field)  # an id may be part of it
    return UnexpectedAnswer(
        f"{_where(state)} responded, but without {field!r}{_quoted(excerpt)}. {_still_true(error_text, state)} "
        f"{_next_step(error_text, state)}",
        status_code=missing.response.status_code,
        excerpt=excerpt,
        **state.error_fields(),
    )


def unusable_link(error_text: ErrorText, state: CallState, field: str) -> UnexpectedAnswer:
    """Return the error for a link to the result that is no http(s) URL. The link itself may be a signed one."""
    return UnexpectedAnswer(
        f"the link in {state.redactor.redact_id(field)!r} cannot be used: it is no http(s) URL with a host, or has control "
        f"characters or a backslash. {_still_true(error_text, state)} {_next_step(error_text, state)}",
        **state.error_fields(),
    )


def result_not_ready(state: CallState, job: Job) -> ResultNotReady:
    """Return the error for a download of a job that is not finished."""
    job_id, shown_status = state.shown_id, shown_text(job, "raw_status")
    return ResultNotReady(
        f"the result of {describe_job(job_id)} is not ready yet: the status is {shown_status!r}. Wait for it with "
        f"client.wait({job_id!r}), then download.",
        **{**state.error_fields(), "job": job, "checks": job.checks},
    )


def faults_exhausted(
    error_text: ErrorText, state: CallState, fault: Fault, faults: int
) -> RequestFailed | UnexpectedAnswer:
    """Return the error for `faults` faults in a row. The last one, `fault`, selects the class."""
    response, printable = fault.response, state.redactor.printable
    excerpt = None if response is None or fault.kind != "unreadable" else printable(response.text)
    problem = None if response is None or fault.kind == "unreadable" else response.problem
    times = "" if faults == 1 else f", {faults} attempts in a row; the last"
    message = (
        f"{_where(state)} {_happened(fault, faults)}{times}: {fault.text}{_problem_message(problem, state.redactor)}"
        f"{_quoted(excerpt)}. {_still_true(error_text, state)} {_check_after(error_text, state, fault)}"
        f"{_next_step(error_text, state)}"
    )
    if fault.kind == "unreadable":
        return UnexpectedAnswer(message, status_code=fault.status_code, excerpt=excerpt, **state.error_fields())
    return RequestFailed(
        message,
        status_code=fault.status_code,
        problem=problem and redacted_problem(problem, state.redactor),
        **state.error_fields(),
    )


def _happened(fault: Fault, faults: int) -> str:
    if fault.kind == "unreadable":
        return "gave no usable response"
    if fault.kind == "connection" and fault.status_code is None:
        return "could not be reached"
    return "failed" if faults == 1 else "kept failing"


def _check_after(error_text: ErrorText, state: CallState, fault: Fault) -> str:
    """Return a sentence on what to check after a fault, followed by a blank, or nothing if only `_next_step` helps."""
    if state.may_have_been_accepted or (fault.kind != "unreadable" and fault.status_code is not None):
        return ""
    if isinstance(fault, WrongJob):
        return f"{MIXED_UP} "
    return f"{error_text.unreadable if fault.kind == 'unreadable' else error_text.unreachable} "


def _where(state: CallState) -> str:
    return state.url or "the service"


def _still_true(error_text: ErrorText, state: CallState) -> str:
    if not state.may_have_been_accepted:
        return error_text.still_true
    return "The submission may have been accepted all the same, and a job may be running."


def _next_step(error_text: ErrorText, state: CallState) -> str:
    if not state.may_have_been_accepted:
        return error_text.next_step
    if state.idempotency_key is None:
        return "Check the list of jobs at the service before you submit again: a second submission is a second job."
    key = state.redactor.redact_id(state.idempotency_key)
    return f"Retry with client.submit(..., idempotency_key={key!r}) and the same arguments: that makes no second job."


def _counts(state: CallState) -> str:
    seen = ", ".join(f"{count} × {what}" for what, count in state.seen.items()) or "no response"
    return f"{state.attempts} {'attempt' if state.attempts == 1 else 'attempts'}: {seen}"


def _problem_message(problem: Problem | None, redactor: Redactor) -> str:
    message = problem.message if problem is not None else None
    return f": {redactor.printable(message)}" if message else ""


def _quoted(excerpt: str | None) -> str:
    return f" (it begins {excerpt[:60]!r})" if excerpt else ""
