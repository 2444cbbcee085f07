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

from ..jobs import Fields, Look, NoSuchJob
from ..lab import Lab
from ..replies import Parts, Reply, json_reply
from ..responder import Desk, Refused, Voice, Words
from ..scenario import PENDING
from ..storage import link_to
from .dialect import BEARER, Dialect, json_fields

PREFIX = "/videotranslation"

RESOURCE_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{1,62}[a-zA-Z0-9]")

API_VERSION = re.compile(r"\d{4}-\d\d-\d\d(-preview)?")

WORDS = Words(((0.1, "NotStarted"), (1.0, "Running")), "Succeeded", "Failed")

STEPS = ("NotStarted", "Running", "Succeeded")
"""Creating a translation takes no work: its status advances one step at each check, and stays at the last."""

RESULT_FILES: Mapping[str, str] = {
    "translatedVideoFileUrl": ".mp4",
    "sourceLocaleSubtitleWebvttFileUrl": ".source.vtt",
    "targetLocaleSubtitleWebvttFileUrl": ".target.vtt",
    "metadataJsonWebvttFileUrl": ".metadata.vtt",
}

# Unverified: the format of an error is documented, its codes are not.
CODES = {400: "InvalidArgument", 401: "Unauthorized", 404: "NotFound", 409: "Conflict", 429: "TooManyRequests"}

NOTHING = Reply(204, (), b"")
"""The response for what was deleted or never existed."""

FAILURE = "The video could not be translated."


class AzureVoice(Voice):
    """`{"error": {"code", "message"}}`, and the code in a header."""

    def error(self, status_code: int, message: str) -> Reply:
        """Return an error in the format of Azure Core."""
        code = CODES.get(status_code, "InternalServerError")
        answer = json_reply({"error": {"code": code, "message": message}}, status_code)
        return answer.with_headers([("x-ms-error-code", code)])

    def missing(self, _: NoSuchJob) -> Reply:
        """Return the 204 of the how-to. The OpenAPI has no 204 for a GET."""
        return NOTHING


VOICE = AzureVoice()


def require(is_true: bool, message: str) -> None:
    """Check a condition.

    Raises:
        Refused: It is false.
    """
    if not is_true:
        raise Refused(VOICE.error(400, message))


@dataclass
class Translation:
    """A translation, which holds iterations.

    Attributes:
        fields: The fields of its request.
        began_at: Its creation in seconds of the Unix epoch.
        looks: How often its status was checked.
        iterations: The fields of the request of each iteration, by id.
    """

    fields: Fields
    began_at: float
    looks: int = 0
    iterations: dict[str, Fields] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """The status at the last check."""
        return STEPS[max(0, min(self.looks, len(STEPS)) - 1)]


class Memory:
    """The state of Azure beside its jobs, which are the iterations: translations, and the subject of each operation."""

    def __init__(self) -> None:
        self.translations: dict[str, Translation] = {}
        self.operations: dict[str, tuple[str, str | None]] = {}

    def require_free(self, operation_id: str, subject: tuple[str, str | None]) -> None:
        """Check that an operation id is new, or has the same subject: a translation, or an iteration of it.

        Raises:
            Refused: It has another subject.
        """
        require(self.operations.get(operation_id, subject) == subject, "this Operation-Id was used before")


def translation_said(lab: Lab, translation_id: str, translation: Translation) -> dict[str, Any]:
    """Return the JSON of a translation, with its latest iteration."""
    iterations = [iteration_seen(lab, translation_id, one) for one in translation.iterations]
    succeeded = [one for one in iterations if one["status"] == WORDS.completed]
    began = _moment(translation.began_at)
    return {
        "id": translation_id,
        **_some(translation.fields, "displayName", "description", "input"),
        "createdDateTime": began,
        # Unverified: the how-to has these two, the OpenAPI has neither.
        "status": translation.status,
        "lastActionDateTime": began,
        **({"latestIteration": iterations[-1]} if iterations else {}),
        **({"latestSucceededIteration": succeeded[-1]} if succeeded else {}),
    }


def iteration_seen(lab: Lab, translation_id: str, iteration_id: str) -> dict[str, Any]:
    """Return the JSON of an iteration in its current state."""
    look = lab.look(job_id_of(translation_id, iteration_id))
    return iteration_said(lab, look, WORDS.of(look))


def iteration_said(lab: Lab, look: Look, word: str) -> dict[str, Any]:
    """Return the JSON of an iteration, with a status word and its result."""
    job_id = str(look.job_id)
    translation_id, _, iteration_id = job_id.partition("/")
    asked = lab.memory(Memory).translations[translation_id].iterations[iteration_id]
    said: dict[str, Any] = {
        "id": iteration_id,
        **_some(asked, "description", "input"),
        "status": word,
        "createdDateTime": _moment(look.began_at),
        "lastActionDateTime": _moment(look.began_at + _entered(look)),
    }
    if word == WORDS.completed and look.has_result:
        said["result"] = {name: link_to(lab, job_id, kind) for name, kind in RESULT_FILES.items()}
    if word == WORDS.error:
        said["failureReason"] = FAILURE
    return said


def job_id_of(translation_id: str, iteration_id: str) -> str:
    """Return the job id of an iteration, whose own id is unique only within its translation."""
    return f"{translation_id}/{iteration_id}"


def _some(fields: Fields, *names: str) -> Fields:
    """Return those of the fields that a response has."""
    return {name: fields[name] for name in names if name in fields}


def _entered(look: Look) -> float:
    """Return the seconds from the start of a job to its last change of status."""
    if look.status != PENDING:
        return look.life.duration
    begins = (0.0, *(until for until, _ in WORDS.pending))
    return look.life.duration * max(begin for begin in begins if begin <= look.share)


def _moment(epoch_seconds: float) -> str:
    return datetime.fromtimestamp(epoch_seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def routes_of(desk: Desk) -> Blueprint:
    """Build the routes."""
    routes = Blueprint("azure", __name__, url_prefix=PREFIX)
    _add_translations(routes, desk)
    _add_iterations(routes, desk)

    @routes.before_request
    def require_version() -> None:
        require(bool(API_VERSION.fullmatch(_version())), "the query has to hold an api-version, such as 2025-05-20")

    @routes.get("/operations/<operation_id>")
    def operation(operation_id: str) -> Parts:
        return desk.answer("operation", lambda: _operation(desk.lab, operation_id))

    return routes


def _add_translations(routes: Blueprint, desk: Desk) -> None:
    @routes.put("/translations/<translation_id>")
    def create_translation(translation_id: str) -> Parts:
        return desk.answer("create", lambda: _put_translation(desk.lab, translation_id))

    @routes.get("/translations/<translation_id>")
    def translation(translation_id: str) -> Parts:
        return _seen_translation(desk.lab, translation_id).parts

    @routes.get("/translations")
    def translations() -> Parts:
        return desk.answer("bulk", lambda: _translations(desk.lab))

    @routes.delete("/translations/<translation_id>")
    def delete(translation_id: str) -> Parts:
        return desk.answer("delete", lambda: _deleted(desk.lab, translation_id))


def _add_iterations(routes: Blueprint, desk: Desk) -> None:
    @routes.put("/translations/<translation_id>/iterations/<iteration_id>")
    def create_iteration(translation_id: str, iteration_id: str) -> Parts:
        return desk.answer("create", lambda: _put_iteration(desk.lab, translation_id, iteration_id))

    @routes.get("/translations/<translation_id>/iterations/<iteration_id>")
    def iteration(translation_id: str, iteration_id: str) -> Parts:
        job_id = job_id_of(translation_id, iteration_id)
        return desk.status(job_id, WORDS, lambda look, word: json_reply(iteration_said(desk.lab, look, word)))

    @routes.get("/translations/<translation_id>/iterations")
    def iterations(translation_id: str) -> Parts:
        return desk.answer("bulk", lambda: _iterations(desk.lab, translation_id))


def _version() -> str:
    return request.args.get("api-version", "")


def _asked_for(*ids: str) -> tuple[str, dict[str, Any]]:
    """Return the operation id and the body of the current request. Checks the ids in the path too."""
    operation_id = request.headers.get("Operation-Id", "")
    for one in (operation_id, *ids):
        require(bool(RESOURCE_ID.fullmatch(one)), f"an id, of an operation too, matches {RESOURCE_ID.pattern}: {one!r}")
    fields = json_fields(VOICE)
    require(isinstance(fields.get("input"), dict), "input is required")
    return operation_id, fields


def _put_translation(lab: Lab, translation_id: str) -> Reply:
    operation_id, fields = _asked_for(translation_id)
    _check_input(fields["input"])
    with lab.lock:
        memory = lab.memory(Memory)
        known = memory.translations.get(translation_id)
        # Unverified: that it is a 400. By the how-to it is an error.
        require(known is None or known.fields == fields, "there is a translation of this id with other settings")
        memory.require_free(operation_id, (translation_id, None))
        made = memory.translations.setdefault(translation_id, Translation(fields, time.time()))
        memory.operations[operation_id] = (translation_id, None)
        return _begun(operation_id, translation_said(lab, translation_id, made), is_new=known is None)


def _check_input(wanted: Mapping[str, Any]) -> None:
    require(bool(wanted.get("targetLocale")), "input.targetLocale is required")
    require(wanted.get("voiceKind") in ("PlatformVoice", "PersonalVoice"), "input.voiceKind is one of two")
    sources = [wanted.get("videoFileUrl"), wanted.get("audioFileUrl")]
    require(sum(map(bool, sources)) == 1, "input has one of videoFileUrl and audioFileUrl")


def _put_iteration(lab: Lab, translation_id: str, iteration_id: str) -> Reply:
    operation_id, fields = _asked_for(translation_id, iteration_id)
    with lab.lock:
        memory = lab.memory(Memory)
        translation = memory.translations.get(translation_id)
        if translation is None:  # Unverified: the 204 of the how-to is for GET and DELETE
            raise Refused(VOICE.error(404, "there is no translation of this id"))
        known = translation.iterations.get(iteration_id)
        require(known is None or known == fields, "there is an iteration of this id with other settings")
        memory.require_free(operation_id, (translation_id, iteration_id))
        if known is None:
            _make_iteration(lab, translation, job_id_of(translation_id, iteration_id), fields)
            translation.iterations[iteration_id] = fields
        memory.operations[operation_id] = (translation_id, iteration_id)
        return _begun(operation_id, iteration_seen(lab, translation_id, iteration_id), is_new=known is None)


def _make_iteration(lab: Lab, translation: Translation, job_id: str, fields: dict[str, Any]) -> None:
    # Unverified: that it is a 400.
    require(translation.status == STEPS[-1], "the translation has not succeeded yet")
    is_first = not translation.iterations
    require(is_first or bool(fields["input"].get("webvttFile")), "input.webvttFile is required from the second on")
    # An iteration inherits the other fields from its translation.
    wanted = {**translation.fields, **fields, "input": {**translation.fields["input"], **fields["input"]}}
    lab.create(wanted, job_id)


def _begun(operation_id: str, said: dict[str, Any], *, is_new: bool) -> Reply:
    place = f"{request.host_url.rstrip('/')}{PREFIX}/operations/{operation_id}?api-version={_version()}"
    return json_reply(said, 201 if is_new else 200).with_headers([("Operation-Location", place)])


def _operation(lab: Lab, operation_id: str) -> Reply:
    with lab.lock:
        memory = lab.memory(Memory)
        if operation_id not in memory.operations:
            # Unverified: the 204 of the how-to is for translations.
            raise Refused(VOICE.error(404, "there is no operation of this id"))
        translation_id, iteration_id = memory.operations[operation_id]
        translation = memory.translations[translation_id]
        if iteration_id is None:
            translation.looks += 1
            return json_reply({"id": operation_id, "status": translation.status})
        look = lab.look(job_id_of(translation_id, iteration_id))
        return json_reply({"id": operation_id, "status": WORDS.of(look)})


def _seen_translation(lab: Lab, translation_id: str) -> Reply:
    with lab.lock:
        translation = lab.memory(Memory).translations.get(translation_id)
        if translation is None:
            return NOTHING
        translation.looks += 1
        return json_reply(translation_said(lab, translation_id, translation))


def _deleted(lab: Lab, translation_id: str) -> Reply:
    with lab.lock:
        memory = lab.memory(Memory)
        translation = memory.translations.pop(translation_id, None)
        for iteration_id in translation.iterations if translation else ():
            lab.delete(job_id_of(translation_id, iteration_id))
        memory.operations = {one: about for one, about in memory.operations.items() if about[0] != translation_id}
    return NOTHING


def _translations(lab: Lab) -> Reply:
    with lab.lock:
        known = lab.memory(Memory).translations
        return _page(translation_said(lab, one, known[one]) for one in known)


def _iterations(lab: Lab, translation_id: str) -> Reply:
    with lab.lock:
        known = lab.memory(Memory).translations.get(translation_id)
        return _page(iteration_seen(lab, translation_id, one) for one in (known.iterations if known else ()))


def _page(values: Iterable[dict[str, Any]]) -> Reply:
    """Return a list, or the part chosen by `skip` and `top`, as one page, without `nextLink` and `maxpagesize`."""
    numbers = {name: request.args.get(name, "") for name in ("skip", "top")}
    for name, text in numbers.items():
        require(not text or (text.isascii() and text.isdecimal() and len(text) < 10), f"{name} is a whole number")
    begin = int(numbers["skip"] or 0)
    end = begin + int(numbers["top"]) if numbers["top"] else None
    return json_reply({"value": list(values)[begin:end]})


DIALECT = Dialect(VOICE, routes_of, key_headers=("Ocp-Apim-Subscription-Key", BEARER))
