"""Waits for video translation jobs: soon, cheaply, and never longer than it is told to."""

from __future__ import annotations

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
    "WaitCancelled",
    "WaitTimeout",
]
