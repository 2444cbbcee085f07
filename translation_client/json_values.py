"""Conversion of values to what JSON can hold, in one way for errors, jobs and the command line."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

MAX_DEPTH = 100
"""Levels of nesting, which RFC 8259, section 9 lets a parser limit: copying or pickling a thousand would exhaust the stack."""

NESTED_TOO_DEEPLY = "[nested too deeply]"

_TYPE = re.compile("~*__type__")


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


def escaped(value: Any) -> Any:
    """Copy a JSON value with the key `__type__` escaped by a tilde, as `~__type__` is by one more.

    kombu, whose JSON Celery uses, makes an object of each dict with the keys `__type__` and `__value__`, and raises if it
    does not know the type (`kombu/utils/json.py`). What a server sends must not be taken for one.
    """
    return _with_keys(value, lambda key: "~" + key if _TYPE.fullmatch(key) else key)


def unescaped(value: Any) -> Any:
    """Copy a JSON value that `escaped` returned as it was before."""
    return _with_keys(value, lambda key: key[1:] if key.startswith("~") and _TYPE.fullmatch(key) else key)


def is_nested_deeper(value: Any, levels: int = MAX_DEPTH) -> bool:
    """Return True if dicts and lists are nested in more than `levels` levels. Does not recurse."""
    containers = [value]
    for _ in range(levels):
        containers = [inner for outer in containers for inner in _items(outer) if isinstance(inner, (dict, list))]
        if not containers:
            return False
    return True


def _with_keys(value: Any, new: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {new(key) if isinstance(key, str) else key: _with_keys(item, new) for key, item in value.items()}
    return [_with_keys(item, new) for item in value] if isinstance(value, list) else value


def _key(key: Any) -> str:
    return str.__str__(key) if isinstance(key, str) else str(key)


def _items(container: Any) -> Any:
    return container.values() if isinstance(container, dict) else container
