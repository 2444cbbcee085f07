"""The protocol of a service as data: its paths, the fields of its JSON, its status words.

No I/O and no clock: a service builds requests and reads responses.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from .. import _config
from .._auth.headers import BEARER
from .._auth.urls import OUTER_BLANKS, resolve_link
from .._config import check_path_template, quote_path_segment
from .._exports import exported_from
from .._models import (
    Fault,
    Job,
    MissingField,
    Problem,
    Refusal,
    Request,
    Response,
    TranslationStatus,
    WrongJob,
)
from .job_ids import id_key, is_same_id, written_id
from .json_path import (
    JSONPath,
    as_fraction,
    as_message,
    as_number,
    as_text,
    as_timestamp,
    describe_path,
    get_path,
    is_key,
)
from .statuses import normalize, parse_statuses, status_word, with_common_statuses
from .submission import SubmitFlow


@exported_from("translation_client")
class ServiceDefaults(NamedTuple):
    """The defaults of a client of the service.

    Attributes:
        timeout: Seconds for a whole wait. `math.inf` for no limit.
        max_retries: Status checks after the first one. `math.inf` for no limit.
        request_timeout: Seconds for one HTTP call.
        max_faults: Attempts for each request. `math.inf` for no limit.
    """

    timeout: float = 3600
    max_retries: float = math.inf
    request_timeout: float = 10
    max_faults: float = 10


@exported_from("translation_client")
@dataclass(frozen=True)
class LanguagesSpec:
    """The route of the list of target languages.

    Attributes:
        path: The path of the GET request.
        list_field: The path in the response to the list of languages, which are strings.

    Raises:
        ValueError: `path` is not a valid path template.
    """

    path: str
    list_field: JSONPath

    def __post_init__(self) -> None:
        check_path_template("path", self.path)

    def request(self) -> Request:
        """Build the request."""
        return Request("GET", self.path)

    def read(self, response: Response) -> tuple[str, ...]:
        """Return the languages in a response.

        Raises:
            Fault: The response cannot be read, or has a status that can be retried.
            Refusal: The service refuses the request.
            MissingField: There is no list in the response, or it is empty or holds anything but strings.
        """
        languages = _listed(response, self.list_field)
        texts = [language for language in languages if isinstance(language, str)]
        if not texts or len(texts) < len(languages):
            raise MissingField(f"{describe_path(self.list_field)} (a list of texts)", response)
        return tuple(texts)


@exported_from("translation_client")
@dataclass(frozen=True)
class BulkSpec:
    """The route that returns the statuses of many jobs in one response.

    Attributes:
        path: The path, with `{job_ids}` for the percent-encoded ids, joined by commas.
        max_ids: The most ids in one request.
        list_field: The path in the response to the list of jobs.
        id_field: The path in an entry to the id.
        status_field: The path in an entry to the status word.
        statuses: Meanings of words on this route. A word that only one of `statuses` and `Service.statuses` has means
            the same on both routes, except a common word, which keeps its common meaning on the other route.
        error_field: The path in an entry to the reason of a failure: a string, or an object with a `message`. None if
            there is none.
        missing_word: The status word of a job that does not exist.
        is_optional: True if a server of this service may lack the route. It is then used by a batch only.

    Raises:
        ValueError: A path is not a valid template, `max_ids` is below 1, or a word has an unknown meaning.
    """

    path: str
    max_ids: int
    list_field: JSONPath
    id_field: JSONPath
    status_field: JSONPath
    statuses: Mapping[str, TranslationStatus | str] = field(hash=False)
    error_field: JSONPath | None = "error"
    missing_word: str = "not_found"
    is_optional: bool = False
    _table: Mapping[str, TranslationStatus] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_path_template("path", self.path, required=("job_ids",))
        if self.max_ids < 1:
            raise ValueError(f"max_ids must be at least 1, got {self.max_ids!r}")
        object.__setattr__(self, "statuses", parse_statuses(self.statuses))
        object.__setattr__(self, "_table", with_common_statuses(self.own_statuses))

    @property
    def own_statuses(self) -> dict[str, TranslationStatus]:
        """The meanings of the words in `statuses`, without `missing_word`, which is not a status of a job."""
        missing = normalize(self.missing_word)
        return {word: TranslationStatus(meaning) for word, meaning in self.statuses.items() if word != missing}

    def with_table(self, table: Mapping[str, TranslationStatus]) -> "BulkSpec":
        """Return a copy that reads status words by the table of its service."""
        copied = replace(self)
        object.__setattr__(copied, "_table", table)
        return copied

    def is_missing(self, job: Job) -> bool:
        """Return True if a bulk response says that there is no such job."""
        return normalize(job.raw_status) == normalize(self.missing_word)

    def request(self, job_ids: Sequence[str]) -> Request:
        """Build the request for these jobs."""
        return Request("GET", self.path.format(job_ids=",".join(quote(job_id, safe="") for job_id in job_ids)))

    def read(self, response: Response, job_ids: Sequence[str] | None = None) -> dict[str, Job]:
        """Return the jobs in a response by id. An unknown status word is pending, as for a single job.

        A job that is listed twice with different statuses is left out.

        Args:
            response: The response.
            job_ids: The requested ids, compared case-insensitively. Jobs with other ids are left out. None for all.

        Raises:
            Fault: The response cannot be read, or has a status that can be retried.
            Refusal: The service refuses the request.
            MissingField: There is no list in the response.
        """
        listed = self._agreed((job.id, job) for job in self._jobs(response))
        chosen = listed if job_ids is None else self._requested(listed, job_ids)
        return {job_id: job for job_id, job in chosen.items() if job is not None}

    def require_no_others(self, response: Response, job_ids: Sequence[str]) -> None:
        """Check that a readable response lists only requested jobs.

        Raises:
            WrongJob: The response lists another job.
        """
        requested = {id_key(job_id) for job_id in job_ids}
        listed = (job.id for job in self._jobs(response))
        other_id = next((job_id for job_id in listed if not requested & _id_keys(job_id)), None)
        if other_id is not None:
            raise WrongJob(job_ids[0], other_id, response)

    def _jobs(self, response: Response) -> list[Job]:
        entries = (entry for entry in _listed(response, self.list_field) if isinstance(entry, Mapping))
        return [job for entry in entries if (job := self._job(entry)) is not None]

    def _job(self, entry: Mapping[str, object]) -> Job | None:
        job_id = written_id(get_path(entry, self.id_field))
        raw_status = status_word(get_path(entry, self.status_field), self._table)
        if job_id is None or raw_status is None:
            return None
        status = self._table.get(normalize(raw_status), TranslationStatus.PENDING)
        error = as_message(get_path(entry, self.error_field)) if status is TranslationStatus.ERROR else None
        return Job(job_id, status, raw_status, error=error, payload=entry)

    def _requested(self, listed: Mapping[str, Job | None], job_ids: Sequence[str]) -> dict[str, Job | None]:
        """Return the jobs with these ids. An id that is not listed exactly matches as in `is_same_id`."""
        exact = {job_id: listed[job_id] for job_id in job_ids if job_id in listed}
        rest = [(listed_id, job) for listed_id, job in listed.items() if listed_id not in exact]
        by_key = self._agreed((key, job) for listed_id, job in rest for key in _id_keys(listed_id))
        others = {job_id: by_key.get(id_key(job_id)) for job_id in job_ids if job_id not in exact}
        return exact | {job_id: replace(job, id=job_id) for job_id, job in others.items() if job is not None}

    def _agreed(self, listed: Iterable[tuple[str, Job | None]]) -> dict[str, Job | None]:
        """Return jobs by id, with None for one that is listed twice with different statuses."""
        by_id: dict[str, Job | None] = {}
        for job_id, job in listed:
            agrees = job_id not in by_id or self._status_of(by_id[job_id]) == self._status_of(job)
            by_id[job_id] = job if agrees else None
        return by_id

    def _status_of(self, job: Job | None) -> object:
        return None if job is None else (job.status, self.is_missing(job))


def _id_keys(job_id: str) -> set[str]:
    """Return the keys by which an id in a response, which may be percent-encoded, is compared."""
    return {id_key(job_id), id_key(unquote(job_id))}


def _listed(response: Response, path: JSONPath) -> list[object]:
    response.raise_for_status()
    payload = response.require_json()
    value = get_path(payload, path)
    if not isinstance(value, list):
        raise MissingField(describe_path(path), response)
    return value


class _OptionalField(NamedTuple):
    """A field of a job that a response may lack.

    Attributes:
        name: The name of the field in `Job`.
        path: Where it is in a response.
        key: The path if it is a key of the JSON object itself, which is read faster; None for any other path.
        convert: Converts the value.
    """

    name: str
    path: JSONPath
    key: str | None
    convert: Callable[[Any], Any]


@exported_from("translation_client")
@dataclass(frozen=True)
class Service:
    """A translation service.

    A field is a path in the JSON of a response such as `data.id`, several of them, or a function: see `JSONPath`. None
    means that the responses do not have it.

    Attributes:
        name: The name of the service.
        status_path: The path of the status of a job, with `{job_id}` for the percent-encoded id.
        base_url: The default base URL, with `{NAME}` for an environment variable. None if the caller must set one.
        defaults: The defaults of `timeout`, `max_retries`, `request_timeout` and `max_faults`.
        single_job_path: The path of the status of the job without an id. None if every job has an id.
        key_header: The header of the API key.
        key_prefix: The text before the key in that header.
        key_variable: The environment variable that holds the key if the caller passes none. None for no variable.
        needs_key: True if every request needs a key.
        status_field: The field of the status word.
        statuses: The meanings of status words: `pending`, `completed` or `error`. The common words are known without
            it, and those of `bulk` too. A meaning in this table wins.
        progress_field: The field of the progress, from 0 to 1.
        result_field: The field of the URL of the result.
        result_path: The path of the result on the API itself, with `{job_id}` and `{language}`. None if the result has
            a URL.
        has_late_result: True if a job may be `completed` before its URL is there. It is pending until then.
        not_yet: The HTTP statuses, each with an error code or None for any, that mean that a result is not there yet.
        error_field: The field of the reason of a failure: a string, or an object with a `message`.
        language_field: The field of the target language.
        created_field: The field of the submission time, in seconds of the Unix epoch or in ISO 8601.
        finished_field: The field of the time at which the job finished or will finish, in the same formats.
        expected_field: The field of the expected duration of the job, in seconds from its start.
        missing_codes: The successful HTTP statuses that mean that the job does not exist.
        delete_path: The path to delete a job. None if the service deletes none.
        submit: How jobs are submitted. None if they cannot be.
        languages: The route of the list of target languages, or None.
        bulk: The route of the statuses of many jobs, or None.
        id_field: The field in the response to a status check, or to a deletion, of the id of its job. None if there is
            none. A response with the id of another job than the request is a fault, and so is one whose id is a
            boolean, a list or an object. Ids are compared case-insensitively, percent-decoded and as text. A response
            without an id is accepted.

    Raises:
        ValueError: `name` is empty or not printable, a path is not a valid template, or a word has an unknown meaning.
    """

    name: str
    status_path: str
    base_url: str | None = None
    defaults: ServiceDefaults = ServiceDefaults()  # noqa: RUF009  # frozen
    single_job_path: str | None = None
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "
    key_variable: str | None = None
    needs_key: bool = False
    status_field: JSONPath = "status"
    statuses: Mapping[str, TranslationStatus | str] = field(default_factory=dict, hash=False)
    progress_field: JSONPath | None = "progress"
    result_field: JSONPath | None = "result_url"
    result_path: str | None = None
    has_late_result: bool = False
    not_yet: frozenset[tuple[int, str | None]] = frozenset()
    error_field: JSONPath | None = "error"
    language_field: JSONPath | None = None
    created_field: JSONPath | None = "created_at"
    finished_field: JSONPath | None = "finished_at"
    expected_field: JSONPath | None = "expected_seconds"
    missing_codes: frozenset[int] = frozenset()
    delete_path: str | None = None
    submit: SubmitFlow | None = None
    languages: LanguagesSpec | None = None
    bulk: BulkSpec | None = None
    id_field: JSONPath | None = None
    _table: Mapping[str, TranslationStatus] = field(init=False, repr=False, compare=False)
    _optional_fields: Sequence[_OptionalField] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or not self.name.isprintable():
            raise ValueError(f"name must be a non-empty printable text, got {self.name!r}")
        check_path_template("status_path", self.status_path, required=("job_id",))
        for name, optional in (("delete_path", ("job_id",)), ("result_path", ("job_id", "language"))):
            if getattr(self, name) is not None:
                check_path_template(name, getattr(self, name), required=("job_id",), optional=optional)
        if self.single_job_path is not None:
            check_path_template("single_job_path", self.single_job_path)
        words = parse_statuses(self.statuses)
        object.__setattr__(self, "_table", with_common_statuses(words))
        object.__setattr__(self, "_optional_fields", self._paths_of_optional_fields())
        if self.bulk is not None:
            own, bulk_words = self._table, self.bulk.own_statuses
            # A word that only one of the two tables has means the same on both routes, unless it is a common one.
            object.__setattr__(self, "_table", {**bulk_words, **own})
            object.__setattr__(self, "bulk", self.bulk.with_table({**own, **bulk_words}))

    def _paths_of_optional_fields(self) -> list[_OptionalField]:
        paths: list[tuple[str, JSONPath | None, Callable[[Any], Any]]] = [
            ("progress", self.progress_field, as_fraction),
            ("result_url", self.result_field, as_text),
            ("language", self.language_field, as_text),
            ("expected_seconds", self.expected_field, as_number),
            ("submitted_at", self.created_field, as_timestamp),
            ("finished_at", self.finished_field, as_timestamp),
        ]
        return [
            _OptionalField(name, path, path if is_key(path) else None, convert)
            for name, path, convert in paths
            if path is not None
        ]

    def status_request(self, job_id: str | None) -> Request:
        """Build the request for the status of a job.

        Raises:
            ValueError: `job_id` cannot be part of a path, or is None and every job has one.
        """
        if job_id is not None or self.single_job_path is None:
            return Request("GET", self._path(self.status_path, job_id))
        return Request("GET", self.single_job_path)

    def delete_request(self, job_id: str | None) -> Request:
        """Build the request to delete a job.

        Raises:
            ValueError: `job_id` is None or cannot be part of a path, or the service deletes no jobs.
        """
        if self.delete_path is None:
            raise ValueError(f"the service {self.name!r} has no way to delete a job")
        return Request("DELETE", self._path(self.delete_path, job_id))

    def key_headers(self, api_key: str) -> dict[str, str]:
        """Return the header with the API key. A key that begins with `Bearer ` is a token, sent as `Authorization`."""
        if api_key.startswith(BEARER):
            return {"Authorization": api_key}
        return {self.key_header: self.key_prefix + api_key}

    def is_known_status(self, raw_status: str) -> bool:
        """Return True if the table has this status word."""
        return normalize(raw_status) in self._table

    def read_status(self, response: Response, job_id: str | None, language: str | None = None) -> Job:
        """Parse the response to `status_request`.

        An unknown status word is pending: services add words, and a new one must not fail a job.

        Args:
            response: The response.
            job_id: The id in the request. None for the single job.
            language: The target language, or None if it is unknown.

        Raises:
            Fault: The response cannot be read, names another job, or has a status that can be retried.
            Refusal: The service refuses the request, or the job does not exist.
        """
        if response.status_code in self.missing_codes:
            raise Refusal(response, "there is no such job")
        response.raise_for_status()
        payload = response.require_json()
        if self.id_field is not None:
            self._require_same_job(payload, job_id, response)
        raw_status = status_word(get_path(payload, self.status_field), self._table)
        if raw_status is None:
            raise Fault("unreadable", f"the body has no status in {describe_path(self.status_field)!r}", response)
        details = self._details(payload)
        details["language"] = language or details.get("language")
        status = self._status(raw_status, details.get("result_url"))
        if status is TranslationStatus.ERROR:
            details["error"] = as_message(get_path(payload, self.error_field))
        return Job(id=job_id or "", status=status, raw_status=raw_status, payload=payload, **details)

    def _details(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Return the optional fields that a response has, by their names in `Job`."""
        details = {}
        for name, path, key, convert in self._optional_fields:
            value = get_path(payload, path) if key is None else payload.get(key)
            if value is not None:
                details[name] = convert(value)
        return details

    def read_deletion(self, response: Response, job_id: str | None) -> None:
        """Check the response to `delete_request`, whose body may be anything.

        Raises:
            Fault: The response names another job, or has a status that can be retried.
            Refusal: The service refuses the request.
        """
        response.raise_for_status()
        if self.id_field is not None:
            self._require_same_job(response.json_object() or {}, job_id, response)

    def _require_same_job(self, payload: Mapping[str, Any], job_id: str | None, response: Response) -> None:
        named_id = written_id(get_path(payload, self.id_field))
        if named_id is not None and job_id and not is_same_id(named_id, job_id):
            raise WrongJob(job_id, named_id, response)

    def _status(self, raw_status: str, link: str | None) -> TranslationStatus:
        status = self._table.get(normalize(raw_status), TranslationStatus.PENDING)
        is_early = status is TranslationStatus.COMPLETED and link is None and self.has_late_result
        return TranslationStatus.PENDING if is_early else status

    @property
    def has_details_in_single_responses(self) -> bool:
        """True if the status of a single job has fields that a bulk response lacks: the URL of the result among others.

        A final job then needs a request of its own. A failed job does too, since its language or dates may be there
        alone.
        """
        return self.has_late_result or (self.result_field is not None and self.result_path is None)

    @property
    def has_result_per_language(self) -> bool:
        """True if a job may have several results, one for each language."""
        return self.result_path is not None and "{language}" in self.result_path

    def check_result_language(self, language: str | None) -> None:
        """Check that the result of a job can be chosen by this language. None is always valid.

        Raises:
            ValueError: A job has only one result, or `language` is not a language.
            TypeError: `language` is not a string.
        """
        if language is not None and _config.check_language("language", language) and not self.has_result_per_language:
            raise ValueError(f"language must be left out: a job of {self.name!r} has one result")

    def result_link(self, job: Job, base_url: str) -> str | None:
        """Return the URL of the result of a job, or None if it is unknown. The link of a job may turn out to be no URL.

        Raises:
            ValueError: The job has no id.
        """
        link = job.result_url
        if link is not None:
            is_reference = link.lstrip(OUTER_BLANKS).startswith("/")  # a path, or `//host/path`; a mere word is neither
            return (resolve_link(base_url + "/", link) if is_reference else resolve_link("", link)) or link
        if self.result_path is None or (self.has_result_per_language and job.language is None):
            return None
        return base_url + self._path(self.result_path, job.id or None, job.language or "")

    def is_result_pending(self, response: Response) -> bool:
        """Return True if a response to the request for a result means that the result is not there yet."""
        problem = Problem(response.json_object() or {})
        return bool(self.not_yet & {(response.status_code, None), (response.status_code, problem.code)})

    def _path(self, template: str, job_id: str | None, language: str = "") -> str:
        if job_id is None:
            raise ValueError(f"job must be given: this request of the service {self.name!r} needs its id")
        return template.format(job_id=quote_path_segment(job_id), language=quote(language, safe=""))
