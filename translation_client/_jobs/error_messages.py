"""The public errors of a call that failed. Each message says what happened, what is still true, and what to do next.

Text that a server may have sent is redacted here, when it becomes part of a message; the attributes of an error are data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from .._auth import Redactor
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
    problem_of,
    redacted_problem,
    shown_text,
)
from .._polling import CallState

_KEY = "The API key is missing or wrong."
_NOT_ALLOWED = "The API key may not do this."


class ErrorText(NamedTuple):
    """What an errand is for.

    Attributes:
        asks: Completes "the service refused to …".
        still: What is true whatever went wrong.
        next_step: What the person can do.
        advice: What a refusal most likely means, by HTTP status.
        is_wait: Whether it is the wait for a job.
        unreachable: What to look at where nobody answers.
        unreadable: What to look at where the answer is something else.
        of_job: Makes the same purpose for a job by the id that texts show; None if it names no job.
    """

    asks: str
    still: str
    next_step: str
    advice: Mapping[int, str]
    is_wait: bool = False
    unreachable: str = "Is the server running, and base_url right?"
    unreadable: str = "Is base_url the address of the API?"
    of_job: Callable[[str | None], ErrorText] | None = None


def status_text(job_id: str | None) -> ErrorText:
    """Ask how a job stands."""
    argument = "" if job_id is None else repr(job_id)
    return ErrorText(
        asks=f"say how {describe_job(job_id)} stands",
        still="This says nothing about the job, which may well go on.",
        next_step=f"Go on waiting with client.wait({argument}), or ask once with client.check({argument}).",
        advice={
            401: _KEY,
            403: "The API key may not see this job.",
            404: "Are the id and base_url right?",
            410: "The service no longer keeps this job.",
        },
        is_wait=True,
        of_job=status_text,
    )


def statuses_text(count: int) -> ErrorText:
    """Ask how many jobs stand."""
    return ErrorText(
        asks="say how 1 job stands" if count == 1 else f"say how {count} jobs stand",
        still="This says nothing about the jobs, which may well go on.",
        next_step="Ask again with client.check_all(...).",
        advice={401: _KEY, 403: _NOT_ALLOWED, 404: "Is base_url right?"},
    )


def submit_text() -> ErrorText:
    """Order a job."""
    return ErrorText(
        asks="take the order",
        still="No job was made.",
        next_step="Order again when the cause is gone.",
        advice={
            401: _KEY,
            402: "The account has no credits left.",
            403: _NOT_ALLOWED,
            404: "Is base_url right?",
            413: "The file is too large for the service.",
        },
    )


def download_text(job_id: str | None) -> ErrorText:
    """Fetch the result of a job."""
    return ErrorText(
        asks=f"hand out the result of {describe_job(job_id)}",
        still="The job itself is finished, and no file was left behind.",
        next_step=f"Try again with client.download({job_id!r}, path).",
        advice={
            401: _KEY,
            403: "The link is not good, and a fresh one was not either.",
            404: "The result is not kept any more.",
            410: "The result is not kept any more.",
        },
        unreachable="Is the host of the result reachable from here?",
        unreadable="Is something between here and the host of the result?",
        of_job=download_text,
    )


def delete_text(job_id: str | None) -> ErrorText:
    """Delete a job."""
    return ErrorText(
        asks=f"delete {describe_job(job_id)}",
        still="It may or may not be deleted.",
        next_step=f"Try again with client.delete({job_id!r}).",
        advice={401: _KEY, 403: _NOT_ALLOWED, 404: "There is no such job; it may have been deleted before."},
        of_job=delete_text,
    )


def languages_text() -> ErrorText:
    """Fetch the list of target languages."""
    return ErrorText(
        asks="list its languages",
        still="Nothing was ordered.",
        next_step="Try again.",
        advice={401: _KEY, 403: _NOT_ALLOWED, 404: "Is base_url right?"},
    )


NO_ADVICE = "Repeating the request would not change the answer."

MIXED_UP = "Does a proxy in between mix up the responses?"
"""What to look at where a response is about another job."""


def wait_timeout(purpose: ErrorText, progress: CallState, retry_after: float | None = None) -> WaitTimeout:
    """The deadline came first."""
    seconds = f"{progress.elapsed:.1f} s"
    if progress.job is not None:
        happened = (
            f"{describe_job(progress.shown_id)} was still {shown_text(progress.job, 'raw_status')!r} after {seconds}"
        )
        still = "It has not failed: it goes on at the service."
    elif progress.attempts == 0 and purpose.is_wait:
        happened = f"there was no turn to ask about {describe_job(progress.shown_id)} within {seconds}"
        still = f"{purpose.still} More time, or more checks_per_second, lets everyone have a turn."
    else:
        last = "" if progress.last_fault is None else f", the last time because of: {progress.last_fault.text}"
        happened = f"{_where(progress)} did not {purpose.asks} within {seconds}{last}"
        is_known = progress.may_have_been_accepted or progress.checks or progress.seen
        still = (
            _still_true(purpose, progress) if is_known else f"{_still_true(purpose, progress)} {purpose.unreachable}"
        )
    if retry_after is not None:
        happened += f", and the server asks not to be called for {retry_after:g} s, which is past the time-out"
    return WaitTimeout(
        f"{happened} ({_counts(progress)}, timeout={progress.timeout:g}). {still} {_next_step(purpose, progress)}",
        seen=progress.seen,
        retry_after=retry_after,
        **progress.evidence(),
    )


def retries_exhausted(purpose: ErrorText, progress: CallState) -> RetriesExhausted:
    """The job was pending once more than the caller allows."""
    word = "pending" if progress.job is None else shown_text(progress.job, "raw_status")
    return RetriesExhausted(
        f"{describe_job(progress.shown_id)} was still {word!r} when the retries were spent, after "
        f"{progress.elapsed:.1f} s ({_counts(progress)}). It has not failed: it goes on at the service. "
        f"{_next_step(purpose, progress)}",
        **progress.evidence(),
    )


def wait_cancelled(purpose: ErrorText, progress: CallState) -> WaitCancelled:
    """Somebody ended it."""
    spent = f"was cancelled after {progress.elapsed:.1f} s ({_counts(progress)})"
    if purpose.is_wait:
        sentence = f"the wait for {describe_job(progress.shown_id)} {spent}. The job goes on at the service."
    else:
        sentence = f"the wait for the service to {purpose.asks} {spent}. {_still_true(purpose, progress)} {_next_step(purpose, progress)}"
    return WaitCancelled(sentence, **progress.evidence())


def interrupted_by_caller(purpose: ErrorText, progress: CallState, error: Exception) -> RequestFailed:
    """Something of the caller's failed in the middle of an order: what gives the key, or the file."""
    return RequestFailed(
        f"the order was broken off by a {type(error).__name__}, which is shown as the cause. {_still_true(purpose, progress)} "
        f"{_next_step(purpose, progress)}",
        **progress.evidence(),
    )


def interrupt_message(purpose: ErrorText, progress: CallState) -> str:
    """Ctrl-C in the middle of an order."""
    return f"{_still_true(purpose, progress)} {_next_step(purpose, progress)}"


def refused(purpose: ErrorText, progress: CallState, refusal: Refusal) -> RequestFailed:
    """The service said no, and would again."""
    code = refusal.response.status_code
    said = f"the service refused to {purpose.asks}: {refusal}{_problem_message(refusal.problem, progress.secrets)}"
    kind: type[RequestFailed] = RequestFailed
    advice = purpose.advice.get(code, NO_ADVICE)
    if isinstance(refusal, ConcurrencyLimitReached):
        kind, advice = (
            TooManyJobs,
            "As many jobs are running as may: wait for one to finish, or submit with queue=True.",
        )
    if progress.may_have_been_accepted:
        advice = f"{advice} {_still_true(purpose, progress)} {_next_step(purpose, progress)}"
    return kind(
        f"{said} ({progress.url}). {advice}",
        status_code=code,
        problem=refusal.problem and redacted_problem(refusal.problem, progress.secrets),
        retry_after=progress.hint,
        **progress.evidence(),
    )


def missing_field(purpose: ErrorText, progress: CallState, missing: MissingField) -> UnexpectedAnswer:
    """A success that lacks what it was asked for."""
    excerpt = progress.secrets.shown(missing.response.text)
    field = progress.secrets.shown_id(missing.field)  # an id may be part of it
    return UnexpectedAnswer(
        f"{_where(progress)} answered, but without {field!r}{_quoted(excerpt)}. {_still_true(purpose, progress)} {_next_step(purpose, progress)}",
        status_code=missing.response.status_code,
        excerpt=excerpt,
        **progress.evidence(),
    )


def result_not_ready(progress: CallState, job: Job) -> ResultNotReady:
    """Return the error for a download of a job that is not finished."""
    job_id, word = progress.shown_id, shown_text(job, "raw_status")
    return ResultNotReady(
        f"the result of {describe_job(job_id)} is not there yet: the service says {word!r}. Wait for it with "
        f"client.wait({job_id!r}), then download.",
        **{**progress.evidence(), "job": job, "checks": job.checks},
    )


def faults_exhausted(
    purpose: ErrorText, progress: CallState, fault: Fault, faults: int
) -> RequestFailed | UnexpectedAnswer:
    """Call after call failed; the last one chooses the error."""
    times = "1 call" if faults == 1 else f"{faults} calls in a row"
    still = _still_true(purpose, progress)
    if fault.kind == "unreadable":
        excerpt = None if fault.response is None else progress.secrets.shown(fault.response.text)
        look_at = MIXED_UP if isinstance(fault, WrongJob) else purpose.unreadable
        next_step = _next_step(purpose, progress) if progress.may_have_been_accepted else look_at
        return UnexpectedAnswer(
            f"{_where(progress)} gave no usable answer, {times}; the last: {fault.text}{_quoted(excerpt)}. {still} "
            f"{next_step}",
            status_code=fault.status_code,
            excerpt=excerpt,
            **progress.evidence(),
        )
    problem = None if fault.response is None else problem_of(fault.response)
    happened = "could not be reached" if fault.status_code is None else "kept failing"
    next_step = _next_step(purpose, progress)
    if fault.status_code is None and not progress.may_have_been_accepted:
        next_step = purpose.unreachable
    return RequestFailed(
        f"{_where(progress)} {happened}, {times}; the last: {fault.text}{_problem_message(problem, progress.secrets)}. {still} "
        f"{next_step}",
        status_code=fault.status_code,
        problem=problem and redacted_problem(problem, progress.secrets),
        **progress.evidence(),
    )


def _where(progress: CallState) -> str:
    return progress.url or "the service"


def _still_true(purpose: ErrorText, progress: CallState) -> str:
    if not progress.may_have_been_accepted:
        return purpose.still
    return "The order may have been accepted all the same, and a job may be running."


def _next_step(purpose: ErrorText, progress: CallState) -> str:
    if not progress.may_have_been_accepted:
        return purpose.next_step
    if progress.idempotency_key is None:
        return "Look at the list of jobs at the service before you order again: a second order is a second job."
    key = progress.secrets.shown_id(progress.idempotency_key)
    return f"Go on with client.submit(..., idempotency_key={key!r}) and the same arguments: that makes no second job."


def _counts(progress: CallState) -> str:
    seen = ", ".join(f"{count} × {what}" for what, count in progress.seen.items()) or "no answer"
    return f"{progress.attempts} {'call' if progress.attempts == 1 else 'calls'}: {seen}"


def _problem_message(problem: Problem | None, secrets: Redactor) -> str:
    message = problem.message if problem is not None else None
    return f": {secrets.shown(message)}" if message else ""


def _quoted(excerpt: str | None) -> str:
    return f" (it begins {excerpt[:60]!r})" if excerpt else ""
