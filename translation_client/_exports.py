"""The module of a public class is the package that exports it, in pickles, in tracebacks and in `help`."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import TypeVar

C = TypeVar("C", bound=type)


def exported_from(package: str) -> Callable[[C], C]:
    """Return a class decorator that sets the `__module__` of a class to a package.

    Otherwise a pickle would name the private module in which the class is defined, and could not be read once the class
    has moved. Its methods get the same module, which `help` shows beside each from Python 3.13 on. Their type hints must
    then be objects and no strings, unless they name other exported classes: pydantic looks for names in that module.
    """

    def set_module(cls: C) -> C:
        home, cls.__module__ = cls.__module__, package
        for member in vars(cls).values():
            function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            if isinstance(function, FunctionType) and function.__module__ == home:  # an enum has methods of `enum`
                function.__module__ = package
        if "__firstlineno__" in vars(
            cls
        ):  # of Python 3.13. `inspect` would look for this line in the file of the package
            delattr(cls, "__firstlineno__")
        return cls

    return set_module
