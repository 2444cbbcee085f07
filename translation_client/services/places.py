"""Where does something sit in a JSON value? Data such as `data.video_translation_ids.0` in place of code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Place = str | tuple[str, ...] | Callable[[Mapping[str, Any]], Any]
"""A path of names and list positions, separated by dots; several of them, of which the first that leads somewhere counts;
or a function of the whole value, where no path will do."""


def found(value: Mapping[str, Any], place: Place | None) -> Any:
    """Look a place up; None where there is nothing, or null."""
    if place is None:
        return None
    if callable(place):
        return place(value)
    paths = (place,) if isinstance(place, str) else place
    return next((inner for path in paths if (inner := _at(value, path)) is not None), None)


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def named(place: Place | None) -> str:
    """Say where a place is, for a sentence."""
    if callable(place):
        return place.__name__.strip("_")
    return place if isinstance(place, str) else " or ".join(place or ("nowhere",))


def filled(value: Mapping[str, Any], place: str, content: Any) -> dict[str, Any]:
    """Copy an object with something put in a place; a position in a list may only be the next one."""
    name, _, rest = place.partition(".")
    if not rest:
        return {**value, name: content}
    inner = value.get(name)
    if rest.isdecimal():
        return {**value, name: [*(inner or []), content]}
    return {**value, name: filled(inner if isinstance(inner, Mapping) else {}, rest, content)}


def text(value: Any) -> str | None:
    """A text that says something; None for anything else."""
    return value if isinstance(value, str) and value else None


def number(value: Any, most: float = float("inf")) -> float | None:
    """A number from 0 to `most`; None for anything else."""
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= most
    return float(value) if usable else None
