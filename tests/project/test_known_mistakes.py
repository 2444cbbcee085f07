"""Mistakes of well-known SDKs in code of this kind, each with the tests that would catch it here."""

import ast
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.exhaustive

MISTAKES: dict[str, tuple[str, ...]] = {
    "threads that share a decorated function share its statistics": (
        "test_waits_in_32_threads_do_not_share_the_retry_state_of_tenacity",
    ),
    "a request is sent after a cancellation": ("test_a_wait_that_is_cancelled_in_a_sleep_sends_no_further_request",),
    "there is no jitter at the longest delay": ("test_jitter_at_the_cap_shortens_the_delay",),
    "an interrupt is retried": ("test_a_keyboard_interrupt_in_a_request_is_not_retried",),
    "an iteration goes on after the final status": ("test_watch_logs_the_same_events_sleeps_and_times_as_wait",),
    "`Retry-After` of a pending response is ignored": ("test_retry_after_of_a_pending_response_lengthens_the_sleep",),
    "memory grows with each check": ("test_status_words_are_counted_separately_up_to_a_limit",),
    "the last request may take its full timeout, past the deadline": (
        "test_the_deadline_ends_a_request_to_a_hostile_server",
    ),
    "a thread is spent on each wait, and left behind": (
        "test_requests_ended_by_the_deadline_leave_no_thread_and_no_socket",
    ),
    "an invalid `Retry-After` ends the wait": ("test_an_invalid_retry_after_is_ignored_and_logged",),
    "a cancelled job is polled to the deadline": ("test_status_words_of_the_reference_service",),
    "the first `Retry-After` is kept for ever": (
        "test_retry_after_of_a_pending_response_applies_to_the_next_sleep_only",
    ),
    "`Retry-After` is read in one of its forms only, or without a limit": (
        "test_retry_after_is_read_in_all_forms_of_the_rfc",
        "test_retry_after_past_the_deadline_ends_the_wait_at_once",
    ),
    "any status but the first one counts as completed": ("test_an_unknown_status_word_is_pending_with_one_warning",),
    "one 502 ends the wait": ("test_a_wait_survives_one_fault",),
    "exceptions of the HTTP library reach the caller": (
        "test_every_exception_of_requests_becomes_a_translation_client_error",
    ),
    "a wait returns no job": ("test_wait_returns_the_job_with_its_checks_elapsed_seconds_and_payload",),
    "a refusal is retried until the timeout": ("test_a_4xx_that_is_not_retryable_fails_the_check_at_once",),
    "a step of the wall clock moves the deadline": ("test_a_step_of_the_wall_clock_does_not_change_a_wait",),
    "the time of the request in flight is not counted": ("test_an_attempt_that_exceeds_request_timeout_is_a_fault",),
    "an API key is logged": ("test_a_secret_that_a_server_echoes_is_in_no_text",),
    "a final status of the last check is dropped": ("test_a_final_response_after_the_deadline_is_returned",),
    "there is no last check before the deadline": (
        "test_a_job_that_completes_1_s_before_the_deadline_is_reported_completed",
    ),
    "an unknown status is an error, or final": ("test_an_unknown_status_word_is_pending_with_one_warning",),
    "a submission is retried without an idempotency key": (
        "test_a_submission_whose_response_is_lost_is_not_retried_without_idempotency_keys",
        "test_a_submission_never_creates_two_jobs_or_an_unreported_job",
    ),
    "a submission that is retried has no body": ("test_an_upload_aborted_by_the_server_is_sent_again",),
    "a job is completed before its result exists": ("test_a_completed_job_without_its_link_is_pending",),
    "a 204 is parsed as JSON": ("test_a_204_of_azure_means_that_there_is_no_such_job",),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_known_mistake_has_a_test(mistake: str) -> None:
    """A test that was renamed or removed is missing here."""
    assert set(MISTAKES[mistake]) <= names_of_functions()


@cache
def names_of_functions() -> set[str]:
    return {
        node.name
        for path in Path(__file__).parents[1].rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }
