"""The module of a public class is the package that exports it, in pickles, in tracebacks and in `help`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

C = TypeVar("C", bound=type)


def exported_from(package: str) -> Callable[[C], C]:
    """Return a class decorator that sets the `__module__` of a class to a package.

    Otherwise a pickle would name the private module in which the class is defined, and could not be read once the class
    has moved. Methods keep their module: pydantic looks there for the names in their type hints.
    """

    def set_module(cls: C) -> C:
        cls.__module__ = package
        return cls

    return set_module
