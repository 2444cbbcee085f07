"""Submit video translation jobs, wait for them promptly and with few requests, and download the results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._client import AsyncVideoTranslationClient, VideoTranslationClient
from ._exceptions import (
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
from ._models import Job, Problem, TranslationStatus
from .services.json_path import ComputedField
from .services.service import BulkSpec, LanguagesSpec, Service, ServiceDefaults
from .services.submission import SubmitSpec, UploadSpec

__all__ = [
    "AsyncVideoTranslationClient",
    "BulkSpec",
    "ComputedField",
    "DurationHistory",
    "Job",
    "JobFailed",
    "LanguagesSpec",
    "Problem",
    "RequestFailed",
    "ResultNotReady",
    "RetriesExhausted",
    "Service",
    "ServiceDefaults",
    "SubmitSpec",
    "TooManyJobs",
    "TranslationClientError",
    "TranslationStatus",
    "UnexpectedAnswer",
    "UploadSpec",
    "VideoTranslationClient",
    "WaitCancelled",
    "WaitTimeout",
    "wait_learned",
]


for _name in set(__all__) & globals().keys():
    globals()[_name].__module__ = __name__  # in tracebacks and pickles: where a class is defined may change
del _name


if TYPE_CHECKING:  # a module with a `__getattr__` would have every name that somebody misspells
    from .schedule.history import DurationHistory
    from .schedule.wait import wait_learned

    __version__: str
else:
    _LAZY = {
        "DurationHistory": "schedule.history",
        "wait_learned": "schedule.wait",
    }

    def __getattr__(name: str) -> object:
        """Import what takes longer than all the rest when it is needed: `schedule`, and the version in the metadata."""
        if name in _LAZY:
            from importlib import import_module

            value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
            value.__module__ = __name__
            return value
        if name == "__version__":
            from importlib import metadata

            return metadata.version("translation-client")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
