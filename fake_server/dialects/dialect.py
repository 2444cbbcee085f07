"""The base of the dialects: their class, and functions that parse requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import SEEK_END
from typing import Any

from flask import Blueprint, request

from ..fault_syntax import parse_json
from ..lab import Lab
from ..responder import ErrorResponses, RequestRejected, Responder

AUTHORIZATION = "Authorization"


@dataclass(frozen=True)
class Dialect:
    """The API of a service.

    Attributes:
        errors: The error responses.
        make_blueprint: Builds the blueprint of its routes.
        key_headers: The headers that may hold the key. In `Authorization` it is a bearer token.
        needs_key: True if a request needs a key even if the scenario names none.
    """

    errors: ErrorResponses
    make_blueprint: Callable[[Responder], Blueprint]
    key_headers: tuple[str, ...]
    needs_key: bool = True

    def has_valid_key(self, lab: Lab) -> bool:
        """True if the current request has a valid key."""
        valid_key = lab.scenario.api_key
        keys = [key for header in self.key_headers if (key := _key_in(header))]
        return valid_key in keys if valid_key is not None else bool(keys) or not self.needs_key


def _key_in(header: str) -> str:
    value = request.headers.get(header, "")
    if header != AUTHORIZATION:
        return value
    scheme, _, token = value.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def json_fields(errors: ErrorResponses) -> dict[str, Any]:
    """Return the JSON object in the body of the current request.

    Raises:
        RequestRejected: The body is not a JSON object.
    """
    try:
        value = parse_json(request.get_data(as_text=True))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise RequestRejected(errors.error(400, "the body must be a JSON object"))
    return value


def form_fields() -> dict[str, Any]:
    """Return the form in the body of the current request. An upload is `file`, its name, and `file_bytes`, its size."""
    # A text field must not be taken for an upload.
    fields: dict[str, Any] = {name: text for name, text in request.form.items() if name not in ("file", "file_bytes")}
    upload = request.files.get("file")
    if upload is not None:
        fields |= {"file": upload.filename, "file_bytes": upload.stream.seek(0, SEEK_END)}
    return fields
