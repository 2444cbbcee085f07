"""The mistakes that well-known SDKs made in just this code, each with the test of ours that would have caught it."""

import ast
from functools import cache
from pathlib import Path

import pytest

MISTAKES: dict[str, tuple[str, ...]] = {
    "threads that share a decorated function share its statistics": (
        "test_threads_hammering_one_client_never_trip_over_each_other",
    ),
    "one more call is made after a cancellation": (
        "test_a_wait_that_is_cancelled_while_it_sleeps_makes_no_further_request",
    ),
    "there is no jitter left at the cap": ("test_at_the_cap_there_still_is_jitter",),
    "an interrupt is repeated": ("test_an_interrupt_in_a_call_is_not_repeated",),
    "an iteration goes on although the job is finished": ("test_watch_checks_when_wait_does",),
    "a pending answer cannot carry a hint": ("test_a_hint_on_a_pending_answer_lengthens_the_pause",),
    "a list of what was seen grows with each poll": ("test_kinds_of_answers_are_told_apart_up_to_a_limit",),
    "in the last second a call gets its full time-out back": ("test_no_server_holds_a_call_longer",),
    "a thread is spent on each wait, and left behind": ("test_calls_that_were_cut_leave_nothing_behind",),
    "a hint that makes no sense ends the wait": ("test_a_hint_that_makes_no_sense_is_ignored_with_a_line",),
    "a cancelled job is polled to the deadline": ("test_words_of_the_reference_service",),
    "the first hint is kept for ever": ("test_a_hint_counts_for_the_pause_after_it_and_no_further",),
    "a hint is read in one of its forms only, or without a limit": (
        "test_hints_in_all_forms_of_the_rfc",
        "test_a_hint_past_the_deadline_ends_the_wait_at_once",
    ),
    "whatever is not the first status counts as finished": (
        "test_a_word_that_nobody_knows_is_pending_with_one_warning",
    ),
    "one 502 ends the wait": ("test_a_wait_survives_one",),
    "exceptions of the library below come through raw": ("test_no_exception_of_requests_gets_through",),
    "a wait returns nothing": ("test_wait_returns_the_job_with_what_it_took",),
    "a refusal is swallowed until the time is up": ("test_a_refusal_fails_at_once",),
    "a step of the wall clock moves the deadline": ("test_the_wall_clock_has_no_say",),
    "the time of the call in flight is not counted": ("test_a_call_that_request_timeout_cuts_is_a_fault",),
    "a key lands in the log": ("test_a_server_that_echoes_a_secret_gets_it_nowhere",),
    "a finished job is thrown away on the last look": (
        "test_a_final_answer_that_comes_after_the_deadline_is_not_thrown_away",
    ),
    "the last look before the deadline is missing": (
        "test_a_job_that_finishes_at_29_of_30_seconds_is_reported_finished",
    ),
    "an unknown status is an error, or the end": ("test_a_word_that_nobody_knows_is_pending_with_one_warning",),
    "a create is repeated without an idempotency key": (
        "test_a_lost_answer_is_an_error_where_asking_again_would_make_a_second_job",
        "test_never_two_jobs_and_never_a_job_that_nobody_knows_of",
    ),
    "a create that is repeated loses its body": ("test_an_upload_that_is_cut_off_is_sent_again",),
    "completed is believed before the result is there": ("test_completed_before_the_link_is_there_waits_on",),
    "no content is read as JSON": ("test_no_content_is_no_such_job_at_azure",),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_known_mistake_has_a_test(mistake: str) -> None:
    """A test that is renamed or dropped is missed here."""
    assert set(MISTAKES[mistake]) <= names_of_functions()


@cache
def names_of_functions() -> set[str]:
    return {
        node.name
        for path in Path(__file__).parents[1].rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }
