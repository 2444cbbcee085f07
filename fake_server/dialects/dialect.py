"""The common part of the dialects: their type, and functions that read requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import SEEK_END
from typing import Any

from flask import Blueprint, request

from ..fault_syntax import parse_json
from ..lab import Lab
from ..responder import Desk, Refused, Voice

BEARER = "Authorization"


@dataclass(frozen=True)
class Dialect:
    """The API of a service.

    Attributes:
        voice: Its error responses.
        routes: Builds its routes, whose responses pass through a desk.
        key_headers: The headers that may hold the key. In `Authorization` it is a bearer token.
        needs_key: True if a request needs a key even if the scenario names none.
    """

    voice: Voice
    routes: Callable[[Desk], Blueprint]
    key_headers: tuple[str, ...]
    needs_key: bool = True

    def admits(self, lab: Lab) -> bool:
        """True if the current request has a valid key."""
        wanted = lab.scenario.api_key
        keys = [key for header in self.key_headers if (key := _key_in(header))]
        return wanted in keys if wanted is not None else bool(keys) or not self.needs_key


def _key_in(header: str) -> str:
    value = request.headers.get(header, "")
    if header != BEARER:
        return value
    kind, _, token = value.partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def json_fields(voice: Voice) -> dict[str, Any]:
    """Return the JSON object in the body of the current request.

    Raises:
        Refused: The body is not a JSON object.
    """
    try:
        value = parse_json(request.get_data(as_text=True))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refused(voice.error(400, "the body is to be a JSON object"))
    return value


def form_fields() -> dict[str, Any]:
    """Return the form in the body of the request. A file in it is `file`, its name, and `file_bytes`, its length."""
    # A text field must not pass for an upload.
    fields: dict[str, Any] = {name: text for name, text in request.form.items() if name not in ("file", "file_bytes")}
    upload = request.files.get("file")
    if upload is not None:
        fields |= {"file": upload.filename, "file_bytes": upload.stream.seek(0, SEEK_END)}
    return fields
