"""The module of a public class is the package that exports it, in pickles, in tracebacks and in `help`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

C = TypeVar("C", bound=type)


def exported_from(package: str) -> Callable[[C], C]:
    """Return a class decorator that sets the `__module__` of a class to a package.

    Otherwise a pickle would name the private module in which the class is defined, and could not be read once the class
    has moved. Methods keep their module: pydantic looks there for the names in their type hints, and `inspect` for their
    source.
    """

    def set_module(cls: C) -> C:
        cls.__module__ = package
        # Setting the module removes this, but on Python 3.13 not from an enum or an abstract class. `inspect` would then
        # read this line of the package's file.
        if "__firstlineno__" in vars(cls):
            delattr(cls, "__firstlineno__")
        return cls

    return set_module
