"""Search for texts whose characters are escaped, each in its own way: percent-encoded, as in JSON, or as in HTML."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

MAX_LAYERS = 4
"""How often a text is unescaped: JSON in JSON in HTML, and one more. Each time takes time in proportion to its length."""

_ESCAPE = (  # each part is of bounded length, so that no text makes the search slow
    r"%[CcDd][0-9A-Fa-f]%[89ABab][0-9A-Fa-f]"
    r"|%[Ee][0-9A-Fa-f](?:%[89ABab][0-9A-Fa-f]){2}"
    r"|%[Ff][0-7](?:%[89ABab][0-9A-Fa-f]){3}"
    r"|%[0-9A-Fa-f]{2}"
    r"|\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|.)"
    r"|&(?:#[0-9]{1,7}|#[Xx][0-9A-Fa-f]{1,6}|[A-Za-z]{2,32});"
)


@cache
def _escape() -> re.Pattern[str]:
    return re.compile(_ESCAPE, re.DOTALL)  # not for an import


@cache
def _names() -> Mapping[str, str]:
    from html.entities import html5  # takes longer to import than this module

    return html5


def may_hold_escapes(text: str) -> bool:
    """Return True if a text has a character with which an escape begins."""
    return "%" in text or "\\" in text or "&" in text


def unescaped_once(text: str) -> str:
    """Replace each escape by what it stands for. An escape that appears only then is left."""
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
    """Return True if one of some values is in a text in which at least one character is escaped."""
    return any(value in layer for layer in layers_of(text) for value in values)


def without_escaped(values: Iterable[str], text: str, mark: str) -> str:
    """Replace some values, where characters of them are escaped, by a mark."""
    if not holds_escaped(values, text):
        return text
    pieces, end = [], 0
    for begins_at, ends_at in sorted(_spans(values, text)):
        if begins_at >= end:
            pieces += [text[end:begins_at], mark]
        end = max(end, ends_at)
    return "".join([*pieces, text[end:]])


def _spans(values: Iterable[str], text: str) -> Iterator[tuple[int, int]]:
    """Yield where in a text the values begin and end."""
    layer, places = text, list(range(len(text) + 1))
    for unescaped in layers_of(text):
        layer, places = unescaped, _places(layer, places)
        for value in values:
            at = layer.find(value)
            while at >= 0:
                yield places[at], places[at + len(value)]
                at = layer.find(value, at + len(value))


def _places(layer: str, places: list[int]) -> list[int]:
    """Return where in the text each character begins that unescaping a layer gives, and the end of the text."""
    moved: list[int] = []
    end = 0
    for escape in _escape().finditer(layer):
        moved += places[end : escape.start()]
        moved += [places[escape.start()]] * len(_meaning(escape))
        end = escape.end()
    return moved + places[end:]


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
        return chr(int(text[2:], 16)) if len(text) > 2 else text[1]
    if text[1] == "#":
        code = int(text[3:-1], 16) if text[2] in "Xx" else int(text[2:-1])
        return chr(code) if code <= sys.maxunicode else text
    return _names().get(text[1:], text)
