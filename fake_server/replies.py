"""Responses as values, with faults of their content. `wire.py` has their delivery."""

from __future__ import annotations

import json
import re
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import cache

from .faults import Fault
from .media import Noise

HTML_PAGE = "<!doctype html><html><body><h1>Welcome to the proxy</h1></body></html>"

LOOP_PATH = "/_loop"
"""A path that redirects to itself."""

UNKNOWN_WORD = "polishing"

BOMB_BYTES = 64 * 1024 * 1024
"""The unpacked size of the gzip bomb. Packed it is a thousandth of that."""

INVALID_GZIP = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x07"
"""A gzip header (RFC 1952, section 2.3), and a block of the reserved type (RFC 1951, section 3.2.3)."""

DEFAULT_STATUS_CODE = 503
"""The status code of an `answer` fault that has none."""

_DATE = re.compile(r"\{date([+-]\d{1,9})\}")

Headers = tuple[tuple[str, str], ...]
Body = bytes | Noise
Parts = tuple[bytes | Iterator[bytes], int, list[tuple[str, str]]]


@dataclass(frozen=True)
class Reply:
    """A complete HTTP response."""

    status_code: int
    headers: Headers
    body: Body

    @property
    def parts(self) -> Parts:
        """Body, status and headers, as a Flask view returns them."""
        if isinstance(self.body, bytes):
            return self.body, self.status_code, list(self.headers)
        return self.body.blocks(), self.status_code, [*self.headers, ("Content-Length", str(len(self.body)))]

    def with_headers(self, headers: Iterable[tuple[str, str]]) -> Reply:
        """Return a copy with these headers, which replace those of the same name."""
        added = tuple(headers)
        kept = self.without(*(name for name, _ in added))
        return replace(kept, headers=(*kept.headers, *added))

    def without(self, *names: str) -> Reply:
        """Return a copy without these headers."""
        gone = {name.lower() for name in names}
        return replace(self, headers=tuple(one for one in self.headers if one[0].lower() not in gone))


def json_reply(value: object, status_code: int = 200) -> Reply:
    """Return a JSON response."""
    body = json.dumps(value).encode() + b"\n"
    return Reply(status_code, (("Content-Type", "application/json"),), body)


def redirect(location: str) -> Reply:
    """Return a redirect."""
    return Reply(302, (("Location", location),), b"")


def code_of(fault: Fault) -> int:
    """Return the status code of the error that an `answer` fault sends."""
    return DEFAULT_STATUS_CODE if fault.status_code is None else fault.status_code


def spoiled(usual: Reply, fault: Fault, url: str, own: Mapping[str, Reply]) -> Reply:
    """Return the response with a fault of its content.

    Args:
        usual: The response without the fault.
        fault: The fault.
        url: The absolute URL of the request.
        own: The service's own responses by action. `usual` is sent for other actions.
    """
    said = _SAYS[fault.action](usual, url) if fault.action in _SAYS else own.get(fault.action, usual)
    if fault.body is not None:
        said = replace(said, body=fault.body.encode())
    if fault.status_code is not None:
        said = replace(said, status_code=fault.status_code)
    return said.with_headers((name, _dated(value)) for name, value in fault.headers.items())


def _dated(value: str) -> str:
    return _DATE.sub(lambda match: formatdate(time.time() + int(match[1]), usegmt=True), value)


def _packed(usual: Reply, body: Body) -> Reply:
    return replace(usual.with_headers([("Content-Encoding", "gzip")]), body=body)


@cache
def gzip_bomb() -> bytes:
    """Return a body that unpacks to `BOMB_BYTES` of zeros. Built once."""
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    block = bytes(1024 * 1024)
    return b"".join(packer.compress(block) for _ in range(BOMB_BYTES // len(block))) + packer.flush()


def elsewhere(url: str) -> str:
    """Return the URL of the same path at another origin: the other name of loopback, else a subdomain."""
    start, _, rest = url.partition("://")
    for one, other in (("127.0.0.1", "localhost"), ("localhost", "127.0.0.1")):
        if re.match(rf"{re.escape(one)}(?=[:/?]|$)", rest):
            return f"{start}://{other}{rest[len(one) :]}"
    return f"{start}://elsewhere.{rest}"


_SAYS: dict[str, Callable[[Reply, str], Reply]] = {
    "html": lambda *_: Reply(200, (("Content-Type", "text/html; charset=utf-8"),), HTML_PAGE.encode()),
    "invalid-json": lambda usual, _: replace(usual, body=b'{"result": "comp'),
    "wrong-shape": lambda *_: json_reply([{"result": 1}]),
    "redirect-loop": lambda *_: redirect(LOOP_PATH),
    "redirect-away": lambda _, url: redirect(elsewhere(url)),
    "gzip-bomb": lambda usual, _: _packed(usual, gzip_bomb()),
    "invalid-gzip": lambda usual, _: _packed(usual, INVALID_GZIP + bytes(usual.body)),
}
