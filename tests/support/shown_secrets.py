"""Echoes of a secret in a response, and all texts of an error, which must not have it."""

from __future__ import annotations

import base64
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import requests

from support.hostile_server import http
from translation_client import TranslationClientError
from translation_client._models import Response

HEADER = "h-s3cr3t-9"


ECHOES: dict[str, Callable[[str], bytes]] = {
    "as it is": lambda secret: secret.encode(),
    "as JSON": lambda secret: json.dumps({"result": secret, "error": {"message": [secret], secret: 1}}).encode(),
    "as JSON with everything escaped": lambda secret: (
        b'{"result": "x", "detail": "' + b"".join(b"\\u%04x" % ord(letter) for letter in secret) + b'"}'
    ),
    "as the status word": lambda secret: json.dumps({"result": f"bad {secret}", "error": secret}).encode(),
    "percent-encoded": lambda secret: quote(secret, safe="").encode(),
    "in base64": lambda secret: base64.b64encode(secret.encode()),
    "as a line that breaks HTTP": lambda secret: b"HTTP/1.1 " + secret.encode() + b" OK\r\n\r\n",
    "in a long page": lambda secret: b"<p>" + b"x" * 190 + secret.encode() + b"x" * 1000,
}


def shown_texts(error: BaseException) -> str:
    """Return messages, reprs, attributes, causes and contexts, as an error tracker would send them, also after pickling.

    Requests and responses that are attributes are included. Data is not: the job in the facts has the payload as the
    service sent it.
    """
    text = "".join(traceback.format_exception(error)) + logging.Formatter().formatException(
        (type(error), error, error.__traceback__)
    )
    again = pickle.loads(pickle.dumps(error))
    return text + "".join(map(texts_without_causes, causes_and_contexts(error))) + repr(again) + str(vars(again))


MESSAGES = (requests.PreparedRequest, requests.Response, Response)
"""Their reprs do not show their headers and bodies."""


def texts_without_causes(error: BaseException) -> str:
    """Return the texts of one error alone."""
    held = [repr(vars(value)) for value in vars(error).values() if isinstance(value, MESSAGES)]
    return "".join([repr(error), repr(vars(error)), str(args_without_data(error)), *held])


def causes_and_contexts(error: BaseException) -> list[BaseException]:
    """Return an error and all that is reached from it by `__cause__` and `__context__`, each once."""
    found: dict[int, BaseException] = {}
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop()
        if one is not None and id(one) not in found:
            found[id(one)] = one
            left += [one.__cause__, one.__context__]
    return list(found.values())


def args_without_data(error: BaseException) -> tuple[Any, ...]:
    """Return the arguments of an error, with the error text of a job in place of the job."""
    if not isinstance(error, TranslationClientError):
        return error.args
    message, facts = error.args
    return message, {**facts, "job": facts["job"] and facts["job"]["error"]}


RAW_ECHOES = [
    b"s3cr3t-key {}",
    b"HTTP/1.1 s3cr3t-key OK\r\n\r\n",
    b"HTTP/1.1 401 s3cr3t-key\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ns3cr3t-key\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: s3cr3t-key\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: s3cr3t-key\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/s3cr3t-key?sig=s3cr3t-key\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: s3cr3t-key://x\r\nContent-Length: 0\r\n\r\n",
    http("503 s3cr3t-key", b"s3cr3t-key", "Retry-After: s3cr3t-key"),
    http("200 OK", b'{"result": "pending", "echo": "s3cr3t-key"}'),
]
