"""Conversion of values to what JSON can hold, in one way for errors, jobs and the command line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 100
"""Levels of nesting, which RFC 8259, section 9 lets a parser limit: copying or pickling a thousand would exhaust the stack."""

NESTED_TOO_DEEPLY = "[nested too deeply]"


def json_value(value: Any, depth: int = 0) -> Any:
    """Copy a value as plain dicts, lists, strings, numbers, booleans and None.

    NaN and infinity become None, because JSON has no number for them. An object with `to_dict()` becomes what that
    returns, and any other object its `str()`.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)  # of an enum: its value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if depth >= MAX_DEPTH:
        return NESTED_TOO_DEEPLY
    if isinstance(value, Mapping):
        return {_key(key): json_value(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(item, depth + 1) for item in value]
    return value.to_dict() if hasattr(value, "to_dict") else str(value)


def is_nested_deeper(value: Any, levels: int = MAX_DEPTH) -> bool:
    """Return True if dicts and lists are nested in more than `levels` levels. Does not recurse."""
    containers = [value]
    for _ in range(levels):
        containers = [inner for outer in containers for inner in _items(outer) if isinstance(inner, (dict, list))]
        if not containers:
            return False
    return True


def _key(key: Any) -> str:
    return str.__str__(key) if isinstance(key, str) else str(key)


def _items(container: Any) -> Any:
    return container.values() if isinstance(container, dict) else container
