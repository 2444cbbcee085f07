"""A requests adapter that calls the app in process, without a socket: for tests on frozen time."""

from __future__ import annotations

import errno
import io
import math
import os
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter

from .delivery import AwaitRequest, End, Pause, Send, Step, steps
from .exchange import Asked, exchange, refused_unread

BROKEN = {End.RESET: errno.ECONNRESET, End.REFUSE: errno.ECONNREFUSED}


class InProcessAdapter(BaseAdapter):
    """Mount it on a session: `session.mount("http://fake.test", InProcessAdapter(create_app(scenario)))`.

    Faults are played as on a socket, and requests and urllib3 read the same bytes; they take a 1xx response other than 100
    for the final one. Two things differ. A time-out is for the whole exchange, where that of a socket is for each read.
    Each request has a connection of its own, so that nobody sees the second response of `doubled`, `repeated` and
    `repeated-late`.
    """

    def __init__(self, app: Any, sleep: Callable[[float], object] | None = None) -> None:
        """Take any WSGI app.

        Args:
            app: Called for each request.
            sleep: Called with the seconds that the server lets pass, such as `tick` of a frozen clock. None: they pass
                without anything being called, and a server that never answers is a time-out at once.
        """
        super().__init__()
        self._app = app
        self._sleep = sleep or (lambda _: None)
        self._builder = HTTPAdapter()

    def send(self, request: requests.PreparedRequest, *_: Any, timeout: Any = None, **__: Any) -> requests.Response:
        """Call the app, and play how its answer arrives.

        Args:
            request: What to send.
            timeout: Seconds for the whole exchange, or the pair of them that requests takes, of which the second counts.

        Raises:
            requests.ConnectionError: The connection is refused, reset, or closed without an answer.
            requests.ReadTimeout: The headers do not come in time.
        """
        asked = _asked(request)
        refused = refused_unread(requests.structures.CaseInsensitiveDict(asked.headers))
        reply, fault = exchange(self._app, asked) if refused is None else (refused, None)
        limit = timeout[-1] if isinstance(timeout, tuple) else timeout
        played = steps(reply, fault, keep_alive=refused is None, is_head=request.method == "HEAD")
        arriving = _Arriving(played, self._sleep, limit)
        response: Any = HTTPResponse(_Socket(arriving), method=request.method)  # type: ignore[arg-type]  # all it wants
        try:
            response.begin()
        except TimeoutError as error:
            response.close()
            raise requests.ReadTimeout(error, request=request) from error
        except (OSError, HTTPException) as error:
            response.close()
            broken = urllib3.exceptions.ProtocolError("Connection aborted.", error)
            raise requests.ConnectionError(broken, request=request) from error
        return self._builder.build_response(request, _raw(request, response))

    def close(self) -> None:
        """Nothing is open."""


def _asked(request: requests.PreparedRequest) -> Asked:
    body: Any = request.body or b""
    headers: dict[str, Any] = {"Host": urlsplit(str(request.url)).netloc.rpartition("@")[2], **request.headers}
    as_text = {name: value.decode("latin-1") if isinstance(value, bytes) else value for name, value in headers.items()}
    comes_in_chunks = "Transfer-Encoding" in request.headers  # and is refused unread
    return Asked(
        request.method or "GET", request.path_url, as_text.items(), b"" if comes_in_chunks else _bytes_of(body)
    )


def _bytes_of(body: Any) -> bytes:
    if isinstance(body, (bytes, str)):
        return body.encode() if isinstance(body, str) else body
    return bytes(body.read()) if hasattr(body, "read") else b"".join(body)


def _raw(request: requests.PreparedRequest, response: Any) -> urllib3.HTTPResponse:
    return urllib3.HTTPResponse(
        body=response,
        headers=response.headers.items(),
        status=response.status,
        version=response.version,
        reason=response.reason,
        preload_content=False,
        decode_content=False,
        original_response=response,
        request_method=request.method,
    )


class _Socket:
    """All that `http.client` wants of a socket."""

    def __init__(self, arriving: _Arriving) -> None:
        self._arriving = arriving

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return _File(self._arriving)


class _File(io.BufferedReader):
    """Can be collected after what it reads from: `http.client` flushes what it closes, be it closed already."""

    def flush(self) -> None:
        if not self.closed:
            super().flush()


class _Arriving(io.RawIOBase):
    """The bytes of an answer as they arrive; reading them takes the time that they take."""

    def __init__(self, played: Iterator[Step], sleep: Callable[[float], object], limit: float | None) -> None:
        super().__init__()
        self._steps = played
        self._sleep = sleep
        self._left = math.inf if limit is None else limit
        self._bytes = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._bytes:
            step = next(self._steps, End.CLOSE)
            if isinstance(step, Send):
                self._bytes = step.data
            elif isinstance(step, Pause):
                self._spend(step.seconds)
            elif isinstance(step, AwaitRequest) or step in (End.HANG, End.KEEP):
                self._spend(math.inf)  # an open connection, and nothing on it
            elif step in BROKEN:
                raise OSError(BROKEN[step], os.strerror(BROKEN[step]))
            else:
                return 0
        size = min(len(buffer), len(self._bytes))
        buffer[:size], self._bytes = self._bytes[:size], self._bytes[size:]
        return size

    def _spend(self, seconds: float) -> None:
        if seconds > self._left or seconds == math.inf:
            if self._left < math.inf:
                self._sleep(self._left)
            self._left = 0
            raise TimeoutError("timed out")
        self._sleep(seconds)
        self._left -= seconds
