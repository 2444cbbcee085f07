"""Azure AI Speech video translation, API version 2025-05-20.

Sources: the OpenAPI in github.com/Azure/azure-rest-api-specs (cognitiveservices/data-plane/Speech/VideoTranslation),
the pages about it at learn.microsoft.com/rest/api/aiservices/videotranslation, and the how-to in
github.com/MicrosoftDocs/azure-ai-docs (speech-service/includes/how-to/video-translation/rest.md). What none of them
documents is marked as unverified.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from flask import Blueprint, request

from ..jobs import Fields, JobState, NoSuchJob
from ..lab import Lab
from ..replies import Reply, ResponseTuple, json_reply
from ..responder import ErrorResponses, RequestRejected, Responder, StatusWords
from ..scenario import PENDING
from ..storage import signed_url
from .dialect import AUTHORIZATION, Dialect, json_fields

PREFIX = "/videotranslation"

RESOURCE_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{1,62}[a-zA-Z0-9]")

VOICE_KINDS = ("PlatformVoice", "PersonalVoice")

API_VERSION = re.compile(r"\d{4}-\d\d-\d\d(-preview)?")

WORDS = StatusWords(((0.1, "NotStarted"), (1.0, "Running")), "Succeeded", "Failed")

TRANSLATION_STATUSES = ("NotStarted", "Running", "Succeeded")
"""The statuses of a translation, whose creation takes no work: it advances by one at each check, up to the last."""

RESULT_FILES: Mapping[str, str] = {
    "translatedVideoFileUrl": ".mp4",
    "sourceLocaleSubtitleWebvttFileUrl": ".source.vtt",
    "targetLocaleSubtitleWebvttFileUrl": ".target.vtt",
    "metadataJsonWebvttFileUrl": ".metadata.vtt",
}

# Unverified: the format of an error is documented, its codes are not.
ERROR_CODES = {400: "InvalidArgument", 401: "Unauthorized", 404: "NotFound", 409: "Conflict", 429: "TooManyRequests"}

NO_CONTENT = Reply(204, (), b"")
"""The response about a translation that was deleted or never existed."""

FAILURE = "The video could not be translated."


class AzureErrors(ErrorResponses):
    """`{"error": {"code", "message"}}`, and the code in a header."""

    def error(self, status_code: int, message: str) -> Reply:
        """Return an error in the format of Azure Core."""
        code = ERROR_CODES.get(status_code, "InternalServerError")
        reply = json_reply({"error": {"code": code, "message": message}}, status_code)
        return reply.with_headers([("x-ms-error-code", code)])

    def no_such_job(self, _: NoSuchJob) -> Reply:
        """Return the 204 that the how-to documents. The OpenAPI has no 204 for a GET."""
        return NO_CONTENT


ERRORS = AzureErrors()


def _require(condition: bool, message: str) -> None:
    """Reject the request with a 400 unless a condition holds."""
    if not condition:
        raise RequestRejected(ERRORS.error(400, message))


@dataclass
class Translation:
    """A translation, which holds iterations.

    Attributes:
        fields: The fields of its request.
        started_at: The Unix time of its creation.
        status_checks: How often its status was requested.
        iterations: The fields of the request for each iteration, by its id.
    """

    fields: Fields
    started_at: float
    status_checks: int = 0
    iterations: dict[str, Fields] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """The status at the last check."""
        return TRANSLATION_STATUSES[max(0, min(self.status_checks, len(TRANSLATION_STATUSES)) - 1)]


class AzureState:
    """The state of Azure beside its jobs, which are the iterations: translations, and the resource of each operation."""

    def __init__(self) -> None:
        self.translations: dict[str, Translation] = {}
        self.operations: dict[str, tuple[str, str | None]] = {}

    def check_operation_id(self, operation_id: str, subject: tuple[str, str | None]) -> None:
        """Check that an operation id is new, or has the same subject: a translation, or an iteration of it.

        Raises:
            RequestRejected: The id has another subject.
        """
        _require(
            self.operations.get(operation_id, subject) == subject, "this Operation-Id was used for another operation"
        )


def _translation_json(lab: Lab, translation_id: str, translation: Translation) -> dict[str, Any]:
    """Return the JSON of a translation, with its latest iteration."""
    iterations = [_current_iteration_json(lab, translation_id, iteration_id) for iteration_id in translation.iterations]
    succeeded = [iteration for iteration in iterations if iteration["status"] == WORDS.completed]
    created = _timestamp(translation.started_at)
    return {
        "id": translation_id,
        **_pick(translation.fields, "displayName", "description", "input"),
        "createdDateTime": created,
        # Unverified: the how-to has these two, the OpenAPI has neither.
        "status": translation.status,
        "lastActionDateTime": created,
        **({"latestIteration": iterations[-1]} if iterations else {}),
        **({"latestSucceededIteration": succeeded[-1]} if succeeded else {}),
    }


def _current_iteration_json(lab: Lab, translation_id: str, iteration_id: str) -> dict[str, Any]:
    """Return the JSON of an iteration in its current state."""
    state = lab.job_state(_job_id(translation_id, iteration_id))
    return _iteration_json(lab, state, WORDS.word_for(state))


def _iteration_json(lab: Lab, state: JobState, word: str) -> dict[str, Any]:
    """Return the JSON of an iteration, with a status word and its result."""
    job_id = str(state.job_id)
    translation_id, _, iteration_id = job_id.partition("/")
    fields = lab.service_state(AzureState).translations[translation_id].iterations[iteration_id]
    iteration: dict[str, Any] = {
        "id": iteration_id,
        **_pick(fields, "description", "input"),
        "status": word,
        "createdDateTime": _timestamp(state.started_at),
        "lastActionDateTime": _timestamp(state.started_at + _last_change_seconds(state)),
    }
    if word == WORDS.completed and state.has_result:
        iteration["result"] = {name: signed_url(lab, job_id, suffix) for name, suffix in RESULT_FILES.items()}
    if word == WORDS.error:
        iteration["failureReason"] = FAILURE
    return iteration


def _job_id(translation_id: str, iteration_id: str) -> str:
    """Return the job id of an iteration, whose own id is unique only within its translation."""
    return f"{translation_id}/{iteration_id}"


def _pick(fields: Fields, *names: str) -> Fields:
    """Return the fields with these names, if they exist."""
    return {name: fields[name] for name in names if name in fields}


def _last_change_seconds(state: JobState) -> float:
    """Return the seconds from the start of a job to its last change of status."""
    if state.status != PENDING:
        return state.life.duration
    changes = (0.0, *(progress for progress, _ in WORDS.pending))
    return state.life.duration * max(progress for progress in changes if progress <= state.progress)


def _timestamp(unix_time: float) -> str:
    return datetime.fromtimestamp(unix_time, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def make_blueprint(responder: Responder) -> Blueprint:
    """Return the routes."""
    blueprint = Blueprint("azure", __name__, url_prefix=PREFIX)
    _add_translation_routes(blueprint, responder)
    _add_iteration_routes(blueprint, responder)

    @blueprint.before_request
    def check_api_version() -> None:
        _require(bool(API_VERSION.fullmatch(_api_version())), "the query must have an api-version, such as 2025-05-20")

    @blueprint.get("/operations/<operation_id>")
    def operation(operation_id: str) -> ResponseTuple:
        return responder.respond("operation", lambda: _operation_status(responder.lab, operation_id))

    return blueprint


def _add_translation_routes(blueprint: Blueprint, responder: Responder) -> None:
    @blueprint.put("/translations/<translation_id>")
    def create_translation(translation_id: str) -> ResponseTuple:
        return responder.respond("create", lambda: _put_translation(responder.lab, translation_id))

    @blueprint.get("/translations/<translation_id>")
    def translation(translation_id: str) -> ResponseTuple:
        return _get_translation(responder.lab, translation_id).as_tuple()

    @blueprint.get("/translations")
    def translations() -> ResponseTuple:
        return responder.respond("bulk", lambda: _list_translations(responder.lab))

    @blueprint.delete("/translations/<translation_id>")
    def delete(translation_id: str) -> ResponseTuple:
        return responder.respond("delete", lambda: _delete_translation(responder.lab, translation_id))


def _add_iteration_routes(blueprint: Blueprint, responder: Responder) -> None:
    @blueprint.put("/translations/<translation_id>/iterations/<iteration_id>")
    def create_iteration(translation_id: str, iteration_id: str) -> ResponseTuple:
        return responder.respond("create", lambda: _put_iteration(responder.lab, translation_id, iteration_id))

    @blueprint.get("/translations/<translation_id>/iterations/<iteration_id>")
    def iteration(translation_id: str, iteration_id: str) -> ResponseTuple:
        job_id = _job_id(translation_id, iteration_id)
        return responder.status(
            job_id, WORDS, lambda state, word: json_reply(_iteration_json(responder.lab, state, word))
        )

    @blueprint.get("/translations/<translation_id>/iterations")
    def iterations(translation_id: str) -> ResponseTuple:
        return responder.respond("bulk", lambda: _list_iterations(responder.lab, translation_id))


def _api_version() -> str:
    return request.args.get("api-version", "")


def _parse_put_request(*ids: str) -> tuple[str, dict[str, Any]]:
    """Return the operation id and the body of the current request. Checks these, and the ids in its path.

    Raises:
        RequestRejected: The body or an id is invalid.
    """
    operation_id = request.headers.get("Operation-Id", "")
    for resource_id in (operation_id, *ids):
        is_valid = bool(RESOURCE_ID.fullmatch(resource_id))
        _require(is_valid, f"ids, and the Operation-Id, must match {RESOURCE_ID.pattern}; got {resource_id!r}")
    fields = json_fields(ERRORS)
    _require(isinstance(fields.get("input"), dict), "input is required")
    return operation_id, fields


def _put_translation(lab: Lab, translation_id: str) -> Reply:
    operation_id, fields = _parse_put_request(translation_id)
    _check_input(fields["input"])
    with lab.lock:
        azure_state = lab.service_state(AzureState)
        existing = azure_state.translations.get(translation_id)
        # Unverified: that it is a 400. By the how-to it is an error.
        _require(existing is None or existing.fields == fields, "a translation with this id has other settings")
        azure_state.check_operation_id(operation_id, (translation_id, None))
        translation = azure_state.translations.setdefault(translation_id, Translation(fields, time.time()))
        azure_state.operations[operation_id] = (translation_id, None)
        return _operation_reply(
            operation_id, _translation_json(lab, translation_id, translation), is_new=existing is None
        )


def _check_input(fields: Mapping[str, Any]) -> None:
    _require(bool(fields.get("targetLocale")), "input.targetLocale is required")
    _require(fields.get("voiceKind") in VOICE_KINDS, f"input.voiceKind must be {' or '.join(VOICE_KINDS)}")
    sources = [fields.get("videoFileUrl"), fields.get("audioFileUrl")]
    _require(sum(map(bool, sources)) == 1, "input must have either videoFileUrl or audioFileUrl")


def _put_iteration(lab: Lab, translation_id: str, iteration_id: str) -> Reply:
    operation_id, fields = _parse_put_request(translation_id, iteration_id)
    with lab.lock:
        azure_state = lab.service_state(AzureState)
        translation = azure_state.translations.get(translation_id)
        if translation is None:  # Unverified: the 204 of the how-to is for GET and DELETE
            raise RequestRejected(ERRORS.error(404, "there is no translation with this id"))
        existing = translation.iterations.get(iteration_id)
        _require(existing is None or existing == fields, "an iteration with this id has other settings")
        azure_state.check_operation_id(operation_id, (translation_id, iteration_id))
        if existing is None:
            _create_iteration(lab, translation, _job_id(translation_id, iteration_id), fields)
            translation.iterations[iteration_id] = fields
        azure_state.operations[operation_id] = (translation_id, iteration_id)
        return _operation_reply(
            operation_id, _current_iteration_json(lab, translation_id, iteration_id), is_new=existing is None
        )


def _create_iteration(lab: Lab, translation: Translation, job_id: str, fields: dict[str, Any]) -> None:
    # Unverified: that it is a 400.
    _require(translation.status == TRANSLATION_STATUSES[-1], "the translation has not succeeded yet")
    is_first = not translation.iterations
    _require(
        is_first or bool(fields["input"].get("webvttFile")),
        "input.webvttFile is required, except for the first iteration",
    )
    # An iteration inherits the other fields from its translation.
    job_fields = {**translation.fields, **fields, "input": {**translation.fields["input"], **fields["input"]}}
    lab.create(job_fields, job_id)


def _operation_reply(operation_id: str, value: dict[str, Any], *, is_new: bool) -> Reply:
    location = f"{request.host_url.rstrip('/')}{PREFIX}/operations/{operation_id}?api-version={_api_version()}"
    return json_reply(value, 201 if is_new else 200).with_headers([("Operation-Location", location)])


def _operation_status(lab: Lab, operation_id: str) -> Reply:
    with lab.lock:
        azure_state = lab.service_state(AzureState)
        if operation_id not in azure_state.operations:
            # Unverified: the 204 of the how-to is for translations.
            raise RequestRejected(ERRORS.error(404, "there is no operation with this id"))
        translation_id, iteration_id = azure_state.operations[operation_id]
        translation = azure_state.translations[translation_id]
        if iteration_id is None:
            translation.status_checks += 1
            return json_reply({"id": operation_id, "status": translation.status})
        state = lab.job_state(_job_id(translation_id, iteration_id))
        return json_reply({"id": operation_id, "status": WORDS.word_for(state)})


def _get_translation(lab: Lab, translation_id: str) -> Reply:
    with lab.lock:
        translation = lab.service_state(AzureState).translations.get(translation_id)
        if translation is None:
            return NO_CONTENT
        translation.status_checks += 1
        return json_reply(_translation_json(lab, translation_id, translation))


def _delete_translation(lab: Lab, translation_id: str) -> Reply:
    with lab.lock:
        azure_state = lab.service_state(AzureState)
        translation = azure_state.translations.pop(translation_id, None)
        for iteration_id in translation.iterations if translation else ():
            lab.delete(_job_id(translation_id, iteration_id))
        azure_state.operations = {
            operation_id: subject
            for operation_id, subject in azure_state.operations.items()
            if subject[0] != translation_id
        }
    return NO_CONTENT


def _list_translations(lab: Lab) -> Reply:
    with lab.lock:
        translations = lab.service_state(AzureState).translations
        return _page_reply(_translation_json(lab, *item) for item in translations.items())


def _list_iterations(lab: Lab, translation_id: str) -> Reply:
    with lab.lock:
        translation = lab.service_state(AzureState).translations.get(translation_id)
        ids = translation.iterations if translation else ()
        return _page_reply(_current_iteration_json(lab, translation_id, iteration_id) for iteration_id in ids)


def _page_reply(values: Iterable[dict[str, Any]]) -> Reply:
    """Return one page of a list, chosen by `skip` and `top`, without `nextLink` and `maxpagesize`."""
    numbers = {name: request.args.get(name, "") for name in ("skip", "top")}
    for name, text in numbers.items():
        _require(not text or (text.isascii() and text.isdecimal() and len(text) < 10), f"{name} must be an integer")
    start = int(numbers["skip"] or 0)
    stop = start + int(numbers["top"]) if numbers["top"] else None
    return json_reply({"value": list(values)[start:stop]})


DIALECT = Dialect(ERRORS, make_blueprint, key_headers=("Ocp-Apim-Subscription-Key", AUTHORIZATION))
