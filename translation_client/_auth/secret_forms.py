"""The forms in which a server may echo a secret: percent-encoded, in base64, as JSON, in HTML, in another charset."""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable
from itertools import chain
from urllib.parse import quote, quote_plus

from .escapes import layers_of

WHOLE_WORD_LENGTH = 8
"""A shorter secret may be a part of a word by chance. As a header's value it is only redacted as a whole word."""


def forms_of(value: str) -> set[str]:
    from html import escape  # imported only if there are secrets

    return {
        *_readings_of(value),
        *(form for sent in _encodings_of(value) for form in (*_percent_forms(sent), *_base64_of(sent))),
        escape(value),
        json.dumps(value)[1:-1],
        json.dumps(value)[1:-1].replace("/", "\\/"),
        json.dumps(value, ensure_ascii=False)[1:-1],
        "\0".join(value),  # UTF-16 in a text that is read as UTF-8
        "\0\0\0".join(value),  # UTF-32
    }


def escapable_forms(values: Iterable[str]) -> tuple[str, ...]:
    """Return the values, also unescaped and with `+` for blanks, without short plain words.

    A text may hold them half escaped, or escaped twice. A value that looks escaped itself is unescaped with it. In
    base64, `+`, `/` and `=` are escaped.
    """
    values = [value for value in values if value]
    read = dict.fromkeys(form for value in values for form in (*_readings_of(value), *layers_of(value)))
    plain = (form for layer in read for form in (layer, layer.replace(" ", "+")))
    every = dict.fromkeys(chain(plain, *(_base64_of(sent) for value in values for sent in _encodings_of(value))))
    return tuple(form for form in every if len(form) >= WHOLE_WORD_LENGTH or not re.fullmatch(r"\w*", form, re.ASCII))


def _encodings_of(value: str) -> tuple[bytes, ...]:
    """Return a value in the bytes in which it may be sent: UTF-8 as in user information, Latin-1 as in a header."""
    utf_8, latin_1 = value.encode("utf-8", "surrogateescape"), value.encode("latin-1", "xmlcharrefreplace")
    return (utf_8,) if utf_8 == latin_1 else (utf_8, latin_1)


def _readings_of(value: str) -> tuple[str, ...]:
    """Return a value as servers may read its bytes: as they were meant, or UTF-8 as Latin-1, or the other way round."""
    if value.isascii():
        return (value,)
    utf_8, latin_1 = _encodings_of(value)
    return (
        value,
        utf_8.decode("latin-1"),
        utf_8.decode("cp1252", "replace"),  # what browsers take for Latin-1 (WHATWG Encoding Standard, section 4.2)
        latin_1.decode("utf-8", "replace"),
    )


def _percent_forms(value: bytes) -> set[str]:
    all_escaped = quote(value, safe="")
    lower = re.sub("%..", lambda code: code[0].lower(), all_escaped)
    return {all_escaped, lower, quote(value), quote_plus(value)}


def _base64_of(value: bytes) -> set[str]:
    """Return a value in base64: whole, and unless it is short, also without padding and as a part of a longer text."""
    encoded = {b64encode(value).decode(), urlsafe_b64encode(value).decode()}
    if len(value) < WHOLE_WORD_LENGTH:
        return encoded | {form.replace("+", " ") for form in encoded}
    parts = set()
    for before in range(3):  # the bytes before it, modulo 3
        first, behind = -(-8 * before // 6), 8 * (before + len(value)) // 6  # the digits whose six bits are all its own
        for encoding in (b64encode, urlsafe_b64encode):
            parts.add(encoding(bytes(before) + value).decode()[first:behind])
    forms = encoded | {form.rstrip("=") for form in encoded} | parts
    return forms | {form.replace("+", " ") for form in forms}  # as `parse_qsl` does
