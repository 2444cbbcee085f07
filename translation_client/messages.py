"""What travels between a service and the transport: a request value one way, an answer value the other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """A request as a service words it: `path` begins with a slash and is percent-encoded."""

    method: str
    path: str


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, read to its end.

    Attributes:
        status_code: The HTTP status.
        headers: The headers; looked up in any case.
        body: The body with its content coding undone, in bytes.
        seconds: How long the call took.
    """

    status_code: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    seconds: float = 0.0

    def json_object(self) -> dict[str, Any] | None:
        """Read the body as a JSON object; None if it is not one."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):  # bad JSON, bad UTF-8, a number of a million digits; a million brackets
            return None
        return value if isinstance(value, dict) else None

    @property
    def text(self) -> str:
        """The body as text, with what is not UTF-8 replaced."""
        return self.body.decode("utf-8", "replace")
