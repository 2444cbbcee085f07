"""Detection of callers' sessions that may retry a request on their own. Then the last error says nothing about earlier attempts."""

from __future__ import annotations

from inspect import getattr_static
from types import MethodType
from typing import Any

from requests import Session
from requests.adapters import HTTPAdapter
from urllib3 import Retry

_METHODS_THAT_MAY_RETRY = (
    "send",
    "get_connection",
    "get_connection_with_tls_context",
    "build_response",
    "__getattribute__",
)


def never_retries(session: Session) -> bool:
    """Return True if it is known that neither the session nor any of its adapters retries on its own.

    Known not to retry: a session and adapters with the methods of requests, and `max_retries` of 0 or a `Retry` whose
    total is 0. Overridden methods may retry, and so may a wrapper around a session, and an adapter of another kind than
    `HTTPAdapter`, unless it declares `never_retries = True`. Two exceptions: `init_poolmanager` may be overridden, as TLS
    settings need that, and methods replaced on the classes of requests count as theirs, as tracing tools do that.
    Hooks and auth that send again are detected elsewhere, by the first response.
    """
    if _overrides(session, Session, "send", "get_adapter", "__getattribute__"):
        return False
    return all(map(_sends_once, session.adapters.values()))  # which one a URL gets is not predicted here


def _sends_once(adapter: object) -> bool:
    if not issubclass(type(adapter), HTTPAdapter):
        return getattr_static(adapter, "never_retries", False) is True
    return _has_no_retries(getattr_static(adapter, "max_retries", None)) and not _overrides(
        adapter, HTTPAdapter, *_METHODS_THAT_MAY_RETRY
    )


def _has_no_retries(max_retries: object) -> bool:
    """True for 0 and for `Retry(total=0)`. With `total=None`, `connect`, `read` and so on are the limit (urllib3.util.Retry).

    A subclass of `Retry` may decide otherwise.
    """
    total = max_retries.total if type(max_retries) is Retry else max_retries
    return isinstance(total, int) and total == 0


def _overrides(instance: Any, base: type, *names: str) -> bool:
    """True if an object or its class overrides one of these methods of the base class.

    Compared by `getattr_static`, as the descriptor of an instrumented method returns a new object at each access.
    """
    own_attributes = getattr(instance, "__dict__", {})
    return any(
        getattr_static(type(instance), name, None) is not getattr_static(base, name, None)
        or (name in own_attributes and not _is_inherited(own_attributes[name], instance, base, name))
        for name in names
    )


def _is_inherited(value: object, instance: Any, base: type, name: str) -> bool:
    """True for the bound method of the base class, which requests-mock leaves on the object when it has ended."""
    if type(value) is not MethodType or value.__self__ is not instance:
        return False
    return value.__func__ is getattr_static(base, name, None)
