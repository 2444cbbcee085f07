"""How jobs are submitted, as data. The requests of a submission, one after the other, without a socket."""

import json
import re
import sys
import uuid
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from .._config import check_path_template
from .._models import (
    ConcurrencyLimitReached,
    Fault,
    FilePart,
    Job,
    Request,
    Response,
    TranslationStatus,
    problem_of,
    require_usable,
)
from .json_path import JSONPath, as_number, get_path, require_job_id, require_text, set_path

SUBMITTED = "submitted"
"""The word for a job of which the service has said nothing but its id."""


def _is_never_pending(_: object) -> bool:
    return False


class SubmitRequest(NamedTuple):
    """What the caller wants.

    Attributes:
        video: A URL, or a local file.
        target_language: As the service spells it.
        source_language: The same; None where the service is to find out.
        options: Fields of the service's own.
        key: Made once for each logical order: whoever goes on with it makes no second job. Empty where the service has none.
        base_url: Where the service is.
    """

    video: str | Path
    target_language: str
    source_language: str | None
    options: Mapping[str, Any]
    key: str
    base_url: str


class Step(NamedTuple):
    """One request of an order.

    Attributes:
        call: What the log calls it: `submit`, `upload`, `operation`.
        request: What to send.
        read: Makes of the answer what the order goes on with; raises `Fault`, `Refusal` or `MissingField`.
        creates_job: Whether the service may have made a job (or a part of one) when the answer is lost.
        is_idempotent: Whether sending it twice does no more than sending it once.
        is_pending: Whether what `read` made means "ask again".
    """

    call: str
    request: Request
    read: Callable[[Response], Any]
    creates_job: bool
    is_idempotent: bool
    is_pending: Callable[[Any], bool] = _is_never_pending


Steps = Generator[Step, Any, Job]
"""Yields steps, is sent what their `read` made, and returns the job."""


class SubmitFlow(Protocol):
    """The way in which a service takes orders."""

    @property
    def key_pattern(self) -> re.Pattern[str] | None:
        """What keys look like; None where the service has no way to tell that an order is repeated."""

    @property
    def max_file_bytes(self) -> int | None:
        """How long a local file may be; None where the service takes none."""

    def check(self, commission: SubmitRequest) -> None:
        """Refuse what cannot be ordered like this; nothing was sent.

        Raises:
            ValueError: It cannot.
        """

    def steps(self, commission: SubmitRequest) -> Steps:
        """Order a job."""

    def new_key(self) -> str:
        """Make the key of a new order; empty where there are none."""


def reject_reserved_options(options: Mapping[str, Any], taken: Collection[str]) -> None:
    """Refuse options that would say once more what the other arguments say.

    Raises:
        ValueError: There is one.
    """
    for name in options:
        if name in taken:
            raise ValueError(f"options must not hold {name!r}, which the other arguments of submit decide")


TOO_MANY_REQUESTS = 429

_ANY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class UploadSpec(NamedTuple):
    """A local file is uploaded by a request of its own, whose answer names it.

    Attributes:
        path: Where to.
        file_field: What the form calls the file.
        name_field: Where the answer says the name.
        body: What the body of the order has in place of `SubmitSpec.body`.
        video_field: Where the name goes in there.
        max_file_bytes: The longest file.
    """

    path: str
    file_field: str
    name_field: JSONPath
    body: Mapping[str, Any]
    video_field: str
    max_file_bytes: int


@dataclass(frozen=True)
class SubmitSpec:
    """An order is one POST whose answer names the job.

    Attributes:
        path: Where to.
        id_field: Where the answer says the id of the job.
        video_field: Where the body says the URL of the video: `video.url`, say.
        language_field: The same for the target language; `languages.0` makes a list.
        source_language_field: The same for the language of the video; None where it cannot be said.
        body: What stands in each body.
        is_form: Whether the body is `multipart/form-data`, and not JSON.
        file_field: What the form calls a local file; None where it takes none.
        file_limit: How many bytes that may have.
        upload: How a local file gets there by a request of its own.
        key_header: The header of an idempotency key; None where the service has none. Sent as it is, without quotes.
        key_form: What keys look like.
        in_progress: The error code that says that the first of two equal orders is still being taken.
        too_many_jobs: The error codes of a 429 that means jobs at once, and not requests.
        hint_field: Where the answer says how many seconds the job may take.

    Raises:
        ValueError: Something of it makes no sense.
    """

    path: str
    id_field: JSONPath = "id"
    video_field: str = "video"
    language_field: str = "target_language"
    source_language_field: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict, hash=False)
    is_form: bool = False
    file_field: str | None = None
    file_limit: int = sys.maxsize
    upload: UploadSpec | None = None
    key_header: str | None = None
    key_form: re.Pattern[str] = _ANY_KEY
    in_progress: str | None = None
    too_many_jobs: frozenset[str] = frozenset()
    hint_field: JSONPath | None = None

    def __post_init__(self) -> None:
        check_path_template("path", self.path)
        if self.file_field is not None and not self.is_form:
            raise ValueError(f"file_field needs a form: is_form=True, got {self.file_field!r}")
        for place in (self.video_field, self.language_field, self.source_language_field):
            if place is not None and any(name.isdecimal() and name != "0" for name in place.split(".")):
                raise ValueError(f"a place that is filled is the first of its list, got {place!r}")

    @property
    def key_pattern(self) -> re.Pattern[str] | None:
        """What keys look like; None where the service has no way to tell that an order is repeated."""
        return None if self.key_header is None else self.key_form

    @property
    def max_file_bytes(self) -> int | None:
        """How long a local file may be; None where the service takes none."""
        if self.upload is not None:
            return self.upload.max_file_bytes
        return None if self.file_field is None else self.file_limit

    def new_key(self) -> str:
        """Make the key of a new order; empty where there are none."""
        return "" if self.key_header is None else str(uuid.uuid4())

    def steps(self, commission: SubmitRequest) -> Steps:
        """Upload where that comes first, then order."""
        body, video, video_field = self.body, commission.video, self.video_field
        if isinstance(video, Path) and self.upload is not None:
            video = yield self._uploading(self.upload, video)
            body, video_field = self.upload.body, self.upload.video_field
        if not isinstance(video, Path):
            body = set_path(body, video_field, video)
        body = set_path(body, self.language_field, commission.target_language)
        if commission.source_language is not None:
            body = set_path(body, str(self.source_language_field), commission.source_language)
        request = self._request({**body, **commission.options}, commission)
        job: Job = yield Step(
            "submit", request, self._read_job(commission), creates_job=True, is_idempotent=self.key_header is not None
        )
        return job

    def check(self, commission: SubmitRequest) -> None:
        """Refuse what cannot be ordered like this; nothing was sent.

        Raises:
            ValueError: The options hold what is said already, or the language of the video cannot be said.
        """
        if commission.source_language is not None and self.source_language_field is None:
            raise ValueError("source_language cannot be said to this service; leave it out")
        places = (self.video_field, self.language_field, self.source_language_field, self.file_field)
        reject_reserved_options(
            commission.options, {*self.body, *(place.partition(".")[0] for place in places if place is not None)}
        )

    def _uploading(self, upload: UploadSpec, path: Path) -> Step:
        request = Request("POST", upload.path, file=FilePart(upload.file_field, path))
        # Twice uploaded is a file too much at the service, and no job.
        return Step(
            "upload",
            request,
            lambda response: require_text(response, upload.name_field),
            creates_job=False,
            is_idempotent=True,
        )

    def _request(self, body: Mapping[str, Any], commission: SubmitRequest) -> Request:
        headers = {} if self.key_header is None else {self.key_header: commission.key}
        if not self.is_form:
            return Request("POST", self.path, headers, json=body)
        video = commission.video
        file = FilePart(self.file_field, video) if isinstance(video, Path) and self.file_field else None
        return Request("POST", self.path, headers, form=tuple(_form_fields(body)), file=file)

    def _read_job(self, commission: SubmitRequest) -> Callable[[Response], Job]:
        def read(response: Response) -> Job:
            self._require_accepted(response)
            job_id = require_job_id(response, self.id_field)
            payload = response.json_object() or {}
            return Job(
                id=job_id,
                status=TranslationStatus.PENDING,
                raw_status=SUBMITTED,
                payload=payload,
                language=commission.target_language,
                expected_seconds=as_number(get_path(payload, self.hint_field)),
            )

        return read

    def _require_accepted(self, response: Response) -> None:
        problem = problem_of(response) if response.status_code >= 400 else None
        code = problem.code if problem is not None else None
        if response.status_code == TOO_MANY_REQUESTS and code in self.too_many_jobs:
            raise ConcurrencyLimitReached(response)
        if response.status_code == 409 and code is not None and code == self.in_progress:
            raise Fault("status", "the same order is still being taken", response)
        require_usable(response)


def _form_fields(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Write values as fields: a list as a field for each of its values, what a form cannot say in JSON."""
    for name, value in body.items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if one is not None:
                yield name, one if isinstance(one, str) else json.dumps(one)
