"""The call of a WSGI app in process, and the fault of its response."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from werkzeug.test import EnvironBuilder, run_wsgi_app

from .faults import Fault
from .replies import Reply, json_reply

RESPONSE_CALLBACK_KEY = "fake_server.response_callback"
"""The key in the WSGI environ of a function that is called with a reply and its fault, if any. WSGI cannot send faults
on the wire, repairs faults of the content, and copies long bodies.
"""

MAX_REQUEST_BYTES = 64 * 1024 * 1024
"""The maximum size of a request body."""


class WSGIRequest(NamedTuple):
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


def call_app(app: Any, request: WSGIRequest) -> tuple[Reply, Fault | None]:
    """Call a WSGI app, and return its response and the fault with which to send it."""
    calls: list[tuple[Reply, Fault | None]] = []

    def callback(reply: Reply, fault: Fault | None) -> None:
        calls.append((reply, fault))

    # After two slashes the rest would be parsed as a host.
    builder = EnvironBuilder(
        "/" + request.target.lstrip("/"), method=request.method, headers=list(request.headers), data=request.body
    )
    try:
        environ = {**builder.get_environ(), "REQUEST_URI": request.target, RESPONSE_CALLBACK_KEY: callback}
    finally:
        builder.close()
    chunks, status, headers = run_wsgi_app(app, environ, buffered=True)
    if calls:
        return calls[0]
    return Reply(int(status.split()[0]), tuple(headers.items()), b"".join(chunks)), None


def header_error(headers: Mapping[str, str]) -> Reply | None:
    """Return the error for a request whose body cannot be read because of its headers, or None if it can."""
    if any("\r" in value or "\n" in value for value in headers.values()):
        return json_reply({"error": "a header value must be one line (RFC 9112, section 5.2)"}, 400)
    if "Transfer-Encoding" in headers:
        return json_reply({"error": "Content-Length is required, Transfer-Encoding is not supported"}, 411)
    length = headers.get("Content-Length", "0")
    if not (length.isascii() and length.isdecimal()):
        return json_reply({"error": f"Content-Length must be a number; got {length[:20]!r}"}, 400)
    if len(length) > len(str(MAX_REQUEST_BYTES)) or int(length) > MAX_REQUEST_BYTES:
        return json_reply({"error": f"a request body must not be larger than {MAX_REQUEST_BYTES} bytes"}, 413)
    return None
