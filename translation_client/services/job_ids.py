"""The ids of jobs in responses: reading and comparing them."""

from __future__ import annotations

import json
import unicodedata
from typing import Any
from urllib.parse import unquote

from .._config import quote_path_segment
from .._models import MissingField, Response
from .json_path import JSONPath, describe_path, require_text


def written_id(value: Any) -> str | None:
    """Return the id in a response as text, even if it is neither a string nor a number. None if there is none."""
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON does not tell 7.0 from 7 (RFC 8259, section 6)
    return json.dumps(value)


def id_key(job_id: str) -> str:
    """Return a text that is equal for ids which differ only in case or in Unicode normalization."""
    lowered = job_id.lower()
    return lowered if lowered.isascii() else unicodedata.normalize("NFC", lowered)


def is_same_id(named_id: str, requested_id: str) -> bool:
    """Return True if the id in a response, which may be percent-encoded, is the requested id."""
    if named_id == requested_id:
        return True
    return id_key(requested_id) in (id_key(named_id), id_key(unquote(named_id)))


def require_job_id(response: Response, path: JSONPath) -> str:
    """Return the job id that a successful response must have. Raises the same errors as `require_text`."""
    job_id = require_text(response, path)
    try:
        quote_path_segment(job_id)
    except ValueError as error:
        raise MissingField(describe_path(path), response) from error
    if not job_id.isprintable():  # the id is logged and printed to terminals
        raise MissingField(describe_path(path), response)
    return job_id
