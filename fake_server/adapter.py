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

from .wire import AwaitRequest, End, Pause, Send, Step, steps
from .wsgi import Asked, exchange, refused_unread

BROKEN = {End.RESET: errno.ECONNRESET, End.REFUSE: errno.ECONNREFUSED}


class InProcessAdapter(BaseAdapter):
    """A transport adapter for a session: `session.mount("http://fake.test", InProcessAdapter(create_app(scenario)))`.

    Faults are played as on a socket, and requests and urllib3 read the same bytes. They take a 1xx response other than
    100 for the final one. Two things differ. A timeout is for the whole exchange, while that of a socket is for each
    read. Each request has a connection of its own, so that the second response of `doubled`, `repeated` and
    `repeated-late` is not seen.
    """

    def __init__(self, app: Any, sleep: Callable[[float], object] | None = None) -> None:
        """Create an adapter for any WSGI app.

        Args:
            app: Called for each request.
            sleep: Called with the seconds of each delay of the server, such as `tick` of a frozen clock. None for no
                call: a server that never responds is then an immediate timeout.
        """
        super().__init__()
        self._app = app
        self._sleep = sleep or (lambda _: None)
        self._builder = HTTPAdapter()

    def send(self, request: requests.PreparedRequest, *_: Any, timeout: Any = None, **__: Any) -> requests.Response:
        """Call the app, and read its response as it arrives.

        Args:
            request: The request to send.
            timeout: Seconds for the whole exchange, or a pair as in requests, of which the second counts. None for no
                limit.

        Raises:
            requests.ConnectionError: The connection is refused, reset, or closed without a response.
            requests.ReadTimeout: The headers do not arrive in time.
        """
        asked = _asked(request)
        refused = refused_unread(requests.structures.CaseInsensitiveDict(asked.headers))
        reply, fault = exchange(self._app, asked) if refused is None else (refused, None)
        limit = timeout[-1] if isinstance(timeout, tuple) else timeout
        played = steps(reply, fault, keep_alive=refused is None, is_head=request.method == "HEAD")
        arriving = _Arriving(played, self._sleep, limit)
        response: Any = HTTPResponse(_Socket(arriving), method=request.method)  # type: ignore[arg-type]  # enough
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
        """Do nothing, since nothing is open."""


def _asked(request: requests.PreparedRequest) -> Asked:
    body: Any = request.body or b""
    headers: dict[str, Any] = {"Host": urlsplit(str(request.url)).netloc.rpartition("@")[2], **request.headers}
    as_text = {name: value.decode("latin-1") if isinstance(value, bytes) else value for name, value in headers.items()}
    comes_in_chunks = "Transfer-Encoding" in request.headers  # refused without reading it
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
    """The part of a socket that `http.client` uses."""

    def __init__(self, arriving: _Arriving) -> None:
        self._arriving = arriving

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return _File(self._arriving)


class _File(io.BufferedReader):
    """A reader that may be closed after its raw stream, as `http.client` flushes when it closes."""

    def flush(self) -> None:
        if not self.closed:
            super().flush()


class _Arriving(io.RawIOBase):
    """The bytes of a response as they arrive. Reading them waits for their delays."""

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
                self._spend(math.inf)  # the connection is open, and nothing arrives
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
