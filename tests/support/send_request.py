"""Send one request with the blocking transport."""

from __future__ import annotations

from typing import Any

from support.hostile_server import Handler, answering, http
from translation_client._clock import Deadline
from translation_client._models import Request, Response
from translation_client._transports.base import TransportConfig, run_sync
from translation_client._transports.requests import RequestsTransport

STATUS = Request("GET", "/status")


def send(url: str, **arguments: Any) -> Response:
    """Send a status request on a new transport."""
    more = {"max_body_bytes": arguments.pop("max_body_bytes")} if "max_body_bytes" in arguments else {}
    whole: dict[str, Any] = {"user_agent": "test/1", "headers": {}, "request_timeout": 60, **arguments}
    transport = RequestsTransport(TransportConfig(url, **whole), **more)
    try:
        return run_sync(transport.send(STATUS, Deadline.after(60), lambda: False, new_connection=False))
    finally:
        transport.close()


def redirecting(target: str) -> Handler:
    return answering(http("302 Found", b"", f"Location: {target}"))


def headers_of(request: bytes) -> dict[str, str]:
    lines = request.decode("latin-1").split("\r\n")[1:-2]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
