"""What does the app say to a request? One call of a WSGI app, and the fault that strikes its answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from werkzeug.test import EnvironBuilder, run_wsgi_app

from .faults import Fault
from .replies import Reply

STRIKE_KEY = "fake_server.strike"
"""Where whoever calls the app puts a function that takes the fault below HTTP: a WSGI app cannot play it."""


class Asked(NamedTuple):
    """A request, read to its end.

    Attributes:
        method: In capitals.
        target: Path and query, as they were sent.
        headers: By name; `Host` among them.
        body: In bytes.
    """

    method: str
    target: str
    headers: Iterable[tuple[str, str]]
    body: bytes


def exchange(app: Any, asked: Asked) -> tuple[Reply, Fault | None]:
    """Have any WSGI app answer, and say what goes wrong with the delivery."""
    struck: list[Fault] = []
    # More slashes at the beginning would make a host of what follows them.
    builder = EnvironBuilder(
        "/" + asked.target.lstrip("/"), method=asked.method, headers=list(asked.headers), data=asked.body
    )
    try:
        environ = {**builder.get_environ(), "REQUEST_URI": asked.target, STRIKE_KEY: struck.append}
    finally:
        builder.close()
    parts, status, headers = run_wsgi_app(app, environ, buffered=True)
    reply = Reply(int(status.split()[0]), tuple(headers.items()), b"".join(parts))
    return reply, next(iter(struck), None)
