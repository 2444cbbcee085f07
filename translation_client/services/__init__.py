"""The supported services, one module each."""

from __future__ import annotations

from .azure import AZURE
from .elevenlabs import ELEVENLABS
from .heygen import HEYGEN
from .reference import REFERENCE
from .service import Service
from .submission import Step, SubmitFlow, SubmitRequest

__all__ = [
    "AZURE",
    "ELEVENLABS",
    "HEYGEN",
    "REFERENCE",
    "SERVICES",
    "Service",
    "Step",
    "SubmitFlow",
    "SubmitRequest",
    "get_service",
]

SERVICES = {service.name: service for service in (REFERENCE, HEYGEN, ELEVENLABS, AZURE)}
"""The supported services by name."""


def get_service(name: str) -> Service:
    """Return the service with this name.

    Raises:
        ValueError: There is no such service.
        TypeError: `name` is not a string.
    """
    names = ", ".join(sorted(SERVICES))
    if not isinstance(name, str):
        raise TypeError(f"service must be a Service or one of {names}, got {name!r}")
    if name not in SERVICES:
        raise ValueError(f"service must be one of {names}, got {name!r}")
    return SERVICES[name]
