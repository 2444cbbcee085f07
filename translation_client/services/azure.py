"""Azure AI Speech video translation, API version 2025-05-20.

Sources: learn.microsoft.com/rest/api/aiservices/videotranslation and the how-to on it (MicrosoftDocs/azure-ai-docs,
speech-service video translation, REST); Azure/azure-rest-api-specs for the statuses and the pattern of ids.

A translation does nothing; its iteration translates. Both are made by PUT under ids that the client chooses, so that a
repeated order makes no second one. Here one id names them both: it is the id of our job, and the key of its order."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import unquote

from .._auth import same_origin
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
    json_of,
    require_usable,
)
from .json_path import ComputedField, as_text, get_path, is_same_id, written_id
from .service import Service
from .statuses import normalize, parse_statuses, with_common_words
from .submission import SUBMITTED, Step, Steps, SubmitRequest, reject_reserved_options

VERSION = "api-version=2025-05-20"

WORDS = {
    "notstarted": "pending",
    "running": "pending",
    "succeeded": "completed",
    "failed": "error",
    "canceled": "error",
}

_MEANINGS = with_common_words(parse_statuses(WORDS))

# The last of these would have Azure make an iteration of its own, beside ours.
_TAKEN = ("videoFileUrl", "audioFileUrl", "targetLocale", "sourceLocale", "autoCreateFirstIteration")


@dataclass(frozen=True)
class TwoPuts:
    """PUT a translation, ask until that operation has succeeded, PUT its iteration."""

    key_pattern: re.Pattern[str] = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{1,50}[a-zA-Z0-9]")
    """That of Azure's ids, which have 64 characters at the most: ours leave room for the name of an operation."""

    max_file_bytes: None = None

    def new_key(self) -> str:
        """Make the id of a new translation."""
        return str(uuid.uuid4())

    def check(self, commission: SubmitRequest) -> None:
        """Refuse options that say what the arguments say.

        Raises:
            ValueError: There is one.
        """
        reject_reserved_options(commission.options, _TAKEN)

    def steps(self, commission: SubmitRequest) -> Steps:
        """Order a job."""
        located = yield self._making_translation(commission)
        yield self._asking(located, commission)
        yield self._making_iteration(commission)
        return Job(
            id=commission.key,
            status=TranslationStatus.PENDING,
            raw_status=SUBMITTED,
            language=commission.target_language,
        )

    def _making_translation(self, commission: SubmitRequest) -> Step:
        source = {} if commission.source_language is None else {"sourceLocale": commission.source_language}
        given = {"voiceKind": "PlatformVoice", **commission.options}
        wanted = {"videoFileUrl": str(commission.video), "targetLocale": commission.target_language, **source}
        return _put(
            f"/translations/{quote_path_segment(commission.key)}?{VERSION}",
            f"{commission.key}.translation",
            {"displayName": commission.key, "input": {**given, **wanted}},
            commission.key,
        )

    def _making_iteration(self, commission: SubmitRequest) -> Step:
        name = quote_path_segment(commission.key)
        path = f"/translations/{name}/iterations/{name}?{VERSION}"
        return _put(path, f"{commission.key}.iteration", {"input": {}}, commission.key)

    def _asking(self, located: str | None, commission: SubmitRequest) -> Step:
        operation_id = _chosen_id(located) or f"{commission.key}.translation"
        usual = f"/operations/{quote_path_segment(operation_id)}?{VERSION}"
        # Behind a gateway the address is Azure's own, where our key must not go: the id is ours, so the path is known.
        path = located if located is not None and same_origin(located, commission.base_url) else usual
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
    """Return where the operation is asked for, if the response is about it and about the job."""
    require_usable(response)
    _require_same("job", job_id, get_path(response.json_object() or {}, "id"), response)
    located = response.headers.get("Operation-Location")
    if located is not None and _chosen_id(located) is None:
        _require_same("operation", operation_id, operation_id_of(located), response)
    return located


def _chosen_id(located: str | None) -> str | None:
    """Return the id of an operation if the service has chosen it itself, and not taken the `Operation-Id` of a client."""
    named_id = None if located is None else operation_id_of(located)
    return None if named_id is None or named_id.endswith((".translation", ".iteration")) else named_id


def _require_same(kind: str, requested_id: str, value: Any, response: Response) -> None:
    named_id = written_id(value)
    if named_id is not None and not is_same_id(named_id, requested_id):
        raise WrongJob(requested_id, named_id, response, kind)


def operation_id_of(url: str) -> str | None:
    """Return the id of the operation in its path or URL; None if that is no address of an operation."""
    match = re.match(r"[^?#]*/operations/([^/?#]+)", url)
    return None if match is None else unquote(match[1])


def _read_operation(operation_id: str, response: Response) -> TranslationStatus:
    if response.status_code == 204:
        raise Refusal(response, "there is no such operation")
    require_usable(response)
    payload = json_of(response)
    _require_same(
        "operation", operation_id, get_path(payload, "id"), response
    )  # or their failure would be taken for ours
    word = as_text(get_path(payload, "status"))
    if word is None:
        raise MissingField("status", response)
    status = _MEANINGS.get(normalize(word), TranslationStatus.PENDING)
    if status is TranslationStatus.ERROR:
        raise SubmissionRejected(response, "the translation could not be made")
    return status


def _finished_at(payload: Mapping[str, Any]) -> Any:
    """Find when the job came to stand as it does, which is when it finished, once it has.

    Unverified: that the moment is that of the status and not of some later change; nothing changes a finished iteration.
    """
    is_final = _MEANINGS.get(normalize(str(payload.get("status"))), TranslationStatus.PENDING).is_final
    return payload.get("lastActionDateTime") if is_final else None


AZURE = Service(
    name="azure",
    base_url="https://{SPEECH_REGION}.api.cognitive.microsoft.com/videotranslation",
    key_header="Ocp-Apim-Subscription-Key",
    key_prefix="",
    key_variable="SPEECH_KEY",
    needs_key=True,
    status_path=f"/translations/{{job_id}}/iterations/{{job_id}}?{VERSION}",
    id_field="id",  # of the iteration, as in the sample response of the how-to
    status_field="status",
    statuses=WORDS,
    progress_field=None,
    result_field="result.translatedVideoFileUrl",
    has_late_result=True,
    error_field=("failureReason", "error"),
    created_field="createdDateTime",
    finished_field=ComputedField("lastActionDateTime", _finished_at),
    expected_field=None,
    missing_codes=frozenset({204}),  # "the request was successful, but the resource doesn't exist"
    delete_path=f"/translations/{{job_id}}?{VERSION}",
    submit=TwoPuts(),
)
