"""Orders video translations, waits for them soon and cheaply, never longer than told, and fetches what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .client import VideoTranslationClient
from .errors import (
    JobFailed,
    RequestFailed,
    ResultNotReady,
    RetriesExhausted,
    TooManyJobs,
    TranslationClientError,
    UnexpectedAnswer,
    WaitCancelled,
    WaitTimeout,
)
from .models import Job, TranslationStatus
from .problems import Problem
from .services.extras import Bulk, Languages, Limits
from .services.places import Computed
from .services.posting import PostOrder, UploadFirst
from .services.service import Service

__all__ = [
    "AsyncVideoTranslationClient",
    "Bulk",
    "Computed",
    "DurationHistory",
    "Job",
    "JobFailed",
    "Languages",
    "Limits",
    "PostOrder",
    "Problem",
    "RequestFailed",
    "ResultNotReady",
    "RetriesExhausted",
    "Service",
    "TooManyJobs",
    "TranslationClientError",
    "TranslationStatus",
    "UnexpectedAnswer",
    "UploadFirst",
    "VideoTranslationClient",
    "WaitCancelled",
    "WaitTimeout",
    "wait_learned",
]


if TYPE_CHECKING:  # a module with a `__getattr__` would have every name that somebody misspells
    from .aio.client import AsyncVideoTranslationClient
    from .history import DurationHistory
    from .learned import wait_learned

    __version__: str
else:
    _LAZY = {
        "AsyncVideoTranslationClient": "aio.client",
        "DurationHistory": "history",
        "wait_learned": "learned",
    }

    def __getattr__(name: str) -> object:
        """Look up when it is asked for what takes longer than all else: what learns, what needs aiohttp, and the version in the metadata."""
        if name in _LAZY:
            from importlib import import_module

            from .extras import needing_aiohttp

            with needing_aiohttp(name):
                return getattr(import_module(f".{_LAZY[name]}", __name__), name)
        if name == "__version__":
            from importlib import metadata

            return metadata.version("translation-client")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
