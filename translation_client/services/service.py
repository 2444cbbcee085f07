"""What does a service say? A service is data: its paths, where things sit in its JSON, its words.

Pure: a service builds a request value and reads an answer value. It knows no socket and no time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urljoin

from .. import arguments
from ..arguments import path_segment
from ..faults import Fault, Refusal, WrongJob, json_of, require_usable
from ..headers import BEARER
from ..messages import Answer, Request
from ..models import Job, TranslationStatus
from ..problems import Problem
from .extras import Bulk, Languages, Limits
from .ordering import Order
from .paths import check_path
from .places import Place, found, is_same_id, moment, named, number, sentence, text, written_id
from .words import normal, status_word, table_of, with_common_words



@dataclass(frozen=True)
class Service:
    """One translation service.

    A place in JSON is a path such as `data.id`, several of them, or a function: see `Place`.

    Attributes:
        name: What the caller calls it.
        status_path: Where one job is asked for; `{job_id}` stands for the percent-encoded id.
        base_url: Its own address, with `{NAME}` for an environment variable; None where the caller has to give one.
        limits: Its three clocks.
        single_job_path: Where the job without an id is asked for, or None where every job has one.
        key_header: The header that the API key travels in.
        key_prefix: What stands before the key there.
        key_variable: The environment variable that holds the key where the caller gives none.
        needs_key: Whether nothing can be asked without a key.
        status_field: Where the status word sits.
        statuses: What its words mean: `pending`, `completed` or `error`. The common words are known without it, and those
            of `bulk` too. A meaning that is given here wins.
        progress_field: Where the progress sits, from 0 to 1.
        result_field: Where the link to the result sits.
        result_path: Where the result is fetched from the API itself, with `{job_id}` and `{language}`; None where it is a link.
        has_late_result: Whether a job says `completed` before its link is there; it is pending until then.
        not_yet: The HTTP statuses (with an error code, or None for any) by which a result says that it is not there yet.
        error_field: Where a failed job says why: a text, or an object with a `message`.
        language_field: Where an answer says the target language.
        created_field: Where it says when the job was ordered: in seconds of the Unix epoch, or in ISO 8601.
        finished_field: The same of when it was, or will be, finished.
        expected_field: Where it says how many seconds the job takes, from its start.
        missing_codes: Successes that mean that there is no such job.
        delete_path: Where a job is deleted, or None where that cannot be done.
        order: How jobs are ordered, or None where they cannot be.
        languages: Where the list of target languages is, or None where there is none.
        bulk: How many jobs are asked for at once, or None.
        id_field: Where the response to a status check, or to a deletion, names its job; None if it does not. A response
            that names another job than the request is a fault, and so is one whose id is a boolean, a list or an object.
            Ids are compared case-insensitively, percent-decoded and as text; a response without an id is accepted.

    Raises:
        ValueError: A path or a word makes no sense.
    """

    name: str
    status_path: str
    base_url: str | None = None
    limits: Limits = Limits()  # noqa: RUF009  # frozen
    single_job_path: str | None = None
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "
    key_variable: str | None = None
    needs_key: bool = False
    status_field: Place = "status"
    statuses: Mapping[str, TranslationStatus | str] = field(default_factory=dict, hash=False)
    progress_field: Place | None = "progress"
    result_field: Place | None = "result_url"
    result_path: str | None = None
    has_late_result: bool = False
    not_yet: frozenset[tuple[int, str | None]] = frozenset()
    error_field: Place | None = "error"
    language_field: Place | None = None
    created_field: Place | None = "created_at"
    finished_field: Place | None = "finished_at"
    expected_field: Place | None = "expected_seconds"
    missing_codes: frozenset[int] = frozenset()
    delete_path: str | None = None
    order: Order | None = None
    languages: Languages | None = None
    bulk: Bulk | None = None
    id_field: Place | None = None
    _table: Mapping[str, TranslationStatus] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or not self.name.isprintable():
            raise ValueError(f"name must be what the service is called, got {self.name!r}")
        check_path("status_path", self.status_path, needs=("job_id",))
        for name, knows in (("delete_path", ("job_id",)), ("result_path", ("job_id", "language"))):
            if getattr(self, name) is not None:
                check_path(name, getattr(self, name), needs=("job_id",), knows=knows)
        if self.single_job_path is not None:
            check_path("single_job_path", self.single_job_path)
        words = table_of(self.statuses)
        bulk_words = {} if self.bulk is None else self.bulk.words
        object.__setattr__(self, "_table", with_common_words({**bulk_words, **words}))
        if self.bulk is not None:
            object.__setattr__(self, "bulk", self.bulk.with_table(self._table))

    def status_request(self, job_id: str | None) -> Request:
        """Word the question how a job stands.

        Raises:
            ValueError: The id cannot be one, or is missing where every job has one.
        """
        if job_id is not None or self.single_job_path is None:
            return Request("GET", self._path(self.status_path, job_id))
        return Request("GET", self.single_job_path)

    def delete_request(self, job_id: str | None) -> Request:
        """Word the wish that a job be deleted.

        Raises:
            ValueError: The id cannot be one, or the service deletes none.
        """
        if self.delete_path is None:
            raise ValueError(f"the service {self.name!r} has no way to delete a job")
        return Request("DELETE", self._path(self.delete_path, job_id))

    def key_headers(self, api_key: str) -> dict[str, str]:
        """The header that carries the key. A token, which begins with `Bearer `, has the header of tokens everywhere."""
        if api_key.startswith(BEARER):
            return {"Authorization": api_key}
        return {self.key_header: self.key_prefix + api_key}

    def knows(self, raw_status: str) -> bool:
        """Whether the table has this word."""
        return normal(raw_status) in self._table

    def read_status(self, answer: Answer, job_id: str | None, language: str | None = None) -> Job:
        """Read the answer to `status_request`.

        A word that the table does not know is pending: services add words, and a job is not failed by a new one.

        Args:
            answer: It.
            job_id: The job that was asked for.
            language: What it is translated into, where that is known.

        Raises:
            Fault: It cannot be read, names another job, or its HTTP status says to come again.
            Refusal: Its HTTP status says no.
        """
        if answer.status_code in self.missing_codes:
            raise Refusal(answer, "there is no such job")
        require_usable(answer)
        payload = json_of(answer)
        if self.id_field is not None:
            self._require_same_job(payload, job_id, answer)
        raw_status = status_word(found(payload, self.status_field), self._table)
        if raw_status is None:
            raise Fault("unreadable", f"the body has no status in {named(self.status_field)!r}", answer)
        language = language or text(found(payload, self.language_field))
        link = text(found(payload, self.result_field))
        status = self._status(raw_status, link)
        return Job(
            id=job_id,
            status=status,
            raw_status=raw_status,
            progress=number(found(payload, self.progress_field), most=1),
            result_url=link,
            error=sentence(found(payload, self.error_field)) if status is TranslationStatus.ERROR else None,
            payload=payload,
            language=language,
            expected_seconds=number(found(payload, self.expected_field)),
            submitted_at=moment(found(payload, self.created_field)),
            finished_at=moment(found(payload, self.finished_field)),
        )

    def read_deletion(self, answer: Answer, job_id: str | None) -> None:
        """Read the response to `delete_request`, whose body may be anything.

        Raises:
            Fault: It names another job, or its HTTP status says to come again.
            Refusal: Its HTTP status says no.
        """
        require_usable(answer)
        if self.id_field is not None:
            self._require_same_job(answer.json_object() or {}, job_id, answer)

    def _require_same_job(self, payload: Mapping[str, Any], job_id: str | None, answer: Answer) -> None:
        named_id = written_id(found(payload, self.id_field))
        if named_id is not None and job_id and not is_same_id(named_id, job_id):
            raise WrongJob(job_id, named_id, answer)

    def _status(self, raw_status: str, link: str | None) -> TranslationStatus:
        status = self._table.get(normal(raw_status), TranslationStatus.PENDING)
        is_early = status is TranslationStatus.COMPLETED and link is None and self.has_late_result
        return TranslationStatus.PENDING if is_early else status

    @property
    def has_details_in_single_responses(self) -> bool:
        """True if a response about a single job has what one about many lacks: the link to the result, and with it more.

        Then a final job needs a request of its own. A failed one does too: its language or its dates may be there alone.
        """
        return self.has_late_result or (self.result_field is not None and self.result_path is None)

    @property
    def has_result_per_language(self) -> bool:
        """Whether a job may have several results."""
        return self.result_path is not None and "{language}" in self.result_path

    def check_result_language(self, language: str | None) -> None:
        """Refuse to choose a result by its language where that cannot be done.

        Raises:
            ValueError: A job has one result, or it is no language.
            TypeError: It is no string.
        """
        if language is not None and arguments.language("language", language) and not self.has_result_per_language:
            raise ValueError(f"language must be left out: a job of {self.name!r} has one result")

    def result_link(self, job: Job, base_url: str) -> str | None:
        """Say where the result of a job is fetched; None where nobody said.

        Raises:
            ValueError: The job has no id.
        """
        link = job.result_url
        if link is not None:  # a path is of this service; all else has to be whole, and is looked at by who asks it
            return urljoin(base_url + "/", link) if re.match(r"/(?!/)", link) else link
        if self.result_path is None or (self.has_result_per_language and job.language is None):
            return None
        return base_url + self._path(self.result_path, job.id, job.language or "")

    def says_not_yet(self, answer: Answer) -> bool:
        """Whether the answer to the question for a result means that it is not there yet."""
        problem = Problem(answer.json_object() or {})
        return bool(self.not_yet & {(answer.status_code, None), (answer.status_code, problem.code)})

    def _path(self, template: str, job_id: str | None, language: str = "") -> str:
        if job_id is None:
            raise ValueError(f"job must be given: every job of the service {self.name!r} has an id")
        return template.format(job_id=path_segment(job_id), language=quote(language, safe=""))
