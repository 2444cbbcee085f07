"""Submissions as data: the sequence of requests that submits a job, without I/O."""

import json
import re
import sys
import uuid
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from .._config import check_path_template
from .._exports import exported_from
from .._models import (
    ConcurrencyLimitReached,
    Fault,
    FilePart,
    Job,
    Request,
    Response,
    TranslationStatus,
)
from .job_ids import require_job_id
from .json_path import JSONPath, as_number, get_path, require_text, set_path

SUBMITTED = "submitted"
"""The status word of a job for which the service has returned only an id."""


def _is_never_pending(_: object) -> bool:
    return False


@exported_from("translation_client.services")
class SubmitRequest(NamedTuple):
    """The arguments of a submission.

    Attributes:
        video: A URL, or a local file.
        target_language: The target language, as the service spells it.
        source_language: The source language, as the service spells it. None to let the service detect it.
        options: Extra fields of the service.
        key: The idempotency key, one for each logical submission: a retry with it creates no second job. Empty if the
            service has none.
        base_url: The base URL of the service.
    """

    video: str | Path
    target_language: str
    source_language: str | None
    options: Mapping[str, Any]
    key: str
    base_url: str


@exported_from("translation_client.services")
class Step(NamedTuple):
    """One request of a submission.

    Attributes:
        operation: The name in the log: `submit`, `upload`, `operation`.
        request: The request to send.
        read: Returns the value in the response that the next step needs. Raises `Fault`, `Refusal` or `MissingField`.
        creates_job: True if the service may have created a job, or a part of one, when the response is lost.
        is_idempotent: True if sending the request twice has the same effect as sending it once.
        is_pending: Returns True if the value from `read` means that the request must be sent again later.
    """

    operation: str
    request: Request
    read: Callable[[Response], Any]
    creates_job: bool
    is_idempotent: bool
    is_pending: Callable[[Any], bool] = _is_never_pending


Steps = Generator[Step, Any, Job]
"""A generator that yields steps, is sent the values of their `read`, and returns the job."""


@exported_from("translation_client.services")
@runtime_checkable  # or pydantic could not check a field of type `Service`
class SubmitFlow(Protocol):
    """The sequence of requests with which a service accepts a job."""

    @property
    def key_pattern(self) -> re.Pattern[str] | None:
        """The pattern of idempotency keys. None if the service has none."""

    @property
    def max_file_bytes(self) -> int | None:
        """The maximum size of a local file in bytes. None if the service accepts no files."""

    def check(self, request: SubmitRequest) -> None:
        """Check the arguments before anything is sent.

        Raises:
            ValueError: The service cannot accept them.
        """

    def steps(self, request: SubmitRequest) -> Steps:
        """Yield the steps that submit a job."""

    def new_key(self) -> str:
        """Return a new idempotency key, or an empty string if the service has none."""


def reject_reserved_options(options: Mapping[str, Any], reserved: Collection[str]) -> None:
    """Check that no option sets what the other arguments set.

    Raises:
        ValueError: An option does.
    """
    for name in options:
        if name in reserved:
            raise ValueError(f"options must not have {name!r}, which another argument of submit sets")


_ANY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@exported_from("translation_client")
class UploadSpec(NamedTuple):
    """The upload of a local file by a request of its own, whose response names the file.

    Attributes:
        path: The path of the POST request.
        file_field: The form field of the file.
        name_field: The field in the response of the name of the file.
        body: The body of the submission, in place of `SubmitSpec.body`.
        video_field: The field in that body for the name of the file.
        max_file_bytes: The maximum size of a file in bytes.
    """

    path: str
    file_field: str
    name_field: JSONPath
    body: Mapping[str, Any]
    video_field: str
    max_file_bytes: int


@exported_from("translation_client")
@dataclass(frozen=True)
class SubmitSpec:
    """A submission by one POST request, whose response has the id of the job.

    Attributes:
        path: The path of the POST request.
        id_field: The field in the response of the job id.
        video_field: The field in the body for the URL of the video, such as `video.url`.
        language_field: The field in the body for the target language. `languages.0` makes a list.
        source_language_field: The field in the body for the source language. None if the service has none.
        body: The fields of every body.
        is_form: True if the body is `multipart/form-data`, False if it is JSON.
        file_field: The form field of a local file. None if the form has none.
        file_limit: The maximum size of that file in bytes.
        upload: The separate upload of a local file. None if there is none.
        key_header: The header of an idempotency key, sent without quotes. None if the service has none.
        key_form: The pattern of idempotency keys.
        in_progress: The error code of a 409 that means that the first of two equal submissions is still in progress.
            None if there is none.
        too_many_jobs: The error codes of a 429 that limits concurrent jobs and not requests.
        expected_field: The field in the response of the expected duration of the job, in seconds. None if there is none.

    Raises:
        ValueError: `path` is not a valid path, `file_field` is set without `is_form`, or a field of the body has a list
            index other than 0.
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
    expected_field: JSONPath | None = None

    def __post_init__(self) -> None:
        check_path_template("path", self.path)
        if self.file_field is not None and not self.is_form:
            raise ValueError(f"file_field needs a form: is_form=True, got {self.file_field!r}")
        for path in (self.video_field, self.language_field, self.source_language_field):
            names = [] if path is None else path.split(".")
            indices = [name for name in names if name.isdecimal()]
            if indices and (indices != ["0"] or names[-1] != "0"):
                raise ValueError(f"a list index in a field of the body must be 0 and the last name, got {path!r}")

    @property
    def key_pattern(self) -> re.Pattern[str] | None:
        """The pattern of idempotency keys. None if the service has none."""
        return None if self.key_header is None else self.key_form

    @property
    def max_file_bytes(self) -> int | None:
        """The maximum size of a local file in bytes. None if the service accepts no files."""
        if self.upload is not None:
            return self.upload.max_file_bytes
        return None if self.file_field is None else self.file_limit

    def new_key(self) -> str:
        """Return a new idempotency key, or an empty string if the service has none."""
        return "" if self.key_header is None else str(uuid.uuid4())

    def steps(self, request: SubmitRequest) -> Steps:
        """Yield the upload, if the video is a local file with an upload of its own, and the submission."""
        body, video, video_field = self.body, request.video, self.video_field
        if isinstance(video, Path) and self.upload is not None:
            video = yield self._upload_step(self.upload, video)
            body, video_field = self.upload.body, self.upload.video_field
        if not isinstance(video, Path):
            body = set_path(body, video_field, video)
        body = set_path(body, self.language_field, request.target_language)
        if request.source_language is not None:
            body = set_path(body, str(self.source_language_field), request.source_language)
        job: Job = yield Step(
            "submit",
            self._http_request({**body, **request.options}, request),
            self._job_reader(request),
            creates_job=True,
            is_idempotent=self.key_header is not None,
        )
        return job

    def check(self, request: SubmitRequest) -> None:
        """Check the arguments before anything is sent.

        Raises:
            ValueError: An option sets what another argument sets, or the service has no field for the source language.
        """
        if request.source_language is not None and self.source_language_field is None:
            raise ValueError("source_language is not supported by this service: leave it out")
        fields = (self.video_field, self.language_field, self.source_language_field, self.file_field)
        reject_reserved_options(
            request.options, {*self.body, *(path.partition(".")[0] for path in fields if path is not None)}
        )

    def _upload_step(self, upload: UploadSpec, path: Path) -> Step:
        request = Request("POST", upload.path, file=FilePart(upload.file_field, path))
        # A second upload leaves an unused file at the service, and no job.
        return Step(
            "upload",
            request,
            lambda response: require_text(response, upload.name_field),
            creates_job=False,
            is_idempotent=True,
        )

    def _http_request(self, body: Mapping[str, Any], request: SubmitRequest) -> Request:
        headers = {} if self.key_header is None else {self.key_header: request.key}
        if not self.is_form:
            return Request("POST", self.path, headers, json=body)
        video = request.video
        file = FilePart(self.file_field, video) if isinstance(video, Path) and self.file_field else None
        return Request("POST", self.path, headers, form=tuple(_form_fields(body)), file=file)

    def _job_reader(self, request: SubmitRequest) -> Callable[[Response], Job]:
        def read(response: Response) -> Job:
            self._require_accepted(response)
            job_id = require_job_id(response, self.id_field)
            payload = response.json_object() or {}
            return Job(
                id=job_id,
                status=TranslationStatus.PENDING,
                raw_status=SUBMITTED,
                payload=payload,
                language=request.target_language,
                expected_seconds=as_number(get_path(payload, self.expected_field)),
            )

        return read

    def _require_accepted(self, response: Response) -> None:
        problem = response.problem if response.status_code >= 400 else None
        code = problem.code if problem is not None else None
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS and code in self.too_many_jobs:
            raise ConcurrencyLimitReached(response)
        if response.status_code == 409 and code is not None and code == self.in_progress:
            raise Fault("status", "an earlier request with this idempotency key is still in progress", response)
        response.raise_for_status()


def _form_fields(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield values as form fields. A list is one field for each item, and anything but a string is JSON."""
    for name, value in body.items():
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if item is not None:
                yield name, item if isinstance(item, str) else json.dumps(item)
