"""An adapter of requests that calls a function, and responses made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests

BASE_URL = "http://fake.test"


class FunctionAdapter(requests.adapters.BaseAdapter):
    """An adapter that calls a function for each request, and returns its response or raises its exception.

    Attributes:
        requests: The requests so far.
        send_arguments: The other arguments of each `send`.
    """

    never_retries = True

    def __init__(self, respond: Callable[[requests.PreparedRequest], requests.Response]) -> None:
        super().__init__()
        self.requests: list[requests.PreparedRequest] = []
        self.send_arguments: list[dict[str, Any]] = []
        self._respond = respond

    def send(self, request: requests.PreparedRequest, *_: Any, **arguments: Any) -> requests.Response:
        self.requests.append(request)
        self.send_arguments.append(arguments)
        received = self._respond(request)
        received.request = request  # as requests' own adapter does
        return received

    def close(self) -> None:
        pass


def response(status_code: int = 200, body: bytes = b'{"result": "pending"}', **headers: str) -> requests.Response:
    """Return a response. `retry_after="3"` is its header `Retry-After`."""
    made = requests.Response()
    made.status_code = status_code
    made.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    made._content = body
    made.url = f"{BASE_URL}/status"
    return made
