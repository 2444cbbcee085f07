"""The headers of a response that say how long its body is, and how it was encoded (RFC 9110 and RFC 9112)."""

from __future__ import annotations

from collections.abc import Mapping

MAX_LENGTH_DIGITS = 18
"""More digits than the length of any body has; Python refuses to convert thousands of them."""

CHUNKED_TWICE = ["chunked", "chunked"]
"""The transfer codings where an application and its proxy both name chunked, which is applied once (RFC 9112, section 6.1)."""


class UnreadableBody(Exception):
    """The body of a response cannot be read: too long, too short, encoded unreadably, or of uncertain length."""


def header_values(headers: Mapping[str, str], name: str) -> list[str]:
    """Return the members of a list header that may be sent several times (RFC 9110, section 5.6.1).

    requests joins repeated headers with commas. aiohttp keeps them apart, and its `get` returns the first alone.
    """
    if name not in headers:
        return []  # the most frequent case
    get_all = getattr(headers, "getall", None)
    lines = [headers.get(name, "")] if get_all is None else get_all(name, [])
    return [member for line in lines for member in map(str.strip, line.split(",")) if member]


def transfer_codings(headers: Mapping[str, str]) -> list[str]:
    """Return the codings of `Transfer-Encoding` in lower case."""
    return [coding.lower() for coding in header_values(headers, "Transfer-Encoding")]


def content_length(headers: Mapping[str, str]) -> int | None:
    """Return the length of the encoded body; None if there is none, or a `Transfer-Encoding`, which overrides it.

    Raises:
        UnreadableBody: `Content-Length` is not a number below 10¹⁸, or there are several that differ (RFC 9112, section 6.3).
    """
    if transfer_codings(headers) not in ([], ["identity"]):
        return None
    lengths = {value.lstrip("0") or "0" for value in header_values(headers, "Content-Length")}
    if not lengths:
        return None
    length = lengths.pop()
    if lengths:
        raise UnreadableBody("the response has several Content-Length headers that differ")
    if not (length.isascii() and length.isdecimal()) or len(length) > MAX_LENGTH_DIGITS:
        raise UnreadableBody("the Content-Length of the response is not a length")
    return int(length)


def require_plain_transfer(headers: Mapping[str, str], *, is_chunked: bool) -> None:
    """Check that the transfer coding is chunked, or that there is none: http.client does not decode any other.

    Args:
        headers: The headers of the response.
        is_chunked: True if the HTTP library reads the body as chunked where the headers name chunked twice.

    Raises:
        UnreadableBody: There is another transfer coding. None was accepted by `TE` (RFC 9112, sections 6.1 and 7.4).
    """
    codings = transfer_codings(headers)
    if codings not in ([], ["identity"], ["chunked"]) and not (is_chunked and codings == CHUNKED_TWICE):
        raise UnreadableBody("the body has a transfer coding other than chunked")


def too_long_error(max_bytes: int) -> UnreadableBody:
    """Return the error for a body of more than `max_bytes`."""
    return UnreadableBody(f"the body is longer than {max_bytes} bytes")
