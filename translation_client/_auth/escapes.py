"""Escapes in text: percent-encoding, backslashes of JSON, and entities of HTML, also several times over."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

MAX_LAYERS = 4
"""How often a text is unescaped: JSON in JSON in HTML, and one more. A pass takes time in proportion to its length."""

_ENTITY = "&(?:#[0-9]{1,7}|#[Xx][0-9A-Fa-f]{1,6}|[A-Za-z]{2,32});"
_ESCAPE = (  # each part has a bounded length, so that no text makes the search slow
    r"%[CcDd][0-9A-Fa-f]%[89ABab][0-9A-Fa-f]"
    r"|%[Ee][0-9A-Fa-f](?:%[89ABab][0-9A-Fa-f]){2}"
    r"|%[Ff][0-7](?:%[89ABab][0-9A-Fa-f]){3}"
    r"|%[0-9A-Fa-f]{2}"
    rf"|\\(?:u[0-9A-Fa-f]{{4}}|x[0-9A-Fa-f]{{2}}|(?!{_ENTITY}).)"  # JSON in HTML writes an escaped quote as `\&quot;`
    rf"|{_ENTITY}"
)

_CONTROL_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}  # RFC 8259, section 7


@cache
def _escape() -> re.Pattern[str]:
    return re.compile(_ESCAPE, re.DOTALL)  # not at import


@cache
def _names() -> Mapping[str, str]:
    from html.entities import html5  # takes longer to import than this module

    return html5


def may_hold_escapes(text: str) -> bool:
    """Return True if a text contains a character that starts an escape."""
    return "%" in text or "\\" in text or "&" in text


def unescaped_once(text: str) -> str:
    """Replace each escape by its meaning. Escapes that this produces are left."""
    return _escape().sub(_meaning, text) if may_hold_escapes(text) else text


def layers_of(text: str) -> Iterator[str]:
    """Yield a text unescaped once, twice and so on, until nothing changes."""
    for _ in range(MAX_LAYERS):
        unescaped = unescaped_once(text)
        if unescaped == text:
            return
        yield unescaped
        text = unescaped


def holds_escaped(values: Iterable[str], text: str) -> bool:
    """Return True if a text contains one of the values with at least one character escaped."""
    return any(value in layer for layer in layers_of(text) for value in values)


def spans_of_escaped(values: Iterable[str], text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each value in a text, at least one character of which is escaped."""
    layer, positions = text, list(range(len(text) + 1))
    for unescaped in layers_of(text):
        layer, positions = unescaped, _mapped_positions(layer, positions)
        for value in values:
            at = layer.find(value)
            while at >= 0:
                yield positions[at], _end_of(positions, at + len(value))
                at = layer.find(value, at + 1)


def _end_of(positions: list[int], end: int) -> int:
    """Return the position after a part of a layer. The last characters of the part may share an escape with later ones."""
    while end < len(positions) - 1 and positions[end] == positions[end - 1]:
        end += 1
    return positions[end]


def _mapped_positions(layer: str, positions: list[int]) -> list[int]:
    """Return the position in the text of each character of a layer after unescaping, and the end of the text."""
    moved: list[int] = []
    end = 0
    for escape in _escape().finditer(layer):
        moved += positions[end : escape.start()]
        moved += [positions[escape.start()]] * len(_meaning(escape))
        end = escape.end()
    return moved + positions[end:]


def _meaning(escape: re.Match[str]) -> str:
    """Return what an escape stands for: at least one character."""
    text = escape[0]
    if text[0] == "%":
        encoded = bytes.fromhex(text.replace("%", ""))
        try:
            return encoded.decode()
        except UnicodeDecodeError:
            return encoded.decode("latin-1")
    if text[0] == "\\":
        return chr(int(text[2:], 16)) if len(text) > 2 else _CONTROL_ESCAPES.get(text[1], text[1])
    if text[1] == "#":
        code = int(text[3:-1], 16) if text[2] in "Xx" else int(text[2:-1])
        return chr(code) if code <= sys.maxunicode else text
    return _names().get(text[1:], text)
