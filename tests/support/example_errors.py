"""One error of each class, and the causes of an error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import translation_client
from translation_client import (
    Job,
    Problem,
    RequestFailed,
    TranslationClientError,
    TranslationStatus,
    UnexpectedAnswer,
    WaitTimeout,
)

PAYLOAD = {"result": "pending", "echo": ["é", 1.5, None, {"deep": [True, {}]}], "key": "s3cret-of-the-payload"}


JOB = Job(
    "j1",
    TranslationStatus.ERROR,
    "Failed",
    progress=0.25,
    result_url="https://files.test/f?sig=s3cret-of-the-link",
    error="no speech",
    retry_after=3.0,
    checks=3,
    elapsed=6.0,
    payload=PAYLOAD,
    language="es",
    expected_seconds=60.0,
    submitted_at=1_700_000_000.0,
    finished_at=1_700_000_060.0,
)


FACTS: dict[str, Any] = {
    "job_id": "j1",
    "job": JOB,
    "attempts": 4,
    "checks": 3,
    "elapsed": 6.5,
    "may_have_been_accepted": True,
    "idempotency_key": "order-1",
    "seen": {"pending": 3, "HTTP 503": 1},
    "retry_after": 40.0,
    "status_code": 503,
    "problem": Problem({"error": {"code": "busy", "message": "come again"}}),
    "excerpt": "<html>",
}
"""A value for each fact of each class."""


OF_ALL = ("job_id", "job", "attempts", "checks", "elapsed", "may_have_been_accepted", "idempotency_key")


OF_ONE = {
    WaitTimeout: ("seen", "retry_after"),
    RequestFailed: ("status_code", "problem", "retry_after"),
    UnexpectedAnswer: ("status_code", "excerpt"),
}


MESSAGE = "what happened, in the job's words: 'é'"


KINDS = [
    value
    for value in vars(translation_client).values()
    if isinstance(value, type) and issubclass(value, TranslationClientError)
]


def facts_of(kind: type[TranslationClientError]) -> dict[str, Any]:
    own = [name for base, names in OF_ONE.items() if issubclass(kind, base) for name in names]
    return {name: FACTS[name] for name in (*OF_ALL, *own)}


def error_of(kind: type[TranslationClientError]) -> TranslationClientError:
    return kind(MESSAGE, **facts_of(kind))


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and all its causes and contexts."""
    if error is not None:
        yield error
        for other in (error.__cause__, error.__context__):
            yield from chain_of(other)
