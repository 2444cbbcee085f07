"""What travels between a service and the transport: a request value one way, an answer value the other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from .json_values import MAX_DEPTH, is_nested_deeper


class FilePart(NamedTuple):
    """A local file that goes along in a form.

    Attributes:
        field: What the form calls it.
        path: Where it lies.
    """

    field: str
    path: Path


@dataclass(frozen=True)
class Request:
    """A request as a service words it. Its body is `json`, or a form of `form` and `file`, or nothing.

    Attributes:
        method: In capitals.
        path: Begins with a slash, is percent-encoded and follows the base URL; or an absolute URL.
        headers: Beside the key and what all requests have.
        json: A JSON value.
        form: The fields of a `multipart/form-data` body, of which several may have one name.
        file: Its file; sent as it is read, and never held in memory.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    json: Any = field(default=None, repr=False, hash=False)
    form: Sequence[tuple[str, str]] | None = field(default=None, repr=False)
    file: FilePart | None = None

    @property
    def is_transfer(self) -> bool:
        """Whether it carries a file, which may take any time as long as it moves."""
        return self.file is not None


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, read to its end.

    Attributes:
        status_code: The HTTP status.
        headers: The headers; looked up in any case.
        body: The body with its content coding undone, in bytes.
        seconds: How long the call took.
        sent_keys: The key that the request carried, in the forms in which the response may echo it; empty if the key
            never changes.
    """

    status_code: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    seconds: float = 0.0
    sent_keys: tuple[str, ...] = field(default=(), repr=False)

    def json_object(self) -> dict[str, Any] | None:
        """Return the body as a JSON object; None if it is not one, or is nested too deeply to be copied or pickled."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):  # bad JSON, bad UTF-8, a number of a million digits; a million brackets
            return None
        has_many_levels = self.body.count(b"{") + self.body.count(b"[") > MAX_DEPTH  # which most bodies cannot have
        if not isinstance(value, dict) or (has_many_levels and is_nested_deeper(value)):
            return None
        return value

    @property
    def text(self) -> str:
        """The body as text, in the coding by which JSON is read too: UTF-8, 16 or 32. What is none of it is replaced."""
        return self.body.decode(json.detect_encoding(self.body), "replace")
