"""The syntax of faults: short, such as `2:503:Retry-After=3`, or a JSON object, which may have all fields."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from .faults import ACTIONS, ROUTES, Fault

SYNTAX = "[ROUTE/]WHEN:WHAT[@SECONDS][:HEADER=VALUE]"

ACTIONS_WITH_SECONDS = ("late", "drip-headers", "drip-body", "early-hints", "processing", "repeated")

_SHORT_SYNTAX = re.compile(
    rf"(?:(?P<route>{'|'.join(ROUTES)})/)?"
    r"(?:(?P<nth>[1-9]\d{0,8})|every-(?P<every>[1-9]\d{0,8})|(?P<begin>\d{1,9}(?:\.\d+)?)s-(?P<end>\d{1,9}(?:\.\d+)?)s)"
    rf":(?:(?P<code>[1-9]\d\d)|(?P<action>{'|'.join(ACTIONS)}))(?:@(?P<seconds>\d{{1,9}}(?:\.\d+)?))?"
    r"(?::(?P<header>[^\s:=]+)=(?P<value>.+))?",
    re.ASCII,
)

_FIELD_NAMES = tuple(field.name for field in fields(Fault))


def parse_fault(text: str) -> Fault:
    """Parse a fault: `[ROUTE/]WHEN:WHAT[@SECONDS][:HEADER=VALUE]`, or a JSON object with the fields of `Fault`.

    ROUTE is `status` by default. WHEN is `2` (the second response), `every-3`, or `5s-8s`. WHAT is a status code or an
    action.

    Raises:
        ValueError: The text is not a fault, or a field of the fault is invalid.
    """
    if text.lstrip().startswith("{"):
        return to_fault(parse_json(text))
    match = _SHORT_SYNTAX.fullmatch(text)
    if match is None:
        raise ValueError(
            f"a fault must be {SYNTAX}, such as 2:503 or create/1:429:Retry-After=3, or a JSON object; got {text!r}"
        )
    groups: dict[str, Any] = match.groupdict()
    if groups["seconds"] and groups["action"] not in ACTIONS_WITH_SECONDS:
        raise ValueError(f"only {', '.join(ACTIONS_WITH_SECONDS)} can have @SECONDS; got {text!r}")
    return Fault(
        nth=_int_or_none(groups["nth"]),
        every=_int_or_none(groups["every"]),
        between=None if groups["begin"] is None else (float(groups["begin"]), float(groups["end"])),
        action=groups["action"] or "answer",
        status_code=_int_or_none(groups["code"]),
        headers={groups["header"]: groups["value"]} if groups["header"] else {},
        seconds=float(groups["seconds"] or 1),
        route=groups["route"] or "status",
    )


def to_fault(value: object) -> Fault:
    """Convert a JSON value to a fault, or return a fault as it is.

    Args:
        value: An object with the fields of `Fault`, a string for `parse_fault`, or a `Fault`.

    Raises:
        ValueError: The value is not a fault, or a field of the fault is invalid.
    """
    if isinstance(value, Fault):
        return value
    if isinstance(value, str):
        return parse_fault(value)
    if not isinstance(value, Mapping):
        raise ValueError(f"a fault must be {SYNTAX}, or a JSON object; got {value!r}")  # noqa: TRY004  # input data, and no programming error
    unknown = set(value) - set(_FIELD_NAMES)
    if unknown:
        raise ValueError(
            f"the fields of a fault are {', '.join(_FIELD_NAMES)}; unknown: {', '.join(sorted(map(str, unknown)))}"
        )
    between = value.get("between")
    return Fault(**{**value, "between": tuple(between) if isinstance(between, list) else between})


def to_faults(value: object) -> tuple[Fault, ...]:
    """Convert a list, or another iterable of faults, by `to_fault`.

    Raises:
        ValueError: The value is a string or cannot be iterated, or an item of it is not a fault.
    """
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise ValueError(f'faults must be a list, such as ["2:503"]; got {value!r}')  # noqa: TRY004  # input data, and no programming error
    return tuple(to_fault(item) for item in value)


def parse_json(text: str) -> object:
    """Parse JSON.

    Raises:
        ValueError: The text is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"invalid JSON: {error}") from error


def fault_to_dict(fault: Fault) -> dict[str, Any]:
    """Return all fields of a fault as JSON-serializable values."""
    return {name: _to_json(getattr(fault, name)) for name in _FIELD_NAMES}


def _to_json(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _int_or_none(text: str | None) -> int | None:
    return None if text is None else int(text)
