"""The notation of faults: short, as `2:503:Retry-After=3`, or as JSON, which has all fields."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from .faults import ACTIONS, ROUTES, Fault

FORM = "[ROUTE/]WHEN:WHAT[@SECONDS][:HEADER=VALUE]"

TIMED = ("late", "drip-headers", "drip-body", "early-hints", "processing", "repeated")

_SHORT = re.compile(
    rf"(?:(?P<route>{'|'.join(ROUTES)})/)?"
    r"(?:(?P<nth>[1-9]\d{0,8})|every-(?P<every>[1-9]\d{0,8})|(?P<begin>\d{1,9}(?:\.\d+)?)s-(?P<end>\d{1,9}(?:\.\d+)?)s)"
    rf":(?:(?P<code>[1-9]\d\d)|(?P<action>{'|'.join(ACTIONS)}))(?:@(?P<seconds>\d{{1,9}}(?:\.\d+)?))?"
    r"(?::(?P<header>[^\s:=]+)=(?P<value>.+))?",
    re.ASCII,
)

_FIELDS = tuple(field.name for field in fields(Fault))


def parse_fault(text: str) -> Fault:
    """Parse a fault: `[ROUTE/]WHEN:WHAT[@SECONDS][:HEADER=VALUE]`, or a JSON object with the fields of `Fault`.

    ROUTE is `status` by default. WHEN is `2` (the second response), `every-3`, or `5s-8s`. WHAT is a status code or an
    action.

    Raises:
        ValueError: The text is neither.
    """
    if text.lstrip().startswith("{"):
        return read_fault(from_json(text))
    match = _SHORT.fullmatch(text)
    if match is None:
        raise ValueError(
            f"a fault is {FORM}, such as 2:503 or create/1:429:Retry-After=3, or a JSON object; got {text!r}"
        )
    part: dict[str, Any] = match.groupdict()
    if part["seconds"] and part["action"] not in TIMED:
        raise ValueError(f"only {', '.join(TIMED)} take @SECONDS; got {text!r}")
    return Fault(
        nth=_whole(part["nth"]),
        every=_whole(part["every"]),
        between=None if part["begin"] is None else (float(part["begin"]), float(part["end"])),
        action=part["action"] or "answer",
        status_code=_whole(part["code"]),
        headers={part["header"]: part["value"]} if part["header"] else {},
        seconds=float(part["seconds"] or 1),
        route=part["route"] or "status",
    )


def read_fault(value: object) -> Fault:
    """Return the fault of a JSON value: an object with the fields of `Fault`, or a string in short form.

    Raises:
        ValueError: The value is neither.
    """
    if isinstance(value, Fault):
        return value
    if isinstance(value, str):
        return parse_fault(value)
    if not isinstance(value, Mapping):
        raise ValueError(f"a fault is {FORM}, or a JSON object; got {value!r}")  # noqa: TRY004  # bad data, not a bad call
    unknown = set(value) - set(_FIELDS)
    if unknown:
        raise ValueError(f"a fault has the fields {', '.join(_FIELDS)}; got {', '.join(sorted(map(str, unknown)))}")
    between = value.get("between")
    return Fault(**{**value, "between": tuple(between) if isinstance(between, list) else between})


def read_faults(value: object) -> tuple[Fault, ...]:
    """Return a list of faults, each read by `read_fault`.

    Raises:
        ValueError: The value is not a list, or an item is not a fault.
    """
    if not isinstance(value, (list, tuple)):
        raise ValueError(f'faults are a list, such as ["2:503"]; got {value!r}')  # noqa: TRY004  # bad data, not a bad call
    return tuple(read_fault(one) for one in value)


def from_json(text: str) -> object:
    """Parse JSON.

    Raises:
        ValueError: The text is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error


def as_data(fault: Fault) -> dict[str, Any]:
    """Return all fields of a fault as JSON values."""
    return {name: _plain(getattr(fault, name)) for name in _FIELDS}


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _whole(text: str | None) -> int | None:
    return None if text is None else int(text)
