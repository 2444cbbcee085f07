"""The supported services, one module each."""

from __future__ import annotations

from .azure import AZURE
from .elevenlabs import ELEVENLABS
from .heygen import HEYGEN
from .reference import REFERENCE
from .service import Service

__all__ = ["AZURE", "ELEVENLABS", "HEYGEN", "REFERENCE", "SERVICES", "Service", "get_service"]

SERVICES = {service.name: service for service in (REFERENCE, HEYGEN, ELEVENLABS, AZURE)}
"""The supported services by name."""


def get_service(name: str) -> Service:
    """Return the service with this name.

    Raises:
        ValueError: There is no such service.
    """
    try:
        return SERVICES[name]
    except (KeyError, TypeError):
        raise ValueError(f"service must be one of {', '.join(sorted(SERVICES))}, got {name!r}") from None
