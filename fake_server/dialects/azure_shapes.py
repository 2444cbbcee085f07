"""The JSON of Azure: translations, iterations, operations and errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ..desk import Refused, Voice, Words
from ..jobs import Fields, Look, NoSuchJob
from ..lab import Lab
from ..replies import Reply, json_reply
from ..scenario import PENDING
from ..storage import link_to

WORDS = Words(((0.1, "NotStarted"), (1.0, "Running")), "Succeeded", "Failed")

STEPS = ("NotStarted", "Running", "Succeeded")
"""Making a translation takes no work: it is one step further each time that somebody looks, and stays at the last."""

RESULT_FILES: Mapping[str, str] = {
    "translatedVideoFileUrl": ".mp4",
    "sourceLocaleSubtitleWebvttFileUrl": ".source.vtt",
    "targetLocaleSubtitleWebvttFileUrl": ".target.vtt",
    "metadataJsonWebvttFileUrl": ".metadata.vtt",
}

# Unverified: the shape of an error is documented, none of its codes is.
CODES = {400: "InvalidArgument", 401: "Unauthorized", 404: "NotFound", 409: "Conflict", 429: "TooManyRequests"}

NOTHING = Reply(204, (), b"")
"""For what does not exist any more, and for what never did."""

FAILURE = "The video could not be translated."


class AzureVoice(Voice):
    """`{"error": {"code", "message"}}`, and the code in a header."""

    def error(self, status_code: int, message: str) -> Reply:
        """As Azure Core has it."""
        code = CODES.get(status_code, "InternalServerError")
        answer = json_reply({"error": {"code": code, "message": message}}, status_code)
        return answer.with_headers([("x-ms-error-code", code)])

    def missing(self, _: NoSuchJob) -> Reply:
        """As the how-to has it; the OpenAPI knows no 204 for a GET."""
        return NOTHING


VOICE = AzureVoice()


def require(is_true: bool, message: str) -> None:
    """Go on only where it is true.

    Raises:
        Refused: It is not.
    """
    if not is_true:
        raise Refused(VOICE.error(400, message))


@dataclass
class Translation:
    """What iterations are made of.

    Attributes:
        fields: What was asked for.
        began_at: When it was made, in seconds of the Unix epoch.
        looks: How often somebody has looked how it stands.
        iterations: By id what was asked for.
    """

    fields: Fields
    began_at: float
    looks: int = 0
    iterations: dict[str, Fields] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """As it was last seen."""
        return STEPS[max(0, min(self.looks, len(STEPS)) - 1)]


class Memory:
    """What Azure remembers beside its jobs, which are the iterations: translations, and what each operation is about."""

    def __init__(self) -> None:
        self.translations: dict[str, Translation] = {}
        self.operations: dict[str, tuple[str, str | None]] = {}

    def require_free(self, operation_id: str, subject: tuple[str, str | None]) -> None:
        """Let an operation be about a translation, or about an iteration of it, as it may be already.

        Raises:
            Refused: It is about something else.
        """
        require(self.operations.get(operation_id, subject) == subject, "this Operation-Id was used before")


def translation_said(lab: Lab, translation_id: str, translation: Translation) -> dict[str, Any]:
    """A translation, with the latest of its iterations."""
    iterations = [iteration_seen(lab, translation_id, one) for one in translation.iterations]
    succeeded = [one for one in iterations if one["status"] == WORDS.completed]
    began = _moment(translation.began_at)
    return {
        "id": translation_id,
        **_some(translation.fields, "displayName", "description", "input"),
        "createdDateTime": began,
        # Unverified: the how-to shows these two; the OpenAPI knows neither of them.
        "status": translation.status,
        "lastActionDateTime": began,
        **({"latestIteration": iterations[-1]} if iterations else {}),
        **({"latestSucceededIteration": succeeded[-1]} if succeeded else {}),
    }


def iteration_seen(lab: Lab, translation_id: str, iteration_id: str) -> dict[str, Any]:
    """An iteration as it stands now."""
    look = lab.look(job_id_of(translation_id, iteration_id))
    return iteration_said(lab, look, WORDS.of(look))


def iteration_said(lab: Lab, look: Look, word: str) -> dict[str, Any]:
    """An iteration, with a word for how it stands, and with what came of it."""
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
    """What an iteration is called among the jobs: its own id is unique in its translation alone."""
    return f"{translation_id}/{iteration_id}"


def _some(fields: Fields, *names: str) -> Fields:
    """What was sent comes back as far as it is published, and no further."""
    return {name: fields[name] for name in names if name in fields}


def _entered(look: Look) -> float:
    """After how many seconds of its life a job came to stand as it does."""
    if look.status != PENDING:
        return look.life.duration
    begins = (0.0, *(until for until, _ in WORDS.pending))
    return look.life.duration * max(begin for begin in begins if begin <= look.share)


def _moment(epoch_seconds: float) -> str:
    return datetime.fromtimestamp(epoch_seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
