"""The module of a public class is the package that exports it, in pickles, in tracebacks and in `help`."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import TypeVar

C = TypeVar("C", bound=type)


def exported_from(package: str) -> Callable[[C], C]:
    """Return a class decorator that sets the `__module__` of a class and of its methods to the package.

    Otherwise a pickle would name the private module in which the class is defined, and could not be read once the class
    has moved. `help` of Python 3.13 names the module of each method that differs from the module of its class.
    """

    def set_module(cls: C) -> C:
        home = cls.__module__
        for member in vars(cls).values():
            for function in (member, getattr(member, "__func__", None), getattr(member, "fget", None)):
                if isinstance(function, FunctionType) and function.__module__ == home:  # not one of another class
                    function.__module__ = package
        cls.__module__ = package
        return cls

    return set_module
