"""The framing of a response by its status and headers: interim responses, length and transfer codings of the body."""

from __future__ import annotations

from collections.abc import Mapping

from .._models import Fault, header_lines

MAX_LINE_BYTES = 65536
"""The longest line of a response's head, and before a chunk, as in http.client."""

MAX_LENGTH_DIGITS = 18
"""More digits than the length of any body has. Python refuses to convert thousands of digits."""

NO_BODY_CODES = (204, 304)
"""A response with one of these has no body, whatever its headers say (RFC 9112, section 6.3)."""

NO_CODING: tuple[list[str], ...] = ([], ["identity"])
"""The transfer codings of a body that is sent as it is."""

CHUNKED_TWICE = ["chunked", "chunked"]
"""The transfer codings if application and proxy name chunked, but it is applied once (RFC 9112, section 6.1)."""


class UnreadableBody(Exception):
    """The body of a response cannot be read: too long, too short, encoded unreadably, or of uncertain length."""


def header_values(headers: Mapping[str, str], name: str) -> list[str]:
    """Return the members of a list header that may be sent several times (RFC 9110, section 5.6.1)."""
    if name not in headers:
        return []  # the most frequent case
    lines = ",".join(header_lines(headers, name))
    return [member for member in map(str.strip, lines.split(",")) if member]


def transfer_codings(headers: Mapping[str, str]) -> list[str]:
    """Return the codings of `Transfer-Encoding` in lower case."""
    codings = header_values(headers, "Transfer-Encoding")
    return [coding.lower() for coding in codings] if codings else codings


def content_length(headers: Mapping[str, str]) -> int | None:
    """Return the length of the encoded body, or None if none is sent, or if a `Transfer-Encoding` overrides it.

    Raises:
        UnreadableBody: `Content-Length` is not a number below 10¹⁸, or several differ (RFC 9112, section 6.3).
    """
    return _length_without_coding(headers) if transfer_codings(headers) in NO_CODING else None


def _length_without_coding(headers: Mapping[str, str]) -> int | None:
    lengths = header_values(headers, "Content-Length")
    if not lengths:
        return None
    if len(lengths) > 1 and len({value.lstrip("0") for value in lengths}) > 1:
        raise UnreadableBody("the response has several Content-Length headers that differ")
    length = lengths[0].lstrip("0") or "0"
    if not (length.isascii() and length.isdecimal()) or len(length) > MAX_LENGTH_DIGITS:
        raise UnreadableBody("the Content-Length of the response is not a length")
    return int(length)


def checked_content_length(headers: Mapping[str, str], *, allow_chunked_twice: bool) -> int | None:
    """Return the length as `content_length` does, for a body that is chunked or has no transfer coding.

    Args:
        headers: The headers of the response.
        allow_chunked_twice: True if the HTTP library decodes chunks although the headers name chunked twice.

    Raises:
        UnreadableBody: The length is invalid, or there is another transfer coding, which no `TE` asked for and
            http.client does not decode (RFC 9112, sections 6.1 and 7.4).
    """
    codings = transfer_codings(headers)
    if codings in NO_CODING:
        return _length_without_coding(headers)
    if codings != ["chunked"] and not (allow_chunked_twice and codings == CHUNKED_TWICE):
        raise UnreadableBody("the body has a transfer coding other than chunked")
    return None


def announces_body(status_code: int, headers: Mapping[str, str]) -> bool:
    """Return True if the headers state a body that the response must not have, but whose bytes may follow.

    Args:
        status_code: One of `NO_BODY_CODES`.
        headers: The headers. A 304 may state the length of the body of a 200 (RFC 9110, section 8.6).
    """
    try:
        return bool(header_values(headers, "Transfer-Encoding")) or (
            bool(content_length(headers)) and status_code != 304
        )
    except UnreadableBody:
        return True


def too_long_error(max_bytes: int) -> UnreadableBody:
    """Return the error for a body of more than `max_bytes`."""
    return UnreadableBody(f"the body is longer than {max_bytes} bytes")


MAX_INTERIM_RESPONSES = 100
"""The most 1xx responses before the final one. A server that sends more is taken to send no final one."""

SWITCHING_PROTOCOLS = 101
"""A final status: what follows it is not HTTP (RFC 9110, section 15.2.2)."""


def is_interim(status_code: int) -> bool:
    """True for a 1xx response that a final one follows (RFC 9110, section 15.2)."""
    return 100 <= status_code < 200 and status_code != SWITCHING_PROTOCOLS


def too_many_interim_responses() -> Fault:
    """Return the fault for too many 1xx responses before the final one."""
    return Fault("unreadable", f"more than {MAX_INTERIM_RESPONSES} interim (1xx) responses")
