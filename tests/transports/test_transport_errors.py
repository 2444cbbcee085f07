"""The faults that exceptions of the HTTP libraries become."""

from __future__ import annotations

import asyncio
import errno
from http.client import BadStatusLine
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
import requests
from support.adapters import FunctionAdapter
from support.hostile_server import answering, serving
from support.send_request import send
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import LocationParseError, MaxRetryError, ProtocolError, ReadTimeoutError

from translation_client import AsyncVideoTranslationClient, RequestFailed
from translation_client._models import Fault
from translation_client._transports.errors import failed_before_send, root_reason


def test_a_connection_closed_without_a_response_is_reported_as_broken() -> None:
    """The message does not blame a CA bundle."""
    with serving(answering(b"")) as server, pytest.raises(Fault, match=r"^the connection broke$"):
        send(server.url)


@pytest.mark.parametrize("is_own_cause", [True, False])
def test_the_search_through_a_cycle_of_causes_ends(is_own_cause: bool) -> None:
    """`raise error from error` in an adapter of the caller's makes such a cycle."""
    error, other = requests.ConnectionError("a"), requests.ConnectionError("b")
    error.__cause__ = error if is_own_cause else other
    other.__cause__ = error

    assert not failed_before_send(error)
    assert root_reason(error) == "the connection broke"


def test_the_search_through_an_error_that_contains_itself_ends() -> None:
    """Its `str` does not end."""
    error = OSError("a")
    error.args = (error,)

    assert not failed_before_send(error)
    assert root_reason(error) == "the connection broke"


@pytest.mark.parametrize("is_own_cause", [True, False])
def test_the_search_through_a_cycle_of_causes_in_aiohttp_ends(
    is_own_cause: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that never ends would stop the whole event loop."""

    async def refuse(*_: Any, **__: Any) -> Any:
        error = aiohttp.ClientResponseError(Mock(), (), status=400)
        error.__cause__ = error if is_own_cause else aiohttp.ClientResponseError(Mock(), (), status=401)
        error.__cause__.__cause__ = error
        raise error

    async def main() -> None:
        async with AsyncVideoTranslationClient("http://fake.test", max_faults=1) as client:
            with pytest.raises(RequestFailed):
                await client.check("j")

    monkeypatch.setattr(aiohttp.ClientSession, "_request", refuse)
    asyncio.run(main())


UNREACHABLE = OSError(errno.ENETUNREACH, "Network is unreachable")


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (UNREACHABLE, "connection", "^Network is unreachable$"),
        (OSError("s3cret"), "connection", "^the connection broke$"),
        (MaxRetryError(HTTPConnectionPool("host"), "/s3cret", UNREACHABLE), "connection", "^Network is unreachable$"),
        (ProtocolError("s3cret"), "connection", "^the connection broke$"),
        (LocationParseError("s3cret"), "connection", "^the connection broke$"),
        (BadStatusLine("s3cret"), "connection", "^the connection broke$"),
        (TypeError("s3cret"), "connection", "proxy variable in the environment may be broken"),
        (ValueError("s3cret"), "unreadable", r"^the response breaks HTTP \(ValueError\)$"),
        (TimeoutError("s3cret"), "timeout", "^no response in time$"),
        (ReadTimeoutError(HTTPConnectionPool("host"), "/s3cret", "s3cret"), "timeout", "^no response in time$"),
        (OSError("Could not find a suitable TLS CA certificate bundle, at s3cret"), "connection", "no CA bundle where"),
    ],
)
def test_an_exception_of_an_adapter_becomes_a_fault_without_its_text(error: Exception, kind: str, message: str) -> None:
    """Also the errors of urllib3, http.client and the system, if requests does not wrap them."""

    def respond(_: object) -> requests.Response:
        raise error

    session = requests.Session()
    session.mount("http://service.test", FunctionAdapter(respond))
    with pytest.raises(Fault, match=message) as caught:
        send("http://service.test", session=session)

    assert caught.value.kind == kind
    assert isinstance(caught.value.__cause__, requests.RequestException)
    assert "s3cret" not in str(caught.value.__cause__)
