"""What all dialects share: what a dialect is, and how its routes read requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import SEEK_END
from typing import Any

from flask import Blueprint, request

from ..desk import Desk, Refused, Voice
from ..lab import Lab
from ..notation import from_json

BEARER = "Authorization"


@dataclass(frozen=True)
class Dialect:
    """How a service speaks.

    Attributes:
        voice: How it words what goes wrong.
        routes: Makes its routes, which hand their answers out at a desk.
        key_headers: Where it takes a key; of `Authorization` a bearer's.
        needs_key: Whether it asks for a key also where the scenario names none.
    """

    voice: Voice
    routes: Callable[[Desk], Blueprint]
    key_headers: tuple[str, ...]
    needs_key: bool = True

    def admits(self, lab: Lab) -> bool:
        """Whether the request that is being answered carries a key that is accepted."""
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
    """The body of the request, which is to be a JSON object.

    Raises:
        Refused: It is none.
    """
    try:
        value = from_json(request.get_data(as_text=True))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refused(voice.error(400, "the body is to be a JSON object"))
    return value


def form_fields() -> dict[str, Any]:
    """The form in the body of the request; a file in it is `file`, its name, and `file_bytes`, its length."""
    # A text that is called like an upload is none.
    fields: dict[str, Any] = {name: text for name, text in request.form.items() if name not in ("file", "file_bytes")}
    upload = request.files.get("file")
    if upload is not None:
        fields |= {"file": upload.filename, "file_bytes": upload.stream.seek(0, SEEK_END)}
    return fields
