"""The error tree: what each one is, carries and survives."""

import pickle
from typing import Any

import pytest
import requests

from translation_client import (
    Job,
    JobFailed,
    RequestFailed,
    RetriesExhausted,
    TranslationClientError,
    TranslationStatus,
    UnexpectedAnswer,
    WaitCancelled,
    WaitTimeout,
)

JOB = Job("j1", TranslationStatus.PENDING, "pending", checks=3, elapsed=6.0, payload={"result": "pending"})
EVIDENCE: dict[str, Any] = {"job_id": "j1", "job": JOB, "attempts": 4, "checks": 3, "elapsed": 6.5}
LEAVES: dict[type[TranslationClientError], dict[str, Any]] = {
    WaitTimeout: {"seen": {"pending": 3}, "retry_after": 40.0},
    RetriesExhausted: {},
    WaitCancelled: {},
    RequestFailed: {"status_code": 503, "problem": {"detail": "no"}},
    UnexpectedAnswer: {"status_code": 200, "excerpt": "<html>"},
    JobFailed: {},
}


@pytest.mark.parametrize("kind", LEAVES)
def test_every_error_survives_pickle_with_its_evidence(kind: type[TranslationClientError]) -> None:
    """A worker process hands the error to its parent whole."""
    error = kind("what happened", **EVIDENCE, **LEAVES[kind])

    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is kind
    assert str(copy) == "what happened"
    assert {name: getattr(copy, name) for name in (*EVIDENCE, *LEAVES[kind])} == {**EVIDENCE, **LEAVES[kind]}


@pytest.mark.parametrize("kind", LEAVES)
def test_every_error_is_of_the_family(kind: type[TranslationClientError]) -> None:
    """One `except TranslationClientError` catches all."""
    assert issubclass(kind, TranslationClientError)


def test_a_time_out_is_a_timeout_error() -> None:
    """The seed's script catches the built-in name."""
    assert issubclass(WaitTimeout, TimeoutError)


@pytest.mark.parametrize("kind", [RequestFailed, UnexpectedAnswer])
def test_failed_requests_are_what_requests_raises(kind: type[Exception]) -> None:
    """The seed says that a server that does not respond is a `requests.RequestException`."""
    assert issubclass(kind, requests.RequestException)


def test_evidence_is_there_even_where_nothing_was_seen() -> None:
    """Who catches an error need not ask which attributes it has."""
    error = WaitTimeout("nothing")

    assert (error.job_id, error.job, error.attempts, error.checks, error.elapsed) == (None, None, 0, 0, 0.0)
    assert (error.seen, error.retry_after) == ({}, None)
