"""Waits for video translation jobs: soon, cheaply, and never longer than it is told to."""

from __future__ import annotations

from typing import Any

from .client import VideoTranslationClient
from .errors import (
    JobFailed,
    RequestFailed,
    RetriesExhausted,
    TranslationClientError,
    UnexpectedAnswer,
    WaitCancelled,
    WaitTimeout,
)
from .models import Job, TranslationStatus

__all__ = [
    "Job",
    "JobFailed",
    "RequestFailed",
    "RetriesExhausted",
    "TranslationClientError",
    "TranslationStatus",
    "UnexpectedAnswer",
    "VideoTranslationClient",
    "WaitCancelled",
    "WaitTimeout",
]


def __getattr__(name: str) -> Any:
    """Look `__version__` up in the metadata when it is asked for: reading them takes longer than all our modules."""
    if name == "__version__":
        from importlib import metadata

        return metadata.version("translation-client")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
