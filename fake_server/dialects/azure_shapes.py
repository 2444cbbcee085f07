"""The JSON of Azure: translations, iterations, operations and errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ..jobs import Fields, Look, NoSuchJob
from ..lab import Lab
from ..replies import Reply, json_reply
from ..responder import Refused, Voice, Words
from ..scenario import PENDING
from ..storage import link_to

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
