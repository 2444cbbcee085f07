"""Submit video translation jobs, wait for them promptly and with few requests, and download the results."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from . import schedule as schedule
    from . import services as services
    from ._client import AsyncVideoTranslationClient, VideoTranslationClient
    from ._client import BaseClient as BaseClient
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
    from ._models import FilePart as FilePart
    from ._models import Job, Problem, TranslationStatus
    from ._models import Request as Request
    from ._models import Response as Response
    from ._transports.base import CancelEvent as CancelEvent
    from .schedule.history import DurationHistory
    from .schedule.wait import wait_learned
    from .services.json_path import ComputedField
    from .services.service import BulkSpec, LanguagesSpec, Service, ServiceDefaults
    from .services.submission import SubmitSpec, UploadSpec

    __version__: str
else:
    # Nothing is imported before it is needed: pytest imports this package in every test suite, for `_pytest_plugin`,
    # and gevent has to replace the module `ssl` before urllib3 is imported. Each public class has this package as its
    # `__module__`, so that pickles, tracebacks and `help` name no private module. What only their type hints name, and
    # the base of the clients, can be imported by the name that `help` shows, and is in no `__all__`.
    _CORE = {
        "_client": ("AsyncVideoTranslationClient", "BaseClient", "VideoTranslationClient"),
        "_exceptions": (
            "JobFailed",
            "RequestFailed",
            "ResultNotReady",
            "RetriesExhausted",
            "TooManyJobs",
            "TranslationClientError",
            "UnexpectedAnswer",
            "WaitCancelled",
            "WaitTimeout",
        ),
        "_models": ("FilePart", "Job", "Problem", "Request", "Response", "TranslationStatus"),
        "_transports.base": ("CancelEvent",),
        "services.json_path": ("ComputedField",),
        "services.service": ("BulkSpec", "LanguagesSpec", "Service", "ServiceDefaults"),
        "services.submission": ("SubmitSpec", "UploadSpec"),
    }
    # Apart, as SQLite and the arithmetic take as long to import as all the rest.
    _SCHEDULE = {"schedule.history": ("DurationHistory",), "schedule.wait": ("wait_learned",)}
    _PACKAGES = ("schedule", "services")

    def __getattr__(name: str) -> object:
        """Import a public name when it is needed, together with those whose type hints may name each other."""
        if name == "__version__":
            from importlib import metadata

            return metadata.version("translation-client")
        homes = next((homes for homes in (_CORE, _SCHEDULE) if any(name in names for names in homes.values())), None)
        if homes is None and name not in _PACKAGES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            _import_from(homes or {name: ()})
        except AttributeError as error:  # or `hasattr` would be False, and `from` would hide the cause
            raise ImportError(f"{name} of {__name__} cannot be imported: {error!r}") from error
        return globals()[name]

    def _import_from(homes: dict[str, tuple[str, ...]]) -> None:
        from importlib import import_module

        for home, names in homes.items():
            module = import_module(f".{home}", __name__)
            for name in names:
                globals().setdefault(name, getattr(module, name))  # a test may have replaced it

    def __dir__() -> list[str]:
        """Return the public names, imported or not."""
        return sorted({*globals(), *__all__, *_PACKAGES})
