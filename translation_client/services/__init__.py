"""The services that this client speaks, one module each."""

from __future__ import annotations

from .azure import AZURE
from .elevenlabs import ELEVENLABS
from .heygen import HEYGEN
from .reference import REFERENCE
from .service import Service

SERVICES = {service.name: service for service in (REFERENCE, HEYGEN, ELEVENLABS, AZURE)}


def get_service(name: str) -> Service:
    """Look a service up.

    Raises:
        ValueError: There is none of that name.
    """
    try:
        return SERVICES[name]
    except (KeyError, TypeError):
        raise ValueError(f"service must be one of {', '.join(sorted(SERVICES))}, got {name!r}") from None
