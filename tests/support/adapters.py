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
        told: The other arguments of each `send`.
    """

    never_retries = True

    def __init__(self, answer: Callable[[requests.PreparedRequest], requests.Response]) -> None:
        super().__init__()
        self.requests: list[requests.PreparedRequest] = []
        self.told: list[dict[str, Any]] = []
        self._answer = answer

    def send(self, request: requests.PreparedRequest, *_: Any, **told: Any) -> requests.Response:
        self.requests.append(request)
        self.told.append(told)
        answered = self._answer(request)
        answered.request = request  # as requests' own adapter does
        return answered

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
