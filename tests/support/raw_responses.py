"""No sockets: raw bytes of responses for both clients. For many malformed or truncated responses, block by block."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from errno import ECONNRESET
from http.client import HTTPException
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import aiohttp
import requests
from aiohttp.client_proto import ResponseHandler
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.structures import CaseInsensitiveDict

from fake_server.adapter import _to_urllib3
from support.fixtures import SilentLogger
from translation_client import (
    AsyncVideoTranslationClient,
    Job,
    TranslationClientError,
    TranslationStatus,
    VideoTranslationClient,
)
from translation_client._transports.matched_response import MatchedResponse

HOST = "http://storage.test"
JOB = Job("j", TranslationStatus.COMPLETED, "completed", result_url=f"{HOST}/file")
CLIENTS: tuple[type[Any], ...] = (VideoTranslationClient, AsyncVideoTranslationClient)


@dataclass(frozen=True)
class Raw:
    """A response as it is sent.

    Attributes:
        data: Status line, headers and body.
        blocks: The sizes of the blocks in which it arrives; the rest comes in one.
        is_reset: True if the connection is reset behind it, and not closed.
    """

    data: bytes
    blocks: tuple[int, ...] = ()
    is_reset: bool = False

    def arriving(self) -> Iterator[bytes]:
        start = 0
        for size in self.blocks:
            yield self.data[start : start + size]
            start += size
        yield self.data[start:]


Headers = Mapping[str, str]
Respond = Callable[[Headers], Raw]


def raw(status: int, *headers: str, body: bytes = b"", version: str = "HTTP/1.1", **how: Any) -> Raw:
    """Make a response of header lines and a body."""
    lines = [f"{version} {status} Whatever", *headers]
    return Raw("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body, **how)


def whole(body: bytes, *headers: str, **how: Any) -> Raw:
    """Make a 200 with its length."""
    return raw(200, f"Content-Length: {len(body)}", "Content-Type: video/mp4", *headers, body=body, **how)


def part(body: bytes, content_range: str, *headers: str, **how: Any) -> Raw:
    """Make a 206 with its length."""
    about = (f"Content-Range: {content_range}", f"Content-Length: {len(body)}", "Content-Type: video/mp4")
    return raw(206, *about, *headers, body=body, **how)


def chunked(body: bytes, *headers: str, status: int = 200, is_cut: bool = False, **how: Any) -> Raw:
    """Make a response in one chunk, without a length; a cut one lacks the last chunk."""
    framed = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"" if is_cut else b"0\r\n\r\n")
    about = ("Transfer-Encoding: chunked", "Content-Type: video/mp4", *headers)
    return raw(status, *about, body=framed, **how)


class Script:
    """Responds to one request after the other; the last response repeats. Keeps the headers of the requests."""

    def __init__(self, *responses: Raw | Respond) -> None:
        self.requests: list[Headers] = []
        self._responses = responses

    def __call__(self, headers: Headers) -> Raw:
        response = self._responses[min(len(self.requests), len(self._responses) - 1)]
        self.requests.append(headers)
        return response if isinstance(response, Raw) else response(headers)

    @property
    def ranges(self) -> list[str | None]:
        return [one.get("Range") for one in self.requests]


class Outcome(NamedTuple):
    """How a download ended.

    Attributes:
        error: The error; None if there was none.
        file: What lies at the target now; None for nothing.
        progress: The calls of `on_progress`.
        left: What else lies in the folder.
    """

    error: TranslationClientError | None
    file: bytes | None
    progress: list[tuple[int, int | None]]
    left: list[str]


def checked(client: type[Any], respond: Respond, **arguments: Any) -> Job | TranslationClientError:
    """Check a job once with a client of one kind. Returns the job or the error."""
    usual = {"logger": SilentLogger(), "sleep": lambda _: None, "max_faults": 1, **arguments}

    async def check() -> Job:
        async with (
            aiohttp.ClientSession(connector=_Connector(respond)) as session,
            AsyncVideoTranslationClient(HOST, session=session, **usual) as client,
        ):
            return await client.check("j")

    try:
        if client is AsyncVideoTranslationClient:
            return asyncio.run(check())
        session = requests.Session()
        session.mount(HOST, _Adapter(respond))
        with session, VideoTranslationClient(HOST, session=session, **usual) as blocking:
            return blocking.check("j")
    except TranslationClientError as error:
        return error


def downloaded(
    client: type[Any], respond: Respond, folder: Path, *, keeps_target: bool = False, **arguments: Any
) -> Outcome:
    """Download a file with a client of one kind, without any pause between the attempts.

    The file of an earlier download is removed first, as it would stand for one that fails, unless `keeps_target`.
    """
    target = folder / "out.mp4"
    if not keeps_target:
        target.unlink(missing_ok=True)
    usual = {"logger": SilentLogger(), "sleep": lambda _: None, "max_faults": 3, **arguments}
    progress: list[tuple[int, int | None]] = []
    error = None
    try:
        if client is VideoTranslationClient:
            _download(respond, target, progress, usual)
        else:
            asyncio.run(_download_async(respond, target, progress, usual))
    except TranslationClientError as ended:
        error = ended
    file = target.read_bytes() if target.exists() else None
    left = [name for name in os.listdir(folder) if name != target.name]  # noqa: PTH208  # as fast as it can be
    return Outcome(error, file, progress, left)


def _download(respond: Respond, target: Path, progress: list[Any], arguments: Mapping[str, Any]) -> None:
    session = requests.Session()
    session.mount(HOST, _Adapter(respond))
    with session, VideoTranslationClient(HOST, session=session, **arguments) as client:
        client.download(JOB, target, on_progress=lambda *update: progress.append(update))


async def _download_async(respond: Respond, target: Path, progress: list[Any], arguments: Mapping[str, Any]) -> None:
    async with (
        aiohttp.ClientSession(connector=_Connector(respond)) as session,
        AsyncVideoTranslationClient(HOST, session=session, **arguments) as client,
    ):
        await client.download(JOB, target, on_progress=lambda *update: progress.append(update))


class _Adapter(BaseAdapter):
    """Reads responses as requests does, by http.client and urllib3."""

    def __init__(self, respond: Respond) -> None:
        super().__init__()
        self._respond = respond
        self._builder = HTTPAdapter()

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        headers = CaseInsensitiveDict({name: _text(value) for name, value in request.headers.items()})
        sock = _Socket(self._respond(headers))
        connection: Any = SimpleNamespace(sock=sock, close=lambda: None)
        response: Any = MatchedResponse(connection, sock, 0, request.method)
        try:
            response.begin()
        except (OSError, HTTPException) as error:
            response.close()
            raise requests.ConnectionError(error, request=request) from error
        return self._builder.build_response(request, _to_urllib3(request, response))

    def close(self) -> None:
        pass


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


class _Socket:
    """All that http.client wants of a socket."""

    def __init__(self, response: Raw) -> None:
        self._response = response

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_Arriving(self._response))


class _Arriving(io.RawIOBase):
    def __init__(self, response: Raw) -> None:
        super().__init__()
        self._blocks = response.arriving()
        self._is_reset = response.is_reset
        self._block = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._block:
            block = next(self._blocks, None)
            if block is None:
                if self._is_reset:
                    raise ConnectionResetError(ECONNRESET, os.strerror(ECONNRESET))
                return 0
            self._block = block
        size = min(len(buffer), len(self._block))
        buffer[:size], self._block = self._block[:size], self._block[size:]
        return size


class _Connector(aiohttp.BaseConnector):
    """Makes connections that a function answers."""

    def __init__(self, respond: Respond) -> None:
        super().__init__(force_close=True)
        self._respond = respond

    async def _create_connection(self, *_: Any, **__: Any) -> ResponseHandler:
        protocol = ResponseHandler(asyncio.get_running_loop())
        protocol.connection_made(_Transport(protocol, self._respond))
        return protocol


class _Transport(asyncio.Transport):
    """Hands over one block in each round of the event loop."""

    def __init__(self, protocol: ResponseHandler, respond: Respond) -> None:
        super().__init__()
        self._protocol = protocol
        self._respond = respond
        self._request = b""
        self._left: Iterator[bytes] | None = None
        self._is_reset = False
        self._is_paused = self._is_closed = False
        self._loop = asyncio.get_running_loop()

    def write(self, data: Any) -> None:
        self._request += bytes(data)
        if self._left is None and self._request.endswith(b"\r\n\r\n"):
            lines = (line.partition(": ") for line in self._request.decode("latin-1").split("\r\n")[1:-2])
            response = self._respond(CaseInsensitiveDict({name: value for name, _, value in lines}))
            self._left, self._is_reset = response.arriving(), response.is_reset
            self._loop.call_soon(self._go_on)

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def _go_on(self) -> None:
        if self._is_closed or self._is_paused or self._left is None:
            return
        block = next(self._left, None)
        if block is None:
            self._end(ConnectionResetError(ECONNRESET, os.strerror(ECONNRESET)) if self._is_reset else None)
            return
        if block:
            self._protocol.data_received(block)
        self._loop.call_soon(self._go_on)

    def _end(self, error: Exception | None) -> None:
        if not self._is_closed:
            self._is_closed = True
            if error is None:
                self._protocol.eof_received()
            self._protocol.connection_lost(error)

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._loop.call_soon(self._go_on)

    def is_closing(self) -> bool:
        return self._is_closed

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default
