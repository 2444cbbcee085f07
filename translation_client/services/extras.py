"""What may a service have beside orders and answers? Its clocks, a list of languages, a question about many jobs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from urllib.parse import quote, unquote

from ..faults import FieldMissing, WrongJob, json_of, require_usable
from ..messages import Answer, Request
from ..models import Job, TranslationStatus
from .paths import check_path
from .places import Place, found, id_key, named, sentence, written_id
from .words import normal, status_word, table_of, with_common_words


class Limits(NamedTuple):
    """What the three clocks of a service are where the caller does not say: see `WaitPolicy`."""

    timeout: float = 3600
    max_retries: float = math.inf
    request_timeout: float = 10
    max_faults: float = 10


@dataclass(frozen=True)
class Languages:
    """Where the list of target languages is.

    Attributes:
        path: Asked with GET.
        list_field: Where the answer has its list of texts.

    Raises:
        ValueError: The path makes no sense.
    """

    path: str
    list_field: Place

    def __post_init__(self) -> None:
        check_path("path", self.path)

    def request(self) -> Request:
        """Word the question."""
        return Request("GET", self.path)

    def read(self, answer: Answer) -> tuple[str, ...]:
        """Read the list.

        Raises:
            Fault: It cannot be read.
            Refusal: The answer says no.
            FieldMissing: There is none.
        """
        languages = _listed(answer, self.list_field)
        texts = [one for one in languages if isinstance(one, str)]
        if not texts or len(texts) < len(languages):
            raise FieldMissing(f"{named(self.list_field)} (a list of texts)", answer)
        return tuple(texts)


@dataclass(frozen=True)
class Bulk:
    """How many jobs are asked for by one request.

    Attributes:
        path: With `{job_ids}` for the percent-encoded ids, joined by commas.
        max_ids: How many at once.
        list_field: Where the answer has its list of jobs.
        id_field: Where an entry has its id.
        status_field: Where it has its word.
        statuses: What words mean that `Service.statuses` lacks: a word means the same on both routes.
        error_field: Where a failed one says why: a text, or an object with a `message`.
        missing_word: The word for a job that there is not.
        is_optional: Whether a server of this service may lack it: then it is used where many jobs are waited for, and no
            longer once it was refused.

    Raises:
        ValueError: A path or a word makes no sense.
    """

    path: str
    max_ids: int
    list_field: Place
    id_field: Place
    status_field: Place
    statuses: Mapping[str, TranslationStatus | str] = field(hash=False)
    error_field: Place | None = "error"
    missing_word: str = "not_found"
    is_optional: bool = False
    _table: Mapping[str, TranslationStatus] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_path("path", self.path, needs=("job_ids",))
        if self.max_ids < 1:
            raise ValueError(f"max_ids must be at least 1, got {self.max_ids!r}")
        object.__setattr__(self, "statuses", table_of(self.statuses))
        object.__setattr__(self, "_table", with_common_words(self.words))

    @property
    def words(self) -> dict[str, TranslationStatus]:
        """What the words in `statuses` mean; without `missing_word`, which is no status of a job."""
        missing = normal(self.missing_word)
        return {one: TranslationStatus(meaning) for one, meaning in self.statuses.items() if one != missing}

    def with_table(self, table: Mapping[str, TranslationStatus]) -> Bulk:
        """Return a copy that reads words by the table of its service."""
        copied = replace(self)
        object.__setattr__(copied, "_table", table)
        return copied

    def request(self, job_ids: Sequence[str]) -> Request:
        """Word the question."""
        return Request("GET", self.path.format(job_ids=",".join(quote(job_id, safe="") for job_id in job_ids)))

    def found(self, answer: Answer, job_ids: Sequence[str] | None = None) -> dict[str, Job]:
        """Return the jobs in the answer by id. An unknown status word is pending, as for a single job.

        A job that is listed twice with different statuses is left out.

        Args:
            answer: The answer.
            job_ids: The requested ids, compared case-insensitively; jobs with other ids are left out. None for all.

        Raises:
            Fault: The answer cannot be read.
            Refusal: The service refuses the request.
            FieldMissing: There is no list in the answer.
        """
        listed = self._agreed((str(job.id), job) for job in self._jobs(answer))
        chosen = listed if job_ids is None else self._requested(listed, job_ids)
        return {job_id: job for job_id, job in chosen.items() if job is not None}

    def require_no_others(self, answer: Answer, job_ids: Sequence[str]) -> None:
        """Check that a readable answer lists requested jobs alone.

        Raises:
            WrongJob: It lists another one.
        """
        requested = {id_key(job_id) for job_id in job_ids}
        listed = (str(job.id) for job in self._jobs(answer))
        other = next((one for one in listed if not requested & {id_key(one), id_key(unquote(one))}), None)
        if other is not None:
            raise WrongJob(job_ids[0], other, answer)

    def _jobs(self, answer: Answer) -> list[Job]:
        entries = (entry for entry in _listed(answer, self.list_field) if isinstance(entry, Mapping))
        return [job for entry in entries if (job := self._job(entry)) is not None]

    def _job(self, entry: Mapping[str, object]) -> Job | None:
        job_id = written_id(found(entry, self.id_field))
        raw_status = status_word(found(entry, self.status_field), self._table)
        if job_id is None or raw_status is None:
            return None
        status = self._table.get(normal(raw_status), TranslationStatus.PENDING)
        error = sentence(found(entry, self.error_field)) if status is TranslationStatus.ERROR else None
        return Job(job_id, status, raw_status, error=error, payload=entry)

    def _requested(self, listed: Mapping[str, Job | None], job_ids: Sequence[str]) -> dict[str, Job | None]:
        """Choose the jobs with these ids. An id that is not listed exactly as it is matches as in `is_same_id`."""
        exact = {job_id: listed[job_id] for job_id in job_ids if job_id in listed}
        rest = [(listed_id, job) for listed_id, job in listed.items() if listed_id not in exact]
        by_key = self._agreed((key, job) for one, job in rest for key in {id_key(one), id_key(unquote(one))})
        others = {job_id: by_key.get(id_key(job_id)) for job_id in job_ids if job_id not in exact}
        return exact | {job_id: replace(job, id=job_id) for job_id, job in others.items() if job is not None}

    def _agreed(self, listed: Iterable[tuple[str, Job | None]]) -> dict[str, Job | None]:
        """Return jobs by id; None for one that is listed twice with different statuses."""
        by_id: dict[str, Job | None] = {}
        for job_id, job in listed:
            agrees = job_id not in by_id or self._status_of(by_id[job_id]) == self._status_of(job)
            by_id[job_id] = job if agrees else None
        return by_id

    def _status_of(self, job: Job | None) -> object:
        return None if job is None else (job.status, normal(job.raw_status) == normal(self.missing_word))


def _listed(answer: Answer, place: Place) -> list[object]:
    require_usable(answer)
    payload = json_of(answer)
    value = found(payload, place)
    if not isinstance(value, list):
        raise FieldMissing(named(place), answer)
    return value
