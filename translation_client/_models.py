"""Jobs, requests and responses as values, what is wrong with a response, and its `Retry-After` and `Date`.

A *fault* says nothing about the job and is retried; a *refusal* will be the same next time and is not. Neither leaves
the package: `_jobs/error_messages.py` turns them into public errors.
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from datetime import timezone
from email.utils import parsedate_to_datetime
from enum import Enum
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, NamedTuple

from . import _exceptions
from ._auth.headers import FRAMING_HEADERS
from ._auth.redactor import Redactor
from ._exceptions import MAX_NESTING, JobFailed, is_nested_deeper, json_value
from ._exports import exported_from

_CODES = ("code", "errorCode", "error_code", "status", "type")
CODE_NAMES = frozenset(_CODES)
"""The names of machine-readable codes in an error body."""

_MESSAGES = ("detail", "message", "msg", "title", "error_description", "error")

FIELD_NAMES = frozenset({*_CODES, *_MESSAGES, "loc"})
"""The names of fields that are read from an error body. They are never redacted."""


@exported_from("translation_client")
class Problem(dict[str, Any]):
    """The body of an error as it was sent, without secrets. What all shapes have in common is in attributes.

    The shapes: `application/problem+json` (RFC 9457); an object called `error` (HeyGen, Azure: Microsoft's REST API
    guidelines) or `detail` (ElevenLabs); a list called `detail` (FastAPI); plain fields at the top.
    """

    @property
    def code(self) -> str | None:
        """The machine-readable code, such as `rate_limit_exceeded`, or None. A number is returned as its digits.

        A code that merely contains an API key of fewer than 8 characters is not redacted.
        """
        codes = (body.get(name) for body in (self._inner(), self) for name in _CODES)
        return next((str(code) for code in codes if _is_problem_code(code)), None)

    @property
    def message(self) -> str | None:
        """The human-readable message, or None."""
        texts = (_problem_text(body.get(name)) for body in (self._inner(), self) for name in _MESSAGES)
        return next((text for text in texts if text), None)

    def _inner(self) -> Mapping[str, Any]:
        nested = (self.get(name) for name in ("error", "detail"))
        return next((value for value in nested if isinstance(value, Mapping)), {})


def redacted_problem(problem: Problem, redactor: Redactor) -> Problem:
    """Return a problem without secrets. The names of its fields stay, and its `code` if a short key is a part of it."""
    return Problem(redactor.redact_fields(_with_joined_paths(problem, redactor), FIELD_NAMES, CODE_NAMES))


def _with_joined_paths(problem: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    """Return a problem with one redacted text in place of each `loc` whose parts are a secret only when they are joined."""
    joined: dict[str, Any] = {}
    for name, value in problem.items():
        path = _joined_path(value) if name == "loc" else ""
        if path and redactor.contains_secret(path):
            joined[name] = [redactor.redact(path)]
        elif isinstance(value, Mapping):
            joined[name] = _with_joined_paths(value, redactor)
        elif isinstance(value, list):
            joined[name] = [_with_joined_paths(item, redactor) if isinstance(item, Mapping) else item for item in value]
        else:
            joined[name] = value
    return joined


def _joined_path(path: Any) -> str:
    return ".".join(str(part) for part in path if isinstance(part, (str, int))) if isinstance(path, list) else ""


def _is_problem_code(value: Any) -> bool:
    return (isinstance(value, str) and bool(value)) or (isinstance(value, int) and not isinstance(value, bool))


def _problem_text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and isinstance(value[0], Mapping):  # FastAPI: one entry for each invalid field
        where = _joined_path(value[0].get("loc"))
        what = value[0].get("msg")
        return f"{where}: {what}" if where and isinstance(what, str) else what if isinstance(what, str) else None
    return None


_SHOWN = "_shown"
"""The attribute with redacted texts that are shown in place of fields. Not a field, as `to_dict` returns only data."""


@exported_from("translation_client")
class TranslationStatus(str, Enum):
    """The status of a job. Prints and compares as its word: `TranslationStatus.PENDING == "pending"`."""

    PENDING = "pending"
    COMPLETED = "completed"
    ERROR = "error"

    def __str__(self) -> str:
        return self.value

    @property
    def is_final(self) -> bool:
        """True if the status will not change any more."""
        return self is not TranslationStatus.PENDING


@exported_from("translation_client")
@dataclass(frozen=True, repr=False)
class Job:
    """One job as it was last seen.

    `error` is redacted. All other fields are what the service sent, and may contain secrets; `repr` shows none of them.

    Attributes:
        id: The id at the service; empty for the single job of the reference service. Always a string: a number becomes
            its text. Any other object is a `TypeError`.
        status: Pending, completed or error.
        raw_status: The service's own status word.
        progress: A number from 0 to 1; None if the service reports none.
        result_url: The URL of the result, or None. May be a signed link.
        error: The service's error text, or None.
        retry_after: Seconds from `Retry-After`, or None.
        checks: The number of status responses so far in this wait, this one included.
        elapsed: Seconds from the start of the wait to this response.
        payload: The response as the service sent it.
        language: The target language, in the service's spelling; None if unknown.
        expected_seconds: The service's estimate of the duration in seconds, or None.
        submitted_at: When the job was submitted, in seconds of the Unix epoch by the local clock; None if unknown.
        finished_at: When the job finished, or, while it is pending, will finish according to the service, in seconds of
            the Unix epoch by the local clock; None if unknown.
    """

    id: str
    status: TranslationStatus
    raw_status: str
    progress: float | None = None
    result_url: str | None = None
    error: str | None = None
    retry_after: float | None = None
    checks: int = 0
    elapsed: float = 0.0
    payload: Mapping[str, Any] = field(default_factory=dict, hash=False)
    language: str | None = None
    expected_seconds: float | None = None
    submitted_at: float | None = None
    finished_at: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.id, str):
            object.__setattr__(self, "id", _id_as_text(self.id))

    def __repr__(self) -> str:
        """Return a text that is safe in a log. Payload, link and the service's text may hold anything."""
        return (
            f"Job(id={shown_text(self, 'id')!r}, status={self.status!r}, progress={self.progress!r}, "
            f"checks={self.checks!r}, elapsed={self.elapsed!r})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as a JSON object: a copy, in which NaN and infinite numbers are None."""
        return {one.name: json_value(getattr(self, one.name)) for one in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Job":
        """Return the job for a dictionary from `to_dict`, also of another version: unknown names are ignored.

        A status that is unknown or missing becomes pending.
        """
        known = {one.name: values[one.name] for one in fields(cls) if values.get(one.name) is not None}
        status = _parse_status(known.pop("status", None))
        return cls(**{"id": "", "raw_status": str(status), **known}, status=status)

    def raise_for_status(self) -> None:
        """Raise an error if the job failed.

        Raises:
            JobFailed: The status is `error`.
        """
        if self.status is not TranslationStatus.ERROR:
            return
        raise JobFailed(
            f"{describe_job(shown_text(self, 'id'))} failed at the service: {self.error or shown_text(self, 'raw_status')}. "
            "This is final: submit the video again.",
            job_id=self.id or None,
            job=self,
            attempts=self.checks,  # one call for each response at least; the number of faults between is unknown
            checks=self.checks,
            elapsed=self.elapsed,
            may_have_been_accepted=False,
        )


_exceptions.FACT_TYPES.update(job=Job.from_dict, problem=Problem)


def with_shown_texts(job: Job, **texts: str | None) -> Job:
    """Return a copy of a job with the shown texts of some fields. The job itself is returned if none differs."""
    differing = {name: text for name, text in texts.items() if text != getattr(job, name)}
    if not differing:
        return job
    copied = replace(job)
    vars(copied)[_SHOWN] = differing
    return copied


def shown_text(job: Job, name: str) -> Any:
    """Return a field of a job as `repr`, messages, log lines and terminals show it."""
    return vars(job).get(_SHOWN, {}).get(name, getattr(job, name))


def redacted(job: Job, redactor: Redactor, *, is_known: bool) -> Job:
    """Return a job whose texts are free of secrets, and whose data is what the service sent.

    The texts are its `error`, and its id and status word as they are shown. See `shown_text`.

    Args:
        job: The job as it was read from a response.
        redactor: The redactor.
        is_known: True if the service has this status word, which is then not a secret.
    """
    if job.error is not None:
        job = replace(job, error=redactor.printable(job.error))
    shown_status = job.raw_status if is_known else redactor.printable(job.raw_status)
    job_id = redactor.redact_id(job.id)
    is_shown_as_sent = (job_id, shown_status) == (job.id, job.raw_status)
    return job if is_shown_as_sent else with_shown_texts(job, id=job_id, raw_status=shown_status)


def _id_as_text(job_id: object) -> str:
    """Return the text for an id that is a number, or None for a single job: of a caller's `Service.read_status`, or of JSON."""
    if job_id is None:
        return ""
    if not isinstance(job_id, int) or isinstance(job_id, bool):
        raise TypeError(f"the id of a Job must be a string, got an object of the type {type(job_id).__name__}")
    return str(job_id)


def _parse_status(raw_status: Any) -> TranslationStatus:
    try:
        return TranslationStatus(raw_status)
    except ValueError:  # a status of a newer version
        return TranslationStatus.PENDING


def job_id_of(job: Job | str | None) -> str | None:
    """Return the id of a job, and an id as it is. None is the single job, whose `Job.id` is empty, or None in old pickles."""
    return (job.id or None) if isinstance(job, Job) else job


def describe_job(job_id: str | None) -> str:
    """Return the name of a job in messages. The single job has none."""
    return f"job {job_id!r}" if job_id else "the job"


@exported_from("translation_client")
class FilePart(NamedTuple):
    """A local file to upload in a form.

    Attributes:
        field: The name of the form field.
        path: The path of the file.
    """

    field: str
    path: Path


@exported_from("translation_client")
@dataclass(frozen=True)
class Request:
    """An HTTP request in the terms of a service. Its body is `json`, or a form of `form` and `file`, or empty.

    Attributes:
        method: The HTTP method in capitals.
        path: Begins with a slash, is percent-encoded and follows the base URL; or an absolute URL.
        headers: Further headers, besides the API key and those of all requests.
        json: A JSON value, or None.
        form: The fields of a `multipart/form-data` body, of which several may have one name, or None.
        file: The file of the form, or None. It is sent as it is read, and never held in memory.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    json: Any = field(default=None, repr=False, hash=False)
    form: Sequence[tuple[str, str]] | None = field(default=None, repr=False)
    file: FilePart | None = None

    def __post_init__(self) -> None:
        """Check the names of the headers.

        Raises:
            ValueError: One of them frames the body (`Content-Length`, `Transfer-Encoding`), which is up to the transport.
        """
        framing = [name for name in self.headers if name.lower() in FRAMING_HEADERS]
        if framing:
            raise ValueError(f"headers must not have {framing[0]!r}, which is set from the body of each request")

    @property
    def is_transfer(self) -> bool:
        """True if the request carries a file, which may take any time as long as bytes are sent."""
        return self.file is not None

    def url(self, base_url: str) -> str:
        """Return the absolute URL."""
        return base_url + self.path if self.path.startswith("/") else self.path


@exported_from("translation_client")
@dataclass(frozen=True)
class Response:
    """An HTTP response, read to its end.

    Attributes:
        status_code: The HTTP status code.
        headers: The headers. Names are case-insensitive.
        body: The body in bytes, with its content coding undone.
        seconds: Seconds from the request to the end of the response.
        sent_keys: The secrets in the rotating API key of the request, which the response may echo. Empty for a fixed
            key, which is redacted anyway.
    """

    status_code: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    seconds: float = 0.0
    sent_keys: tuple[str, ...] = field(default=(), repr=False)

    def json_object(self) -> dict[str, Any] | None:
        """Return the body as a JSON object, or None if it is not one, or too deeply nested to be copied or pickled."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):  # bad JSON, bad UTF-8, a number of a million digits; a million brackets
            return None
        has_many_levels = self.body.count(b"{") + self.body.count(b"[") > MAX_NESTING  # impossible for most bodies
        if not isinstance(value, dict) or (has_many_levels and is_nested_deeper(value)):
            return None
        return value

    def require_json(self) -> dict[str, Any]:
        """Return the body as a JSON object.

        Raises:
            Fault: The body is not a JSON object.
        """
        value = self.json_object()
        if value is None:
            raise Fault("unreadable", "the body is not a JSON object", self)
        return value

    @property
    def problem(self) -> Problem | None:
        """The body as that of an error, or None if it is not a JSON object."""
        value = self.json_object()
        return None if value is None else Problem(value)

    def raise_for_status(self) -> None:
        """Check that the status is 2xx: the rule for every status that a service does not interpret itself.

        Raises:
            Fault: 408, 425, 429, 5xx, or a status that is neither a success nor an error.
            Refusal: Any other 4xx.
        """
        code = self.status_code
        if 200 <= code < 300:
            return
        if code in TRANSIENT_4XX or code >= 500:
            raise Fault("status", status_line(code), self)
        if 400 <= code < 500:
            raise Refusal(self)
        raise Fault("unreadable", f"{status_line(code)} is neither a success nor an error", self)

    @property
    def text(self) -> str:
        """The body as text, in the encoding detected as for JSON: UTF-8, 16 or 32. Undecodable bytes are replaced."""
        return self.body.decode(json.detect_encoding(self.body), "replace")


FaultKind = Literal["connection", "timeout", "status", "unreadable"]

TRANSIENT_4XX = frozenset({408, 425, 429})
"""Request Timeout, Too Early, Too Many Requests: the request itself is fine (RFC 9110 15.5.9, RFC 8470, RFC 6585)."""


NOT_DONE = frozenset({425, 429})
"""Too Early, Too Many Requests: the request was not processed (RFC 8470, section 5.2; RFC 6585, section 4)."""


MAX_ID_LENGTH = 200
"""The longest id in the text of a fault, in characters. A server may send one of any length."""


class Fault(Exception):
    """A call without a usable response, which may be retried.

    Attributes:
        kind: `connection`, `timeout`, `status` (408, 425, 429, 5xx) or `unreadable`.
        text: What happened, in a few words of ours. It is redacted before it is shown, as it may quote a number of the
            server, or a text of the system with a host in it.
        media_type: A media type as the server sent it, with which the shown text begins; empty for none.
        response: The response, or None.
        retry_after: Seconds from `Retry-After`, or None.
        was_sent: True if the whole request may have reached the server, which may have processed it.
    """

    def __init__(
        self,
        kind: FaultKind,
        text: str,
        response: Response | None = None,
        retry_after: float | None = None,
        *,
        media_type: str = "",
    ) -> None:
        super().__init__(kind, text)  # its own arguments, as a public error it causes may be pickled
        self.kind: FaultKind = kind
        self.text = text
        self.media_type = media_type
        self.response = response
        self.retry_after = retry_after
        self.was_sent = True

    def __str__(self) -> str:
        return self.text

    def redact(self, redactor: Redactor) -> None:
        """Make the text one that may be shown: without secrets, shortened, control characters escaped."""
        sent = self.media_type.strip()
        searched = sent if redactor.contains_secret(sent) else sent.lower()  # a key may have capitals, or have got them
        media_type = redactor.printable(searched).lower()
        text = redactor.redact_message(self.text)
        self.text, self.media_type = f"{media_type} {text}".strip(), ""
        self.args = self.kind, self.text

    def add_sent_keys(self, keys: tuple[str, ...]) -> None:
        """Store the keys of the request in the response, if there is one."""
        if self.response is not None:
            self.response = replace(self.response, sent_keys=keys)

    @property
    def may_have_been_processed(self) -> bool:
        """True if the server may have processed the request."""
        return self.was_sent and self.status_code not in NOT_DONE

    @property
    def status_code(self) -> int | None:
        """The HTTP status code of the response, or None."""
        return None if self.response is None else self.response.status_code


class WrongJob(Fault):
    """A response about another job, or another operation, than the request.

    Attributes:
        requested_id: The id in the request.
        named_id: The id in the response, as the server sent it.
    """

    def __init__(self, requested_id: str, named_id: str, response: Response, kind: str = "job") -> None:
        super().__init__("unreadable", f"the response is about another {kind}", response)
        self._kind = kind
        self.requested_id = requested_id
        self.named_id = named_id

    def redact(self, redactor: Redactor) -> None:
        """Add both ids to the text, each truncated and with control characters escaped. Only keys are redacted in them."""
        named_id, requested_id = (
            redactor.redact_id(job_id)[:MAX_ID_LENGTH] for job_id in (self.named_id, self.requested_id)
        )
        self.text = f"the response is about {self._kind} {named_id!r}, not {requested_id!r}"
        self.args = self.kind, self.text


class Refusal(Exception):
    """A response that rejects the request, and would reject it again.

    Attributes:
        response: The response that refused the request.
        problem: Its body; None if that is not a JSON object.
    """

    def __init__(self, response: Response, text: str = "") -> None:
        line = status_line(response.status_code)
        super().__init__(f"{text} ({line})" if text else line)
        self.response = response

    @cached_property
    def problem(self) -> Problem | None:
        """The body of the response, or None if it is not a JSON object."""
        return self.response.problem


class ConcurrencyLimitReached(Refusal):
    """A refusal because too many jobs are running. It stays the same until one of them has finished."""


class SubmissionRejected(Refusal):
    """A response that rejects a submission that had been accepted."""


class MissingField(Exception):
    """A successful response that lacks an expected field, and would lack it again.

    Attributes:
        field: The missing field, as a path through the JSON.
        response: The response.
    """

    def __init__(self, field: str, response: Response) -> None:
        super().__init__(f"the response has no {field!r}")
        self.field = field
        self.response = response


def interim_as_final(response: Response) -> Fault:
    """Return the fault for a 1xx response that was returned as the final one. Its connection must not be used again."""
    return Fault("unreadable", f"{status_line(response.status_code)} is no final response", response)


def status_line(code: int) -> str:
    """Return an HTTP status with the reason phrase of the registry, never the server's."""
    try:
        return f"HTTP {code} {HTTPStatus(code).phrase}"
    except ValueError:
        return f"HTTP {code}"


_DELAY_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
"""Whole seconds by the RFC, though some servers send fractions. Ten digits, over 31 years, are invalid."""


_RETRY_AFTER_VALUES = re.compile(r"\s*(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,[^,]*|[^,]+")
"""The values in a joined header. A date has a comma after the name of its day."""


def header_lines(headers: Mapping[str, str], name: str) -> list[str]:
    """Return the values of a header that is there, and may be sent several times, as the HTTP library has them.

    requests joins repeated headers with commas. aiohttp keeps them apart, and its `get` returns only the first.
    """
    get_all = getattr(headers, "getall", None)
    return [headers[name]] if get_all is None else list(get_all(name))


def parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the value of `Retry-After` in seconds from now, or None.

    A date is taken relative to the response's own `Date`, so that a wrong local clock does no harm. A past one is 0. If it
    was sent more than once, as by a service and a proxy, the longest counts.

    Raises:
        ValueError: No value is a number of seconds or an HTTP date.
    """
    if "Retry-After" not in headers:
        return None
    lines = header_lines(headers, "Retry-After")
    values = [value.strip() for line in lines for value in _RETRY_AFTER_VALUES.findall(line)]
    seconds = [delay for value in values if (delay := _delay(value, headers)) is not None]
    if not seconds:
        raise ValueError(f"neither seconds nor an HTTP date: {lines!r}")
    return max(seconds)


def _delay(value: str, headers: Mapping[str, str]) -> float | None:
    if _DELAY_SECONDS.fullmatch(value):
        return float(value)
    with suppress(ValueError):
        return max(0.0, _http_date(value) - response_date(headers))
    return None


def response_date(headers: Mapping[str, str]) -> float:
    """Return the time of a response by the server's clock, in whole seconds, or by the local one without a `Date`."""
    try:
        return _http_date(headers["Date"])
    except (KeyError, ValueError):
        return time.time()


def _http_date(value: str) -> float:
    try:
        date = parsedate_to_datetime(value)
        # The old asctime form names no zone; an HTTP date is always UTC (RFC 9110, section 5.6.7).
        return (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp()
    except (TypeError, IndexError, OverflowError) as error:  # what the parser raises besides ValueError
        raise ValueError(f"not an HTTP date: {value!r}") from error


SAME_CLOCK_SECONDS = 2.0
"""2 s: a smaller offset of a server's clock is ignored, as its `Date` has whole seconds and arrives later."""


def reported_duration(job: Job) -> float | None:
    """Return the duration of a finished job by the service's own clock, or None unless it reports both ends."""
    if job.finished_at is None or job.submitted_at is None or not job.status.is_final:
        return None
    return job.finished_at - job.submitted_at


def to_local_time(server_time: float, response: Response) -> float:
    """Convert a time of the server's clock to the local clock, by the offset that its `Date` shows."""
    offset = time.time() - response_date(response.headers)
    return server_time if abs(offset) < SAME_CLOCK_SECONDS else server_time + offset
