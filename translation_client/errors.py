"""Every way in which a call of this library can fail.

::

    TranslationClientError
    ├── WaitTimeout       (TimeoutError)                the time was up; the job goes on
    ├── RetriesExhausted                                `max_retries`, or the caller's `stop`, was spent
    ├── WaitCancelled                                   `close()`, or the caller's event
    ├── RequestFailed     (requests.RequestException)   refused at once, or the faults were spent
    │   └── TooManyJobs                                 the service runs as many jobs as it runs for this key
    ├── UnexpectedAnswer  (requests.RequestException)   answers came, and none could be read
    ├── ResultNotReady                                  a download of a job that is not finished
    └── JobFailed                                       the service says that the job failed

A bad argument is a `ValueError` (a wrong type may be a `TypeError`) and is raised before anything is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from requests import RequestException

from .problems import Problem

if TYPE_CHECKING:  # for the annotations alone: at run time an error knows no model
    from .models import Job


class TranslationClientError(Exception):
    """What all errors of this library have in common: the evidence.

    Attributes:
        job_id: The id of the job that was asked for; None for the single job of the reference service.
        job: The last answer that could be read, or None.
        attempts: The HTTP calls that were made.
        checks: The answers that could be read.
        elapsed: Seconds from the start of the wait to the error.
        may_have_been_accepted: Of an order: whether the service may have made the job all the same.
        idempotency_key: Of an order: what goes on with it and makes no second job; None where the service has no keys.
    """

    def __init__(
        self,
        message: str,
        *,
        job_id: str | None = None,
        job: Job | None = None,
        attempts: int = 0,
        checks: int = 0,
        elapsed: float = 0.0,
        may_have_been_accepted: bool = False,
        idempotency_key: str | None = None,
    ) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.job = job
        self.attempts = attempts
        self.checks = checks
        self.elapsed = elapsed
        self.may_have_been_accepted = may_have_been_accepted
        self.idempotency_key = idempotency_key


class WaitTimeout(TranslationClientError, TimeoutError):
    """The time was up. Of a wait: before the job was finished, which has not failed and is still running.

    Attributes:
        seen: How often each kind of answer came, by status word or by fault: `{"pending": 4, "HTTP 503": 1}`.
        retry_after: The seconds that the server asked to be left alone, if that is what ended the wait.
    """

    def __init__(
        self,
        message: str,
        *,
        seen: Mapping[str, int] | None = None,
        retry_after: float | None = None,
        **evidence: Any,
    ) -> None:
        super().__init__(message, **evidence)
        self.seen = dict(seen or {})
        self.retry_after = retry_after


class RetriesExhausted(TranslationClientError):
    """`max_retries`, or the caller's own `stop` strategy, was spent while the job was pending."""


class WaitCancelled(TranslationClientError):
    """It was ended from outside: by `close()` or by the caller's event. A job goes on at the service."""


class RequestFailed(TranslationClientError, RequestException):
    """The service refused the request, or could not be reached as often as `max_faults` allows.

    `request` and `response`, which requests gives its exceptions, are None: they would hold the key.

    Attributes:
        status_code: The HTTP status of the last answer, or None if none came.
        problem: The body of that answer where it was a JSON object, with its `code` and its `message`; or None.
        retry_after: The seconds that the server asked to be left alone, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        problem: Problem | None = None,
        retry_after: float | None = None,
        **evidence: Any,
    ) -> None:
        super().__init__(message, **evidence)
        self.status_code = status_code
        self.problem = problem
        self.retry_after = retry_after


class TooManyJobs(RequestFailed):
    """The service runs as many jobs at once as it does for this key. `queue=True` waits for a slot.

    No job was made, unless `may_have_been_accepted` says that an earlier call of the same order may have made one.
    """


class UnexpectedAnswer(TranslationClientError, RequestException):
    """Answers came, and none of them could be read. `request` and `response` are None, as in `RequestFailed`.

    Attributes:
        status_code: The HTTP status of the last one, or None.
        excerpt: The beginning of its body as text, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        excerpt: str | None = None,
        **evidence: Any,
    ) -> None:
        super().__init__(message, **evidence)
        self.status_code = status_code
        self.excerpt = excerpt


class ResultNotReady(TranslationClientError):
    """A result was asked for that is not there yet: the job is pending."""


class JobFailed(TranslationClientError):
    """The service finished with the job and says that it failed (or was cancelled or rejected)."""
