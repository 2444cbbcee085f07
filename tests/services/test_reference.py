"""The reference service: its requests, its status words, and the other fields of its responses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from translation_client._models import (
    Fault,
    Refusal,
    Request,
    Response,
    TranslationStatus,
)
from translation_client.services import SERVICES, get_service
from translation_client.services.reference import REFERENCE

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_requests_of_the_reference_service() -> None:
    """Without and with a job id, which is percent-encoded."""
    assert REFERENCE.status_request(None) == Request("GET", "/status")
    assert REFERENCE.status_request("a b/c?ü") == Request("GET", "/status/a%20b%2Fc%3F%C3%BC")


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("pending", "pending"),
        ("completed", "completed"),
        (" Completed ", "completed"),
        ("ERROR", "error"),
        ("cancelled", "error"),
        ("canceled", "error"),
        ("rejected", "error"),
        ("brewing", "pending"),
    ],
)
def test_status_words_of_the_reference_service(word: str, status: str) -> None:
    """`raw_status` is the word in the response. An unknown word is pending."""
    job = REFERENCE.read_status(Response(200, {}, json.dumps({"result": word}).encode()), "j1")

    assert (job.id, job.status, job.raw_status, job.payload) == ("j1", status, word, {"result": word})
    assert REFERENCE.is_known_status(word) is (word != "brewing")


def test_a_response_may_have_progress_a_result_url_and_an_error() -> None:
    """Progress is from 0 to 1."""
    body = {"result": "error", "progress": 0.5, "result_url": "https://x/y", "error": "no speech"}
    job = REFERENCE.read_status(Response(200, {}, json.dumps(body).encode()), None)

    assert (job.progress, job.result_url, job.error) == (0.5, "https://x/y", "no speech")


@pytest.mark.parametrize("value", [True, 50, -1, "0.5", None, [0.5]])
def test_progress_that_is_no_number_from_0_to_1_is_none(value: Any) -> None:
    """50 may be a percentage or a bug."""
    body = json.dumps({"result": "pending", "progress": value}).encode()

    assert REFERENCE.read_status(Response(200, {}, body), None).progress is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"result": None},
        {"result": 3},
        {"result": ""},
        {"result": " "},
        {"result": ["pending"]},
        {"result": "x" * 101},
        {"status": "pending"},
    ],
)
def test_a_response_without_a_readable_status_is_a_fault(body: Any) -> None:
    """It is not a pending job."""
    with pytest.raises(Fault, match="no status in 'result'"):
        REFERENCE.read_status(Response(200, {}, json.dumps(body).encode()), None)


@given(JSON, st.integers(100, 599))
def test_any_status_in_json_is_read_as_a_job_a_fault_or_a_refusal(body: Any, code: int) -> None:
    """`read_status` raises nothing else."""
    response = Response(code, CaseInsensitiveDict(), json.dumps({"result": body}).encode())
    try:
        job = REFERENCE.read_status(response, None)
    except (Fault, Refusal):
        return
    assert isinstance(job.status, TranslationStatus)


def test_services_are_registered_by_their_names() -> None:
    """`get_service` finds a service by its name."""
    assert [(name, service.name) for name, service in SERVICES.items()] == [
        (name, name) for name in ("reference", "heygen", "elevenlabs", "azure")
    ]
    assert get_service("reference") is REFERENCE
