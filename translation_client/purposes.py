"""What are the calls of an errand for? The words of our sentences about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from .models import describe_job

_KEY = "The API key is missing or wrong."
_NOT_ALLOWED = "The API key may not do this."


class Purpose(NamedTuple):
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
    of_job: Callable[[str | None], Purpose] | None = None


def status_of(job_id: str | None) -> Purpose:
    """Ask how a job stands."""
    argument = "" if job_id is None else repr(job_id)
    return Purpose(
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
        of_job=status_of,
    )


def statuses(count: int) -> Purpose:
    """Ask how many jobs stand."""
    return Purpose(
        asks="say how 1 job stands" if count == 1 else f"say how {count} jobs stand",
        still="This says nothing about the jobs, which may well go on.",
        next_step="Ask again with client.check_all(...).",
        advice={401: _KEY, 403: _NOT_ALLOWED, 404: "Is base_url right?"},
    )


def order() -> Purpose:
    """Order a job."""
    return Purpose(
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


def result_of(job_id: str | None) -> Purpose:
    """Fetch the result of a job."""
    return Purpose(
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
        of_job=result_of,
    )


def deletion_of(job_id: str | None) -> Purpose:
    """Delete a job."""
    return Purpose(
        asks=f"delete {describe_job(job_id)}",
        still="It may or may not be deleted.",
        next_step=f"Try again with client.delete({job_id!r}).",
        advice={401: _KEY, 403: _NOT_ALLOWED, 404: "There is no such job; it may have been deleted before."},
        of_job=deletion_of,
    )


def list_of_languages() -> Purpose:
    """Fetch the list of target languages."""
    return Purpose(
        asks="list its languages",
        still="Nothing was ordered.",
        next_step="Try again.",
        advice={401: _KEY, 403: _NOT_ALLOWED, 404: "Is base_url right?"},
    )
