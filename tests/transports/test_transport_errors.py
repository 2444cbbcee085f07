"""Which fault an exception of the HTTP library becomes."""

from __future__ import annotations

import asyncio
import errno
from http.client import BadStatusLine
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
import requests
from support.adapters import Answers
from support.hostile_server import answering, serving
from support.transport import send
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import LocationParseError, MaxRetryError, ProtocolError, ReadTimeoutError

from translation_client import AsyncVideoTranslationClient, RequestFailed
from translation_client._models import Fault
from translation_client._transports.errors import failed_before_send, root_reason


def test_a_server_that_hangs_up_without_a_word_is_said_to() -> None:
    """It has nothing to do with a CA bundle."""
    with serving(answering(b"")) as server, pytest.raises(Fault, match=r"^the connection broke$"):
        send(server.url)


@pytest.mark.parametrize("is_own_cause", [True, False])
def test_a_circle_of_causes_has_an_end(is_own_cause: bool) -> None:
    """As `raise error from error` in an adapter of the caller's makes one."""
    error, other = requests.ConnectionError("a"), requests.ConnectionError("b")
    error.__cause__ = error if is_own_cause else other
    other.__cause__ = error

    assert not failed_before_send(error)
    assert root_reason(error) == "the connection broke"


def test_an_error_that_holds_itself_has_an_end() -> None:
    """Its `str` has none."""
    error = OSError("a")
    error.args = (error,)

    assert not failed_before_send(error)
    assert root_reason(error) == "the connection broke"


@pytest.mark.parametrize("is_own_cause", [True, False])
def test_a_circle_of_causes_in_aiohttp_has_an_end(is_own_cause: bool, monkeypatch: pytest.MonkeyPatch) -> None:
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
    ("error", "kind", "says"),
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
def test_what_an_adapter_raises_is_a_fault_in_clear_words(error: Exception, kind: str, says: str) -> None:
    """The errors of the layers below, bare."""

    def answer(_: object) -> requests.Response:
        raise error

    session = requests.Session()
    session.mount("http://service.test", Answers(answer))
    with pytest.raises(Fault, match=says) as caught:
        send("http://service.test", session=session)

    assert caught.value.kind == kind
    assert isinstance(caught.value.__cause__, requests.RequestException)
    assert "s3cret" not in str(caught.value.__cause__)
