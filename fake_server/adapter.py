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

from .wire import AwaitRequest, End, Pause, Send, Step, wire_steps
from .wsgi import WSGIRequest, call_app, header_error

ERRNO_OF_END = {End.RESET: errno.ECONNRESET, End.REFUSE: errno.ECONNREFUSED}


class InProcessAdapter(BaseAdapter):
    """A transport adapter for a session: `session.mount("http://fake.test", InProcessAdapter(create_app(scenario)))`.

    Faults have the same effect as on a socket, and requests and urllib3 read the same bytes. They take a 1xx response
    other than 100 for the final one. Three things differ. A timeout is for the whole exchange, while that of a socket is
    for each read. Each request has a connection of its own, so that the second response of `doubled`, `repeated` and
    `repeated-late` is not seen. A refused connection raises what a closed one does. Mount it on `http://`, as results
    have URLs of another host.

    Attributes:
        never_retries: True: each `send` makes one attempt, so that a refused connection has sent nothing.
    """

    never_retries = True

    def __init__(self, app: Any, sleep: Callable[[float], object] | None = None) -> None:
        """Create an adapter for any WSGI app.

        Args:
            app: Called for each request.
            sleep: Called with the seconds of each delay of the server, such as `tick` of a frozen clock. None to skip
                the delays: a response that never comes is then an immediate timeout.
        """
        super().__init__()
        self._app = app
        self._sleep = sleep or (lambda _: None)
        self._http_adapter = HTTPAdapter()

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002  # the position of the arguments is that of every adapter
        timeout: Any = None,
        *_: Any,
        **__: Any,
    ) -> requests.Response:
        """Call the app, and read its response as it arrives.

        Args:
            request: The request to send.
            timeout: Seconds for the whole exchange, or a pair as in requests, of which the second counts. None for no
                limit, except that a response that never comes is a timeout at once.

        Raises:
            requests.ConnectionError: The connection is refused, reset, or closed without a response.
            requests.ReadTimeout: The headers do not arrive in time.
        """
        wsgi_request = _to_wsgi_request(request)
        error_reply = header_error(requests.structures.CaseInsensitiveDict(wsgi_request.headers))
        reply, fault = call_app(self._app, wsgi_request) if error_reply is None else (error_reply, None)
        seconds = timeout[-1] if isinstance(timeout, tuple) else timeout
        steps = wire_steps(reply, fault, keep_alive=error_reply is None, is_head=request.method == "HEAD")
        arriving = _ResponseStream(steps, self._sleep, seconds)
        response: Any = HTTPResponse(_Socket(arriving), method=request.method)  # type: ignore[arg-type]  # all it uses
        try:
            response.begin()
        except TimeoutError as error:
            response.close()
            raise requests.ReadTimeout(error, request=request) from error
        except (OSError, HTTPException) as error:
            response.close()
            aborted = urllib3.exceptions.ProtocolError("Connection aborted.", error)
            raise requests.ConnectionError(aborted, request=request) from error
        return self._http_adapter.build_response(request, _to_urllib3(request, response))

    def close(self) -> None:
        """Do nothing, since nothing is open."""


def _to_wsgi_request(request: requests.PreparedRequest) -> WSGIRequest:
    body: Any = request.body or b""
    headers: dict[str, Any] = {"Host": urlsplit(str(request.url)).netloc.rpartition("@")[2], **request.headers}
    text_headers = {
        name: value.decode("latin-1") if isinstance(value, bytes) else value for name, value in headers.items()
    }
    is_chunked = "Transfer-Encoding" in request.headers  # rejected without reading its body
    return WSGIRequest(
        request.method or "GET", request.path_url, text_headers.items(), b"" if is_chunked else _body_bytes(body)
    )


def _body_bytes(body: Any) -> bytes:
    if isinstance(body, (bytes, str)):
        return body.encode() if isinstance(body, str) else body
    return bytes(body.read()) if hasattr(body, "read") else b"".join(body)


def _to_urllib3(request: requests.PreparedRequest, response: Any) -> urllib3.HTTPResponse:
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

    def __init__(self, stream: _ResponseStream) -> None:
        self._stream = stream

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return _SocketFile(self._stream)


class _SocketFile(io.BufferedReader):
    """A reader that may be flushed after it was closed, as `http.client` does."""

    def flush(self) -> None:
        if not self.closed:
            super().flush()


class _ResponseStream(io.RawIOBase):
    """The bytes of a response as they arrive. Reading them sleeps for their delays."""

    def __init__(self, steps: Iterator[Step], sleep: Callable[[float], object], timeout: float | None) -> None:
        super().__init__()
        self._steps = steps
        self._sleep = sleep
        self._seconds_left = math.inf if timeout is None else timeout
        self._buffer = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._buffer:
            step = next(self._steps, End.CLOSE)
            if isinstance(step, Send):
                self._buffer = step.data
            elif isinstance(step, Pause):
                self._delay_or_time_out(step.seconds)
            elif isinstance(step, AwaitRequest) or step in (End.HANG, End.KEEP):
                self._delay_or_time_out(math.inf)  # the connection stays open, and nothing arrives
            elif step in ERRNO_OF_END:
                raise OSError(ERRNO_OF_END[step], os.strerror(ERRNO_OF_END[step]))
            else:
                return 0
        size = min(len(buffer), len(self._buffer))
        buffer[:size], self._buffer = self._buffer[:size], self._buffer[size:]
        return size

    def _delay_or_time_out(self, seconds: float) -> None:
        if seconds > self._seconds_left or seconds == math.inf:
            if self._seconds_left < math.inf:
                self._sleep(self._seconds_left)
            self._seconds_left = 0
            raise TimeoutError("timed out")
        self._sleep(seconds)
        self._seconds_left -= seconds
