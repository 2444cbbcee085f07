"""The errors that a call of this library can raise, and their attributes as JSON.

::

    TranslationClientError
    ├── WaitTimeout       (TimeoutError)                `timeout` has passed; the job is still running
    ├── RetriesExhausted                                `max_retries` was reached, or the caller's `stop` stopped
    ├── WaitCancelled                                   `close()`, or the caller's event
    ├── RequestFailed     (requests.RequestException)   the service refused it, or `max_faults` attempts in a row failed
    │   └── TooManyJobs                                 the service's limit of concurrent jobs
    ├── UnexpectedAnswer  (requests.RequestException)   a response that cannot be parsed, or lacks a field
    ├── ResultNotReady                                  a download of a job that is still pending
    └── JobFailed                                       the service says that the job failed

A bad argument is a `ValueError` (a wrong type may be a `TypeError`) and is raised before anything is sent.
"""

import inspect
import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from requests import RequestException

from ._exports import exported_from

if TYPE_CHECKING:
    from ._models import Job, Problem


FACT_TYPES: dict[str, Callable[[Mapping[str, Any]], Any]] = {}
"""Builds attributes that are objects from JSON, by their names. `_models` adds `job` and `problem`."""

K = TypeVar("K", bound="type[TranslationClientError]")


def _declares_facts(kind: K) -> K:
    """Collect the annotated attributes of a class, and those of its base, with their defaults, in `_facts`."""
    own = {name: getattr(kind, name) for name in inspect.get_annotations(kind) if not name.startswith("_")}
    kind._facts = {**getattr(kind, "_facts", {}), **own}
    return kind


@exported_from("translation_client")
@_declares_facts
class TranslationClientError(Exception):
    """The base class of all errors of this library.

    `str(error)` is the message. `error.args` is `(message, facts)`, where `facts` holds the attributes below as a JSON
    object, so that `type(error)(*error.args)` has the same attributes, also after a JSON round trip of the arguments. A
    key `__type__` in it, from which Celery's JSON would build an object, is written `~__type__` there. An attribute
    that is changed later is kept by pickle and copies, and is not in `args`. A subclass with an `__init__` of its own
    should accept these two arguments as well.

    Attributes:
        job_id: The id of the job; None for the single job of the reference service.
        job: The job as it was last seen, or None. Its payload is in `args`, and neither in the message nor in `repr`.
        attempts: The number of HTTP calls.
        checks: The number of status responses that were parsed.
        elapsed: Seconds from the start of the call to the error.
        may_have_been_accepted: False if this call has left no job behind at the service. True if it may have. None on an
            error that was built without facts. Test `is not False`.
        idempotency_key: The key with which another `submit` makes no second job; None where the service has no keys.
    """

    job_id: str | None = None
    job: "Job | None" = None
    attempts: int = 0
    checks: int = 0
    elapsed: float = 0.0
    may_have_been_accepted: bool | None = None
    idempotency_key: str | None = None

    _facts: ClassVar[Mapping[str, Any]]

    def __init__(self, message: str = "", facts: Mapping[str, Any] | None = None, **known: Any) -> None:
        """Build an error from facts: from `args[1]` of another error, by keyword, or both.

        Args:
            message: What happened.
            facts: Attributes by name, as a JSON object. Unknown names are ignored, so that facts of a newer version
                can be read; a missing one has the default of its attribute.
            **known: Attributes as Python values. A number that is NaN or infinite, for which JSON has no number, counts
                as missing.

        Raises:
            TypeError: A keyword is not an attribute of this class.
        """
        unknown = known.keys() - self._facts.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no attribute {', '.join(sorted(unknown))}")
        super().__init__(message)
        values = {**(unescaped(dict(facts)) if isinstance(facts, Mapping) else {}), **known}
        for name, default in self._facts.items():
            setattr(self, name, _from_json(name, default if _is_missing(values.get(name)) else values[name]))
        self.args = (str(message), escaped({name: json_value(getattr(self, name)) for name in self._facts}))

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"  # without the facts: a payload may hold anything

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy with all attributes, also those that a caller has added."""
        return self._restored, (self.args,), vars(self)

    @classmethod
    def _restored(cls, args: tuple[Any, ...]) -> "TranslationClientError":
        """Create an error without `__init__`, which may take other arguments in a subclass. Pickle restores the attributes."""
        error = cls.__new__(cls, *args)
        error.args = args
        return error


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _from_json(name: str, value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return FACT_TYPES.get(name, dict)(value)


@exported_from("translation_client")
@_declares_facts
class WaitTimeout(TranslationClientError, TimeoutError):
    """`timeout` seconds have passed. A job that was waited for has not failed, and is still running.

    `errno` and `strerror`, which every `OSError` has, are None.

    Attributes:
        seen: The number of responses and faults by status word or kind: `{"pending": 4, "HTTP 503": 1}`.
        retry_after: The seconds in the server's `Retry-After`, if these ended the wait. Otherwise None.
    """

    seen: Mapping[str, int] = MappingProxyType({})
    retry_after: float | None = None


@exported_from("translation_client")
class RetriesExhausted(TranslationClientError):
    """The job was still pending when `max_retries` was reached, or the caller's `stop` strategy stopped."""


@exported_from("translation_client")
class WaitCancelled(TranslationClientError):
    """The call was cancelled by `close()` or by the caller's event. A job that was waited for is not cancelled."""


@exported_from("translation_client")
@_declares_facts
class RequestFailed(TranslationClientError, RequestException):
    """The service refused the request, or `max_faults` attempts in a row failed.

    `request` and `response`, which requests gives its exceptions, are None: they would contain the API key.

    Attributes:
        status_code: The HTTP status of the last response, or None if none came.
        problem: The body of that response where it was a JSON object, with its `code` and its `message`; or None.
        retry_after: The seconds in the server's `Retry-After`, or None.
    """

    status_code: int | None = None
    problem: "Problem | None" = None
    retry_after: float | None = None


@exported_from("translation_client")
class TooManyJobs(RequestFailed):
    """The service runs as many jobs as it allows. `submit(..., queue=True)` waits for a slot.

    No job was made if `may_have_been_accepted` is False; it is True if an earlier request of the same `submit`
    may have made one.
    """


@exported_from("translation_client")
@_declares_facts
class UnexpectedAnswer(TranslationClientError, RequestException):
    """A response could not be parsed or is about another job, `max_faults` times in a row, or it lacks a required field.

    `request` and `response` are None, as in `RequestFailed`.

    Attributes:
        status_code: The HTTP status of the last response, or None.
        excerpt: The beginning of its body as text, or None.
    """

    status_code: int | None = None
    excerpt: str | None = None


@exported_from("translation_client")
class ResultNotReady(TranslationClientError):
    """`download` was called for a job that is still pending."""


@exported_from("translation_client")
class JobFailed(TranslationClientError):
    """The service reports that the job failed, was cancelled or was rejected."""


MAX_NESTING = 100
"""Levels of nesting that are kept; RFC 8259, section 9 allows a limit. To copy or pickle a thousand would exhaust the stack."""

NESTED_TOO_DEEPLY = "[nested too deeply]"

_TYPE = re.compile("~*__type__")


def json_value(value: Any, depth: int = 0) -> Any:
    """Copy a value as plain dicts, lists, strings, numbers, booleans and None.

    NaN and infinity become None, because JSON has no number for them. An object with `to_dict()` becomes what that
    returns, and any other object its `str()`.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)  # a plain string, also of an enum
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if depth >= MAX_NESTING:
        return NESTED_TOO_DEEPLY
    if isinstance(value, Mapping):
        return {_key(key): json_value(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(item, depth + 1) for item in value]
    return value.to_dict() if hasattr(value, "to_dict") else str(value)


def escaped(value: Any) -> Any:
    """Copy a JSON value, and put a tilde before each key `__type__`, and one more before `~__type__`.

    kombu, whose JSON Celery uses, builds an object from each dict with the keys `__type__` and `__value__`, and raises
    if it does not know the type (`kombu/utils/json.py`). A payload of a service must not be taken for one.
    """
    return _with_keys(value, lambda key: "~" + key if _TYPE.fullmatch(key) else key)


def unescaped(value: Any) -> Any:
    """Copy a JSON value without the tildes that `escaped` has put into it."""
    return _with_keys(value, lambda key: key[1:] if key.startswith("~") and _TYPE.fullmatch(key) else key)


def is_nested_deeper(value: Any, levels: int = MAX_NESTING) -> bool:
    """Return True if dicts and lists are nested in more than `levels` levels. Does not recurse."""
    containers = [value]
    for _ in range(levels):
        containers = [inner for outer in containers for inner in _items(outer) if isinstance(inner, (dict, list))]
        if not containers:
            return False
    return True


def _with_keys(value: Any, new: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {new(key) if isinstance(key, str) else key: _with_keys(item, new) for key, item in value.items()}
    return [_with_keys(item, new) for item in value] if isinstance(value, list) else value


def _key(key: Any) -> str:
    return str.__str__(key) if isinstance(key, str) else str(key)


def _items(container: Any) -> Any:
    return container.values() if isinstance(container, dict) else container
