"""An order is made once: whatever goes wrong with a create, no second job comes of it, and nobody is left in the dark."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import Answers, Clock
from worlds import KEYED, LANGUAGE, SERVICES, VIDEO, World

from fake_server import Scenario
from translation_client import (
    RequestFailed,
    TranslationClientError,
    UnexpectedAnswer,
    WaitCancelled,
    WaitTimeout,
)

LOST: tuple[str, ...] = (
    "drop",
    "reset",
    "reset-in-headers",
    "reset-after-headers",
    "truncate",
    "truncate-chunked",
    "mute",
    "html",
)
LOST += ("invalid-json", "wrong-shape", "late@30", "drip-headers@9", "endless", "gzip-bomb", "302", "199", "204")
LOST += ("500", "502", "503", "504", "503:Retry-After=3", "408")
"""Faults that strike the answer of a create: the job has been made, but for 408, where nobody can know."""

REFUSED = ("400", "401", "402", "403", "404", "409", "413", "422")
NOT_ACCEPTED = ("429", "429:Retry-After=3", "425")

keyed = pytest.mark.parametrize("service", KEYED)
unkeyed = pytest.mark.parametrize("service", [service for service in SERVICES if service not in KEYED])


def struck(service: str, clock: Clock, *faults: str, **arguments: Any) -> World:
    return World(clock, service, Scenario(30, faults=faults), **arguments)


@keyed
@pytest.mark.parametrize("fault", LOST)
def test_a_lost_answer_is_asked_for_again_where_that_makes_no_second_job(
    clock: Clock, service: str, fault: str
) -> None:
    """By the same key; the job is the one that was made at first."""
    world = struck(service, clock, f"create/1:{fault}", f"create/2:{fault}")
    job = world.submit()

    assert len(world.lab.orders) == 1
    assert str(job.id) in world.lab.orders[0].job_id
    assert world.client.wait(job).status == "completed"


@unkeyed
@pytest.mark.parametrize("fault", LOST)
def test_a_lost_answer_is_an_error_where_asking_again_would_make_a_second_job(
    clock: Clock, service: str, fault: str
) -> None:
    """It says that a job may be running, and what to look at."""
    world = struck(service, clock, f"create/1:{fault}")

    with pytest.raises(TranslationClientError, match="may have been accepted all the same") as caught:
        world.submit()
    assert isinstance(caught.value, (RequestFailed, UnexpectedAnswer))
    assert caught.value.may_have_been_accepted is True
    assert caught.value.idempotency_key is None
    assert "before you order again" in str(caught.value)
    assert len([arrival for arrival in world.lab.arrivals if arrival.method == "POST"]) == 1


@pytest.mark.parametrize(
    ("service", "fault"),
    [(service, fault) for service in SERVICES for fault in REFUSED if (service, fault) != ("heygen", "409")],
)
def test_a_refusal_is_one_call_and_no_job(clock: Clock, service: str, fault: str) -> None:
    """And the error knows it."""
    world = struck(service, clock, f"create/1:{fault}")

    with pytest.raises(RequestFailed, match="refused to take the order") as caught:
        world.submit()
    assert (caught.value.may_have_been_accepted, len(world.lab.orders)) == (False, 0)
    assert caught.value.status_code == int(fault)


@pytest.mark.parametrize(
    ("service", "fault"),
    # HeyGen's 429 is about jobs at once: see test_too_many_jobs_at_once_is_the_callers_to_decide.
    [(service, fault) for service in SERVICES for fault in NOT_ACCEPTED if service != "heygen" or fault == "425"],
)
def test_an_answer_that_says_not_accepted_is_repeated(clock: Clock, service: str, fault: str) -> None:
    """Everywhere."""
    world = struck(service, clock, f"create/1:{fault}", f"create/2:{fault}")
    world.submit()

    assert len(world.lab.orders) == 1


@pytest.mark.parametrize("service", SERVICES)
def test_a_refused_connection_is_repeated(clock: Clock, service: str) -> None:
    """Nothing has left."""
    calls: list[str] = []
    world = World(clock, service)
    adapter = world.session.get_adapter(world.url)

    def refuse_at_first(request: requests.PreparedRequest) -> requests.Response:
        calls.append(str(request.method))
        if len(calls) < 3:
            raise requests.ConnectionError(ConnectionRefusedError(111, "Connection refused"), request=request)
        return adapter.send(request)

    world.session.mount("http://", Answers(refuse_at_first))
    world.submit()

    assert len(world.lab.orders) == 1


@keyed
def test_an_error_carries_the_key_to_go_on_with(clock: Clock, service: str) -> None:
    """And going on with it makes no second job, here or in another process."""
    world = struck(service, clock, *(f"create/{number}:drop" for number in range(1, 4)), max_faults=3)

    with pytest.raises(RequestFailed, match=r"client\.submit\(\.\.\., idempotency_key=") as caught:
        world.submit()
    error = caught.value
    assert error.may_have_been_accepted is True
    assert error.idempotency_key is not None
    job = world.submit(idempotency_key=error.idempotency_key)
    assert len(world.lab.orders) == 1
    assert world.client.wait(job).status == "completed"


@keyed
def test_time_that_is_up_in_the_middle_of_an_order_says_what_may_have_come_of_it(clock: Clock, service: str) -> None:
    """Also where the key is the caller's own."""
    world = struck(service, clock, "create/every-1:mute")

    with pytest.raises(WaitTimeout, match="may have been accepted") as caught:
        world.submit(timeout=25, idempotency_key="order-of-mine")
    assert (caught.value.may_have_been_accepted, caught.value.idempotency_key) == (True, "order-of-mine")
    assert caught.value.elapsed <= 25.25


def test_a_key_that_was_refused_later_may_still_have_been_accepted_first(clock: Clock) -> None:
    """The first answer was lost; that the second is a 403 takes nothing back."""
    world = struck("heygen", clock, "create/1:drop", "create/2:403")

    with pytest.raises(RequestFailed, match="may have been accepted") as caught:
        world.submit()
    assert (caught.value.status_code, caught.value.may_have_been_accepted) == (403, True)
    assert len(world.lab.orders) == 1


def test_an_order_that_is_still_being_taken_is_asked_for_again(clock: Clock) -> None:
    """HeyGen's 409 `request_in_progress`."""
    body = '{"error": {"code": "request_in_progress", "message": "wait"}}'
    fault = json.dumps({"nth": 1, "route": "create", "action": "answer", "status_code": 409, "body": body})
    world = struck("heygen", clock, fault)
    world.submit()

    keys = {arrival.headers["Idempotency-Key"] for arrival in world.lab.arrivals if arrival.method == "POST"}
    assert (len(keys), len(world.lab.orders)) == (1, 1)


def test_each_order_has_a_key_of_its_own(clock: Clock) -> None:
    """Two equal orders are two jobs."""
    world = World(clock, "heygen")
    jobs = {world.submit().id, world.submit().id}

    assert (len(jobs), len(world.lab.orders)) == (2, 2)


def test_azure_goes_on_where_it_was(clock: Clock) -> None:
    """The iteration alone is missing."""
    world = struck("azure", clock, "create/2:403")

    with pytest.raises(RequestFailed) as caught:
        world.submit()
    assert (caught.value.may_have_been_accepted, world.lab.orders) == (True, [])
    job = world.submit(idempotency_key=caught.value.idempotency_key)
    assert (job.id, len(world.lab.orders)) == (caught.value.idempotency_key, 1)


@pytest.mark.parametrize("service", SERVICES)
def test_a_cancelled_order_says_so(clock: Clock, service: str) -> None:
    """Before anything was sent, no job was made."""
    cancel = threading.Event()
    cancel.set()
    world = World(clock, service)

    with pytest.raises(WaitCancelled, match=r"No job was made|Nothing was ordered") as caught:
        world.client.submit(VIDEO, LANGUAGE[service], cancel=cancel)
    assert (caught.value.may_have_been_accepted, world.lab.orders) == (False, [])


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("fault", [*LOST, *REFUSED, *NOT_ACCEPTED])
@pytest.mark.parametrize("when", ["2", "every-1"])
def test_never_two_jobs_and_never_a_job_that_nobody_knows_of(clock: Clock, service: str, fault: str, when: str) -> None:
    """The law of all of the above, for each fault at each place."""
    world = struck(service, clock, f"create/{when}:{fault}")
    try:
        job = world.submit()
    except TranslationClientError as error:
        assert len(world.lab.orders) <= 1
        assert error.may_have_been_accepted or not world.lab.orders
        if error.may_have_been_accepted and service in KEYED:
            assert error.idempotency_key is not None
    else:
        [order] = world.lab.orders
        assert str(job.id) in order.job_id


@pytest.mark.parametrize("fault", ["upload/1:drop", "upload/1:503", "upload/1:html", "upload/1:429"])
def test_an_upload_before_the_order_may_be_repeated(clock: Clock, tmp_path: Path, fault: str) -> None:
    """It is a file at the service, and no job."""
    video = tmp_path / "talk.mp4"
    video.write_bytes(b"video" * 1000)
    world = struck("heygen", clock, fault)
    world.client.submit(video, world.language)

    [order] = world.lab.orders
    assert (order.fields["file"], order.fields["file_bytes"]) == ("talk.mp4", 5000)


@pytest.mark.parametrize("service", ["heygen", "elevenlabs"])
def test_a_file_is_sent_whole_and_by_its_name(clock: Clock, tmp_path: Path, service: str) -> None:
    """Where the service takes files."""
    video = tmp_path / 'my "talk" é.mp4'
    video.write_bytes(bytes(range(256)) * 1000)
    world = World(clock, service)
    job = world.client.submit(video, world.language)

    [order] = world.lab.orders
    assert order.fields["file_bytes"] == 256_000
    assert world.client.wait(job).status == "completed"


def test_a_redirected_order_is_not_followed(clock: Clock) -> None:
    """As a GET it would order nothing, and as a POST perhaps a second time."""
    for code in (301, 302, 303, 307, 308):
        world = struck("reference", clock, f"create/1:{code}:Location=http://elsewhere.fake.test/jobs")

        with pytest.raises(UnexpectedAnswer) as caught:
            world.submit()
        assert [arrival.method for arrival in world.lab.arrivals] == ["POST"]
        assert caught.value.may_have_been_accepted is True
