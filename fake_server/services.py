"""The names of the services that the server can be."""

from __future__ import annotations

SERVICES = ("reference", "heygen", "elevenlabs", "azure")


def check_service(name: str) -> None:
    """Say so where there is no such service.

    Raises:
        ValueError: With the names of those that there are.
    """
    if name not in SERVICES:
        raise ValueError(f"a service is one of {', '.join(SERVICES)}; got {name!r}")
