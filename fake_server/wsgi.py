"""One call of a WSGI app, and the fault of its response."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from werkzeug.test import EnvironBuilder, run_wsgi_app

from .faults import Fault
from .replies import Reply, json_reply

STRIKE_KEY = "fake_server.strike"
"""The key in the environ of a function that takes a reply and its fault, if any. WSGI cannot play faults below HTTP,
repairs those above it, and copies long bodies.
"""

MAX_REQUEST_BYTES = 64 * 1024 * 1024


class Asked(NamedTuple):
    """A request that was read completely.

    Attributes:
        method: The method in capitals.
        target: The path and query, as sent.
        headers: The headers by name, with `Host`.
        body: The body in bytes.
    """

    method: str
    target: str
    headers: Iterable[tuple[str, str]]
    body: bytes


def exchange(app: Any, asked: Asked) -> tuple[Reply, Fault | None]:
    """Call a WSGI app, and return its response and the fault of the delivery."""
    struck: list[tuple[Reply, Fault | None]] = []

    def strike(reply: Reply, fault: Fault | None) -> None:
        struck.append((reply, fault))

    # After two slashes the rest would be parsed as a host.
    builder = EnvironBuilder(
        "/" + asked.target.lstrip("/"), method=asked.method, headers=list(asked.headers), data=asked.body
    )
    try:
        environ = {**builder.get_environ(), "REQUEST_URI": asked.target, STRIKE_KEY: strike}
    finally:
        builder.close()
    parts, status, headers = run_wsgi_app(app, environ, buffered=True)
    if struck:
        return struck[0]
    return Reply(int(status.split()[0]), tuple(headers.items()), b"".join(parts)), None


def refused_unread(headers: Mapping[str, str]) -> Reply | None:
    """Return the error response to a request whose body must not be read, or None for any other."""
    if any("\r" in value or "\n" in value for value in headers.values()):
        return json_reply({"error": "a header has one line (RFC 9112, section 5.2)"}, 400)
    if "Transfer-Encoding" in headers:
        return json_reply({"error": "a request says how long it is: Content-Length"}, 411)
    length = headers.get("Content-Length", "0")
    if not (length.isascii() and length.isdecimal()):
        return json_reply({"error": f"Content-Length is a number, got {length[:20]!r}"}, 400)
    if len(length) > len(str(MAX_REQUEST_BYTES)) or int(length) > MAX_REQUEST_BYTES:
        return json_reply({"error": f"a request has {MAX_REQUEST_BYTES} bytes at the most"}, 413)
    return None
