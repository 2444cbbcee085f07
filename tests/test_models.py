"""Jobs and statuses as values."""

import json
import pickle
from dataclasses import FrozenInstanceError

import pytest

from translation_client import Job, JobFailed, TranslationStatus


def test_a_status_prints_compares_and_serialises_as_its_word() -> None:
    """The seed's script prints it; users compare it with a text."""
    status = TranslationStatus.COMPLETED

    assert (str(status), f"{status}", f"{status:>10}", json.dumps(status)) == (
        "completed",
        "completed",
        " completed",
        '"completed"',
    )
    assert status == "completed"
    assert {status: 1}["completed"] == 1  # type: ignore[index]  # that a plain text finds it is the point


@pytest.mark.parametrize(("word", "is_final"), [("pending", False), ("completed", True), ("error", True)])
def test_final_statuses_know_it(word: str, is_final: bool) -> None:
    """Nobody lists the terminal words at a call site."""
    assert TranslationStatus(word).is_final is is_final


def test_repr_hides_what_can_hold_signed_links() -> None:
    """A repr ends up in logs."""
    job = Job("j1", TranslationStatus.COMPLETED, "done", result_url="https://x/?sig=s3cret", payload={"k": "s3cret"})

    assert "s3cret" not in repr(job)


def test_a_job_cannot_be_changed_and_survives_pickle_and_hash() -> None:
    """It is a value."""
    job = Job("j1", TranslationStatus.PENDING, "pending", payload={"a": [1]})

    with pytest.raises(FrozenInstanceError):
        job.status = TranslationStatus.ERROR  # type: ignore[misc]  # the point of the test

    assert pickle.loads(pickle.dumps(job)) == job
    assert len({job, job}) == 1


def test_a_failed_job_raises_when_asked_to() -> None:
    """The error carries the job, says why it failed, and what to do."""
    job = Job("j1", TranslationStatus.ERROR, "rejected", error="no speech", checks=2, elapsed=3.0)

    with pytest.raises(
        JobFailed, match=r"job 'j1' failed at the service: no speech\. .*submit the video anew"
    ) as caught:
        job.raise_for_status()

    assert (caught.value.job, caught.value.job_id, caught.value.checks, caught.value.attempts) == (job, "j1", 2, 2)


@pytest.mark.parametrize("status", [TranslationStatus.PENDING, TranslationStatus.COMPLETED])
def test_other_jobs_raise_nothing(status: TranslationStatus) -> None:
    """As with `requests.Response.raise_for_status`."""
    Job("j1", status, str(status)).raise_for_status()
