"""How does a wait end that has no final answer, and what do we tell the person?

Each sentence says what happened, what is still true, and what to do next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import RequestFailed, RetriesExhausted, UnexpectedAnswer, WaitCancelled, WaitTimeout
from .faults import Fault, Refusal
from .models import describe_job
from .progress import Progress
from .redaction import Secrets

PROBLEM_TEXTS = ("detail", "message", "title", "error_description", "error")
"""Where an error body says what is wrong: RFC 9457 and what is common beside it, the longest sentence first."""

ADVICE = {
    401: "The API key is missing or wrong.",
    403: "The API key may not see this job.",
    404: "Are the id and base_url right?",
    410: "The service no longer keeps this job.",
}


def timed_out(progress: Progress, retry_after: float | None = None) -> WaitTimeout:
    """The deadline came first."""
    subject, seconds = describe_job(progress.job_id), f"{progress.elapsed:.1f} s"
    if progress.job is not None:
        happened = f"{subject} was still {progress.job.raw_status!r} after {seconds}"
        still = "It has not failed: it goes on at the service."
    else:
        last = "" if progress.last_fault is None else f", the last time because of: {progress.last_fault.text}"
        happened = f"{progress.url} did not say within {seconds} how {subject} stands{last}"
        still = "This says nothing about the job, which may well go on. Is base_url right?"
    if retry_after is not None:
        happened += f", and the server asks not to be called for {retry_after:g} s, which is past the time-out"
    return WaitTimeout(
        f"{happened} ({_counts(progress)}, timeout={progress.timeout:g}). {still} {_go_on(progress)}",
        seen=progress.seen,
        retry_after=retry_after,
        **progress.evidence(),
    )


def retries_exhausted(progress: Progress) -> RetriesExhausted:
    """The job was pending once more than the caller allows."""
    word = "pending" if progress.job is None else progress.job.raw_status
    return RetriesExhausted(
        f"{describe_job(progress.job_id)} was still {word!r} when the retries were spent, after "
        f"{progress.elapsed:.1f} s ({_counts(progress)}). It has not failed: it goes on at the service. "
        f"{_go_on(progress)}",
        **progress.evidence(),
    )


def cancelled(progress: Progress) -> WaitCancelled:
    """Somebody ended the wait."""
    return WaitCancelled(
        f"the wait for {describe_job(progress.job_id)} was cancelled after {progress.elapsed:.1f} s "
        f"({_counts(progress)}). The job goes on at the service.",
        **progress.evidence(),
    )


def refused(progress: Progress, refusal: Refusal) -> RequestFailed:
    """The service said no, and would again."""
    answer = refusal.answer
    problem = answer.json_object()
    advice = ADVICE.get(answer.status_code, "Repeating the request would not change the answer.")
    return RequestFailed(
        f"the service refused to say how {describe_job(progress.job_id)} stands: {refusal}{_said(problem, progress.secrets)} "
        f"({progress.url}). {advice}",
        status_code=answer.status_code,
        problem=progress.secrets.scrub(problem),
        **progress.evidence(),
    )


def faults_spent(progress: Progress, fault: Fault, faults: int) -> RequestFailed | UnexpectedAnswer:
    """Call after call failed; the last one chooses the error."""
    times = "1 call" if faults == 1 else f"{faults} calls in a row"
    still = "This says nothing about the job, which may well go on."
    if fault.kind == "unreadable":
        excerpt = None if fault.answer is None else progress.secrets.shown(fault.answer.text)
        return UnexpectedAnswer(
            f"{progress.url} gave no usable answer, {times}; the last: {fault.text}{_quoted(excerpt)}. {still} "
            "Is base_url the address of the API?",
            status_code=fault.status_code,
            excerpt=excerpt,
            **progress.evidence(),
        )
    problem = None if fault.answer is None else fault.answer.json_object()
    happened = "could not be reached" if fault.status_code is None else "kept failing"
    next_step = "Is the server running, and base_url right?" if fault.status_code is None else _go_on(progress)
    return RequestFailed(
        f"{progress.url} {happened}, {times}; the last: {fault.text}{_said(problem, progress.secrets)}. {still} {next_step}",
        status_code=fault.status_code,
        problem=progress.secrets.scrub(problem),
        **progress.evidence(),
    )


def _counts(progress: Progress) -> str:
    seen = ", ".join(f"{count} × {what}" for what, count in progress.seen.items()) or "no answer"
    return f"{progress.attempts} {'call' if progress.attempts == 1 else 'calls'}: {seen}"


def _go_on(progress: Progress) -> str:
    argument = "" if progress.job_id is None else repr(progress.job_id)
    return f"Go on waiting with client.wait({argument}), or ask once with client.check({argument})."


def _said(problem: Mapping[str, Any] | None, secrets: Secrets) -> str:
    texts = (problem.get(name) for name in PROBLEM_TEXTS) if problem else ()
    return next((f": {secrets.shown(text)}" for text in texts if isinstance(text, str) and text), "")


def _quoted(excerpt: str | None) -> str:
    return f" (it begins {excerpt[:60]!r})" if excerpt else ""
