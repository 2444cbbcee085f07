"""The cancel scope of one blocking request: its deadline and its cancellation."""

from __future__ import annotations

import math

import pytest
import requests
from support.adapters import FunctionAdapter, response
from support.fixtures import Clock

from translation_client._clock import Deadline, monotonic
from translation_client._models import Request
from translation_client._transports.base import TransportConfig, run_sync
from translation_client._transports.cancel_scope import (
    CURRENT,
    SLICE_SECONDS,
    CallCancelled,
    CallTimeout,
    CancelScope,
)
from translation_client._transports.requests import RequestsTransport


def test_a_cancel_scope_counts_down_in_slices(clock: Clock) -> None:
    """On frozen time. A child ends no later than its parent."""
    guard = CancelScope(monotonic() + 10, lambda: False)

    assert (guard.require_remaining(), guard.next_slice()) == pytest.approx((10, 0.1))
    assert guard.child(3).require_remaining() == pytest.approx(3)
    assert guard.child(30).require_remaining() == pytest.approx(10)
    clock.tick(9.95)
    assert (guard.require_remaining(), guard.next_slice()) == pytest.approx((0.05, 0.05), abs=1e-5)
    clock.tick(0.05)
    for ended in (guard.require_remaining, guard.next_slice, guard.child(3).require_remaining):
        with pytest.raises(CallTimeout):
            ended()


def test_the_nearer_of_deadline_and_request_timeout_holds(clock: Clock) -> None:
    """The adapter gets the seconds that are left as its `timeout`."""
    adapter = FunctionAdapter(lambda _: response())
    session = requests.Session()
    session.mount("http://service.test", adapter)
    transport = RequestsTransport(
        TransportConfig("http://service.test", user_agent="t", headers={}, request_timeout=5, session=session)
    )
    for seconds in (3, 30, math.inf):
        run_sync(
            transport.send(Request("GET", "/status"), Deadline.after(seconds), lambda: False, new_connection=False)
        )

    assert [arguments["timeout"] for arguments in adapter.send_arguments] == pytest.approx([3, 5, 5])


def test_cancel_scopes_nest() -> None:
    """At the end of a child, its parent is the current scope again."""
    whole = CancelScope(monotonic() + 60, lambda: False)
    part = whole.child(1)
    with whole:
        with part:
            assert CURRENT.scope is part
        assert CURRENT.scope is whole
    assert CURRENT.scope is None


def test_a_cancelled_scope_raises_call_cancelled() -> None:
    """Also in its child, and when its time has passed, too: the cancellation is checked first."""
    cancelled: list[bool] = []
    guard = CancelScope(monotonic() + 5, lambda: bool(cancelled))
    part = guard.child(1)
    assert part.next_slice() == SLICE_SECONDS
    cancelled.append(True)
    for ended in (
        guard.require_remaining,
        guard.next_slice,
        part.require_remaining,
        CancelScope(monotonic() - 1, lambda: True).require_remaining,
    ):
        with pytest.raises(CallCancelled):
            ended()
