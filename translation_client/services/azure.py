"""Azure AI Speech video translation, API version 2025-05-20.

Sources: learn.microsoft.com/rest/api/aiservices/videotranslation and the how-to on it (MicrosoftDocs/azure-ai-docs,
speech-service video translation, REST); Azure/azure-rest-api-specs for the statuses and the pattern of ids.

A translation is only a container: its iteration does the work. Both are made by PUT under ids that the client chooses,
so a repeated submission creates no second job. This module uses one id for both. It is the job id, and the idempotency
key of the submission.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import unquote

from .._auth.urls import same_origin
from .._config import quote_path_segment
from .._models import (
    Job,
    MissingField,
    Refusal,
    Request,
    Response,
    SubmissionRejected,
    TranslationStatus,
    WrongJob,
)
from .job_ids import is_same_id, written_id
from .json_path import ComputedField, as_text, get_path
from .service import Service
from .statuses import normalize, parse_statuses, with_common_statuses
from .submission import SUBMITTED, Step, Steps, SubmitRequest, reject_reserved_options

API_VERSION = "api-version=2025-05-20"

STATUSES = {
    "notstarted": "pending",
    "running": "pending",
    "succeeded": "completed",
    "failed": "error",
    "canceled": "error",
}

_STATUS_TABLE = with_common_statuses(parse_statuses(STATUSES))

# With the last of these Azure would make an iteration of its own, beside ours.
_RESERVED = ("videoFileUrl", "audioFileUrl", "targetLocale", "sourceLocale", "autoCreateFirstIteration")


@dataclass(frozen=True)
class TwoPuts:
    """PUT a translation, poll its operation until that has succeeded, PUT its iteration."""

    key_pattern: re.Pattern[str] = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{1,50}[a-zA-Z0-9]")
    """The pattern of Azure's ids, shorter than their limit of 64 characters: the id of an operation has a suffix."""

    max_file_bytes: None = None

    def new_key(self) -> str:
        """Return the id of a new translation."""
        return str(uuid.uuid4())

    def check(self, request: SubmitRequest) -> None:
        """Check the options before anything is sent.

        Raises:
            ValueError: An option sets what another argument sets.
        """
        reject_reserved_options(request.options, _RESERVED)

    def steps(self, request: SubmitRequest) -> Steps:
        """Yield the steps that submit a job."""
        operation_url = yield self._translation_step(request)
        yield self._operation_step(operation_url, request)
        yield self._iteration_step(request)
        return Job(
            id=request.key,
            status=TranslationStatus.PENDING,
            raw_status=SUBMITTED,
            language=request.target_language,
        )

    def _translation_step(self, request: SubmitRequest) -> Step:
        source = {} if request.source_language is None else {"sourceLocale": request.source_language}
        defaults = {"voiceKind": "PlatformVoice"}
        required = {"videoFileUrl": str(request.video), "targetLocale": request.target_language, **source}
        return _put(
            f"/translations/{quote_path_segment(request.key)}?{API_VERSION}",
            f"{request.key}.translation",
            {"displayName": request.key, "input": {**defaults, **request.options, **required}},
            request.key,
        )

    def _iteration_step(self, request: SubmitRequest) -> Step:
        name = quote_path_segment(request.key)
        path = f"/translations/{name}/iterations/{name}?{API_VERSION}"
        return _put(path, f"{request.key}.iteration", {"input": {}}, request.key)

    def _operation_step(self, operation_url: str | None, request: SubmitRequest) -> Step:
        operation_id = _id_chosen_by_service(operation_url) or f"{request.key}.translation"
        default_path = f"/operations/{quote_path_segment(operation_id)}?{API_VERSION}"
        # Behind a gateway the header has Azure's own origin, where the key must not go. The path follows from the id.
        path = (
            operation_url
            if operation_url is not None and same_origin(operation_url, request.base_url)
            else default_path
        )
        return Step(
            "operation",
            Request("GET", path),
            partial(_read_operation, operation_id),
            creates_job=False,
            is_idempotent=True,
            is_pending=lambda status: status is TranslationStatus.PENDING,
        )


def _put(path: str, operation_id: str, body: Mapping[str, Any], job_id: str) -> Step:
    read = partial(_read_put, job_id, operation_id)
    request = Request("PUT", path, {"Operation-Id": operation_id}, json=body)
    return Step("submit", request, read, creates_job=True, is_idempotent=True)


def _read_put(job_id: str, operation_id: str, response: Response) -> str | None:
    """Return the URL of the operation, after a check that the response is about this operation and job."""
    response.raise_for_status()
    _require_same("job", job_id, get_path(response.json_object() or {}, "id"), response)
    operation_url = response.headers.get("Operation-Location")
    if operation_url is not None and _id_chosen_by_service(operation_url) is None:
        _require_same("operation", operation_id, operation_id_of(operation_url), response)
    return operation_url


def _id_chosen_by_service(operation_url: str | None) -> str | None:
    """Return the id of an operation if the service chose it and ignored the `Operation-Id` header. Else None."""
    named_id = None if operation_url is None else operation_id_of(operation_url)
    return None if named_id is None or named_id.endswith((".translation", ".iteration")) else named_id


def _require_same(kind: str, requested_id: str, value: Any, response: Response) -> None:
    named_id = written_id(value)
    if named_id is not None and not is_same_id(named_id, requested_id):
        raise WrongJob(requested_id, named_id, response, kind)


def operation_id_of(url: str) -> str | None:
    """Return the operation id in a path or URL, or None if it is not that of an operation."""
    match = re.match(r"[^?#]*/operations/([^/?#]+)", url)
    return None if match is None else unquote(match[1])


def _read_operation(operation_id: str, response: Response) -> TranslationStatus:
    if response.status_code == 204:
        raise Refusal(response, "there is no such operation")
    response.raise_for_status()
    payload = response.require_json()
    # The failure of another operation must not reject this submission.
    _require_same("operation", operation_id, get_path(payload, "id"), response)
    raw_status = as_text(get_path(payload, "status"))
    if raw_status is None:
        raise MissingField("status", response)
    status = _STATUS_TABLE.get(normalize(raw_status), TranslationStatus.PENDING)
    if status is TranslationStatus.ERROR:
        raise SubmissionRejected(response, "the translation could not be made")
    return status


def _finished_at(payload: Mapping[str, Any]) -> Any:
    """Return when the job changed its status last, which is when it finished, or None if it is pending.

    Unverified: that the time is that of the status and not of a later change. Nothing changes a finished iteration.
    """
    is_final = _STATUS_TABLE.get(normalize(str(payload.get("status"))), TranslationStatus.PENDING).is_final
    return payload.get("lastActionDateTime") if is_final else None


AZURE = Service(
    name="azure",
    base_url="https://{SPEECH_REGION}.api.cognitive.microsoft.com/videotranslation",
    key_header="Ocp-Apim-Subscription-Key",
    key_prefix="",
    key_variable="SPEECH_KEY",
    needs_key=True,
    status_path=f"/translations/{{job_id}}/iterations/{{job_id}}?{API_VERSION}",
    id_field="id",  # of the iteration, as in the sample response of the how-to
    status_field="status",
    statuses=STATUSES,
    progress_field=None,
    result_field="result.translatedVideoFileUrl",
    has_late_result=True,
    error_field=("failureReason", "error"),
    created_field="createdDateTime",
    finished_field=ComputedField("lastActionDateTime", _finished_at),
    expected_field=None,
    missing_codes=frozenset({204}),  # "the request was successful, but the resource doesn't exist"
    delete_path=f"/translations/{{job_id}}?{API_VERSION}",
    submit=TwoPuts(),
)
