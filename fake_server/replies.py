"""Responses as values, and faults of their content. `wire.py` turns them into bytes."""

from __future__ import annotations

import json
import re
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import cache

from .faults import Fault
from .media import MediaBytes

HTML_PAGE = "<!doctype html><html><body><h1>Welcome to the proxy</h1></body></html>"

LOOP_PATH = "/_loop"
"""A path that redirects to itself."""

BOMB_BYTES = 64 * 1024 * 1024
"""The uncompressed size of the gzip bomb. Compressed, it is a thousandth of that."""

INVALID_GZIP = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x07"
"""A gzip header (RFC 1952, section 2.3), and a block of the reserved type (RFC 1951, section 3.2.3)."""

DEFAULT_STATUS_CODE = 503
"""The status code of the action `answer` if the fault has none."""

_DATE = re.compile(r"\{date([+-]\d{1,9})\}")

Headers = tuple[tuple[str, str], ...]
Body = bytes | MediaBytes
ResponseTuple = tuple[bytes | Iterator[bytes], int, list[tuple[str, str]]]


@dataclass(frozen=True)
class Reply:
    """A complete HTTP response."""

    status_code: int
    headers: Headers
    body: Body

    def as_tuple(self) -> ResponseTuple:
        """Return the body, the status code and the headers, as a Flask view returns them."""
        if isinstance(self.body, bytes):
            return self.body, self.status_code, list(self.headers)
        return self.body.blocks(), self.status_code, [*self.headers, ("Content-Length", str(len(self.body)))]

    def with_headers(self, headers: Iterable[tuple[str, str]]) -> Reply:
        """Return a copy with these headers, which replace those of the same name."""
        new = tuple(headers)
        others = self.without_headers(*(name for name, _ in new)).headers
        return replace(self, headers=(*others, *new))

    def without_headers(self, *names: str) -> Reply:
        """Return a copy without these headers."""
        lowered = {name.lower() for name in names}
        return replace(self, headers=tuple(header for header in self.headers if header[0].lower() not in lowered))


def json_reply(value: object, status_code: int = 200) -> Reply:
    """Return a JSON response."""
    body = json.dumps(value).encode() + b"\n"
    return Reply(status_code, (("Content-Type", "application/json"),), body)


def redirect(location: str) -> Reply:
    """Return a redirect."""
    return Reply(302, (("Location", location),), b"")


def error_code_of(fault: Fault) -> int:
    """Return the status code of the error that the action `answer` sends."""
    return DEFAULT_STATUS_CODE if fault.status_code is None else fault.status_code


def apply_content_fault(reply: Reply, fault: Fault, url: str, error: Reply) -> Reply:
    """Return the response with a fault of its content.

    Args:
        reply: The response without the fault.
        fault: The fault.
        url: The absolute URL of the request.
        error: The response for `answer`: an error of the service.
    """
    build = _CONTENT_FAULTS.get(fault.action)
    faulty = error if fault.action == "answer" else reply if build is None else build(reply, url)
    if fault.body is not None:
        faulty = replace(faulty, body=fault.body.encode())
    if fault.status_code is not None:
        faulty = replace(faulty, status_code=fault.status_code)
    return faulty.with_headers((name, _expand_dates(value)) for name, value in fault.headers.items())


def _expand_dates(value: str) -> str:
    return _DATE.sub(lambda match: formatdate(time.time() + int(match[1]), usegmt=True), value)


def _gzipped(reply: Reply, body: Body) -> Reply:
    return replace(reply.with_headers([("Content-Encoding", "gzip")]), body=body)


@cache
def gzip_bomb() -> bytes:
    """Return a body that decompresses to `BOMB_BYTES` of zeros. Built once."""
    compressor = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    block = bytes(1024 * 1024)
    return b"".join(compressor.compress(block) for _ in range(BOMB_BYTES // len(block))) + compressor.flush()


def other_origin(url: str) -> str:
    """Return the URL of the same path at another origin: the other name of loopback, else the host below `elsewhere.`."""
    scheme, _, rest = url.partition("://")
    for host, other_host in (("127.0.0.1", "localhost"), ("localhost", "127.0.0.1")):
        if re.match(rf"{re.escape(host)}(?=[:/?]|$)", rest):
            return f"{scheme}://{other_host}{rest[len(host) :]}"
    return f"{scheme}://elsewhere.{rest}"


_CONTENT_FAULTS: dict[str, Callable[[Reply, str], Reply]] = {
    "html": lambda *_: Reply(200, (("Content-Type", "text/html; charset=utf-8"),), HTML_PAGE.encode()),
    "invalid-json": lambda reply, _: replace(reply, body=b'{"result": "comp'),
    "wrong-shape": lambda *_: json_reply([{"result": 1}]),
    "redirect-loop": lambda *_: redirect(LOOP_PATH),
    "redirect-away": lambda _, url: redirect(other_origin(url)),
    "gzip-bomb": lambda reply, _: _gzipped(reply, gzip_bomb()),
    "invalid-gzip": lambda reply, _: _gzipped(reply, INVALID_GZIP + bytes(reply.body)),
}
