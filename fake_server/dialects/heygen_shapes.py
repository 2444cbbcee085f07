"""The JSON of HeyGen: jobs in its three vocabularies, and errors."""

from __future__ import annotations

import math
from typing import Any

from ..jobs import Look, NoSuchJob, TooManyJobs
from ..lab import Lab
from ..replies import Reply, json_reply
from ..responder import Voice, Words
from ..storage import link_to

V3 = Words(((0.1, "pending"), (1.0, "running")), "completed", "failed")

# The words of the bulk route differ.
V3_BULK = Words(((0.1, "queued"), (1.0, "processing")), "completed", "failed")

V2 = Words(((0.1, "pending"), (1.0, "running")), "success", "failed")

NOT_FOUND = "not_found"

# Unverified: a selection. The full list is longer, and only part of it is known.
LANGUAGES = (
    "Chinese (Cantonese, Traditional)",
    "Chinese (Mandarin, Simplified)",
    "English",
    "English (United States)",
    "French (France)",
    "German (Germany)",
    "Hindi (India)",
    "Italian (Italy)",
    "Japanese (Japan)",
    "Korean (Korea)",
    "Portuguese (Brazil)",
    "Spanish (Mexico)",
    "Spanish (Spain)",
)

# Unverified, except `invalid_parameter`, `rate_limit_exceeded` and `request_in_progress`, which are documented.
CODES = {
    400: "invalid_parameter",
    401: "unauthorized",
    402: "insufficient_credit",
    403: "forbidden",
    404: "not_found",
    409: "request_in_progress",
    429: "rate_limit_exceeded",
}

DOCS = "https://developers.heygen.com/docs/error-codes"

FAILURE = "The video could not be translated."


class HeyGenVoice(Voice):
    """`{"error": {"code", "message", "param"?, "doc_url"}}`"""

    def error(self, status_code: int, message: str, param: str | None = None) -> Reply:
        """Return an error, with the name of the parameter if it has one."""
        said = {"code": CODES.get(status_code, "internal_error"), "message": message, "doc_url": DOCS}
        return json_reply({"error": said | ({"param": param} if param else {})}, status_code)

    def full(self, problem: TooManyJobs) -> Reply:
        """Return a 429 with the seconds until the first pending job finishes."""
        seconds = max(1, math.ceil(problem.seconds))
        return super().full(problem).with_headers([("Retry-After", str(seconds))])


VOICE = HeyGenVoice()


def status_said(lab: Lab, look: Look, word: str) -> Reply:
    """Return the status of a job in v3."""
    fields = look.fields
    data: dict[str, Any] = {
        "id": look.job_id,
        "status": word,
        "title": fields.get("title"),
        "output_language": fields.get("output_language"),
        "input_language": fields.get("input_language"),
        "created_at": int(look.began_at),
        "callback_id": fields.get("callback_id"),
        "translate_audio_only": bool(fields.get("translate_audio_only")),
    }
    if word == V3.completed:
        link = link_to(lab, str(look.job_id)) if look.has_result else None
        data |= {"video_url": link, "duration": 60.0}
    if word == V3.error:
        data["failure_message"] = FAILURE
    return json_reply({"data": data})


def bulk_item(lab: Lab, job_id: str) -> dict[str, Any]:
    """Return the entry of a job in a bulk response, whether it exists or not."""
    try:
        word = V3_BULK.of(lab.look(job_id))
    except NoSuchJob:
        word = NOT_FOUND
    # Unverified: the fields of the error.
    error = {"code": "translation_failed", "message": FAILURE} if word == V3_BULK.error else None
    return {"video_id": job_id, "status": word, "error": error}


def status_said_v2(lab: Lab, look: Look, word: str) -> Reply:
    """Return the status of a job in v2."""
    is_there = word == V2.completed and look.has_result
    data = {
        "video_translate_id": look.job_id,
        "title": look.fields.get("title"),
        "status": word,
        "url": link_to(lab, str(look.job_id)) if is_there else None,
        "message": FAILURE if word == V2.error else None,
    }
    return json_reply({"error": None, "data": data})
