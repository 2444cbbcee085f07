"""The services that the server can imitate, one module each. Importing this package does not need Flask."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .dialect import Dialect

SERVICES = ("reference", "heygen", "elevenlabs", "azure")
"""The names of the services, which are those of their modules."""


def check_service(name: str) -> None:
    """Check that there is such a service.

    Raises:
        ValueError: There is none. The message lists the names.
    """
    if name not in SERVICES:
        raise ValueError(f"service must be one of {', '.join(SERVICES)}; got {name!r}")


def load_dialect(name: str) -> Dialect:
    """Import the module of a service, which needs Flask, and return its dialect.

    Raises:
        ValueError: There is no such service. The message lists the names.
    """
    check_service(name)
    dialect: Dialect = import_module(f".{name}", __name__).DIALECT
    return dialect
