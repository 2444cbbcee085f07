"""The names of the services that the server can imitate."""

from __future__ import annotations

SERVICES = ("reference", "heygen", "elevenlabs", "azure")


def check_service(name: str) -> None:
    """Check that there is such a service.

    Raises:
        ValueError: There is none. The message lists the names.
    """
    if name not in SERVICES:
        raise ValueError(f"a service is one of {', '.join(SERVICES)}; got {name!r}")
