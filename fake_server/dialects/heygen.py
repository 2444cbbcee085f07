"""HeyGen video translation, v3 and the older v2.

Sources: developers.heygen.com (reference/create-video-translation, docs/error-codes, docs/usage-limits), the schemas in
github.com/heygen-com/heygen-cli (gen/video-translate.go, gen/video-translation-batch.go), and for v2
docs.heygen.com/reference/video-translate-status. What none of them documents is marked as unverified.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import count
from typing import Any

from flask import Blueprint, request

from ..jobs import Fields, JobState, NoSuchJob, TooManyJobs
from ..lab import Lab
from ..replies import Reply, ResponseTuple, json_reply
from ..responder import ErrorBodies, RequestRejected, Responder, StatusWords
from ..storage import signed_url
from .dialect import BEARER, Dialect, form_fields, json_fields

IDEMPOTENCY_KEY = re.compile(r"[A-Za-z0-9_\-:.]{1,255}")

REPLAY_SECONDS = 24 * 3600.0

MAX_BULK_IDS = 100

MAX_ASSET_BYTES = 32 * 1024 * 1024

V3 = StatusWords(((0.1, "pending"), (1.0, "running")), "completed", "failed")

# The words of the bulk route differ.
V3_BULK = StatusWords(((0.1, "queued"), (1.0, "processing")), "completed", "failed")

V2 = StatusWords(((0.1, "pending"), (1.0, "running")), "success", "failed")

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
ERROR_CODES = {
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


class HeyGenErrors(ErrorBodies):
    """`{"error": {"code", "message", "param"?, "doc_url"}}`"""

    def error(self, status_code: int, message: str, param: str | None = None) -> Reply:
        """Return an error, with the name of the parameter if it has one."""
        said = {"code": ERROR_CODES.get(status_code, "internal_error"), "message": message, "doc_url": DOCS}
        return json_reply({"error": said | ({"param": param} if param else {})}, status_code)

    def too_many_jobs(self, error: TooManyJobs) -> Reply:
        """Return a 429 with the seconds until the first pending job finishes."""
        seconds = max(1, math.ceil(error.retry_after))
        return super().too_many_jobs(error).with_headers([("Retry-After", str(seconds))])


ERRORS = HeyGenErrors()


def status_said(lab: Lab, look: JobState, word: str) -> Reply:
    """Return the status of a job in v3."""
    fields = look.fields
    data: dict[str, Any] = {
        "id": look.job_id,
        "status": word,
        "title": fields.get("title"),
        "output_language": fields.get("output_language"),
        "input_language": fields.get("input_language"),
        "created_at": int(look.started_at),
        "callback_id": fields.get("callback_id"),
        "translate_audio_only": bool(fields.get("translate_audio_only")),
    }
    if word == V3.completed:
        link = signed_url(lab, str(look.job_id)) if look.has_result else None
        data |= {"video_url": link, "duration": 60.0}
    if word == V3.error:
        data["failure_message"] = FAILURE
    return json_reply({"data": data})


def bulk_item(lab: Lab, job_id: str) -> dict[str, Any]:
    """Return the entry of a job in a bulk response, whether it exists or not."""
    try:
        word = V3_BULK.word_for(lab.job_state(job_id))
    except NoSuchJob:
        word = NOT_FOUND
    # Unverified: the fields of the error.
    error = {"code": "translation_failed", "message": FAILURE} if word == V3_BULK.error else None
    return {"video_id": job_id, "status": word, "error": error}


def status_said_v2(lab: Lab, look: JobState, word: str) -> Reply:
    """Return the status of a job in v2."""
    is_there = word == V2.completed and look.has_result
    data = {
        "video_translate_id": look.job_id,
        "title": look.fields.get("title"),
        "status": word,
        "url": signed_url(lab, str(look.job_id)) if is_there else None,
        "message": FAILURE if word == V2.error else None,
    }
    return json_reply({"error": None, "data": data})


class Memory:
    """The state of HeyGen beside its jobs: responses to replay, and uploads."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], tuple[float, Reply]] = {}
        self.assets: dict[str, Fields] = {}
        self.numbers = count(1)


def routes_of(responder: Responder) -> Blueprint:
    """Build the routes of both versions."""
    routes = Blueprint("heygen", __name__)
    _add_v3(routes, responder)
    _add_v3_of_the_account(routes, responder)
    _add_v2(routes, responder)
    return routes


def _add_v3(routes: Blueprint, responder: Responder) -> None:
    @routes.post("/v3/video-translations")
    def create() -> ResponseTuple:
        return responder.respond("create", lambda: _once(responder.lab, lambda: _created(responder.lab)))

    @routes.get("/v3/video-translations/<job_id>")
    def status(job_id: str) -> ResponseTuple:
        return responder.status(job_id, V3, lambda look, word: status_said(responder.lab, look, word))

    @routes.get("/v3/video-translations/statuses")
    def statuses() -> ResponseTuple:
        return responder.respond("bulk", lambda: _statuses(responder.lab))

    @routes.delete("/v3/video-translations/<job_id>")
    def delete(job_id: str) -> ResponseTuple:
        def forget() -> Reply:
            responder.lab.delete(job_id)
            return json_reply({"data": {"id": job_id}})

        return responder.respond("delete", forget)


def _add_v3_of_the_account(routes: Blueprint, responder: Responder) -> None:
    @routes.get("/v3/video-translations/languages")
    def languages() -> ResponseTuple:
        return responder.respond("languages", lambda: json_reply({"data": {"languages": LANGUAGES}}))

    @routes.post("/v3/assets")
    def upload() -> ResponseTuple:
        return responder.respond("upload", lambda: _uploaded(responder.lab))


def _add_v2(routes: Blueprint, responder: Responder) -> None:
    @routes.post("/v2/video_translate")
    def create_v2() -> ResponseTuple:
        return responder.respond("create", lambda: _created_v2(responder.lab))

    @routes.get("/v2/video_translate/<job_id>")
    def status_v2(job_id: str) -> ResponseTuple:
        return responder.status(job_id, V2, lambda look, word: status_said_v2(responder.lab, look, word))

    @routes.get("/v2/video_translate/target_languages")
    def languages_v2() -> ResponseTuple:
        return responder.respond("languages", lambda: json_reply({"error": None, "data": {"languages": LANGUAGES}}))


def _require(is_true: bool, message: str, param: str) -> None:
    if not is_true:
        raise RequestRejected(ERRORS.error(400, message, param))


def _once(lab: Lab, make: Callable[[], Reply]) -> Reply:
    """Handle a request, or replay the first response to this `Idempotency-Key`, whatever the body is now.

    Unverified: that an error is not replayed.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return make()
    _require(bool(IDEMPOTENCY_KEY.fullmatch(key)), f"it has to match {IDEMPOTENCY_KEY.pattern}", "Idempotency-Key")
    with lab.lock:
        answers = lab.service_state(Memory).answers
        at, answer = answers.get((request.path, key), (-math.inf, Reply(500, (), b"")))
        if lab.elapsed < at + REPLAY_SECONDS:
            return answer
        answer = make()
        answers[request.path, key] = (lab.elapsed, answer)
        return answer


def _created(lab: Lab) -> Reply:
    fields = json_fields(ERRORS)
    languages = fields.get("output_languages")
    if not isinstance(languages, list) or not languages:
        raise RequestRejected(ERRORS.error(400, "a list of at least one language", "output_languages"))
    for language in languages:
        _require(language in LANGUAGES, f"unknown language {language!r}", "output_languages")
    source = _source(lab, fields.get("video"))
    # Unverified: whether the status is 200 or 201.
    ids = lab.create_many([{**fields, **source, "output_language": language} for language in languages])
    return json_reply({"data": {"video_translation_ids": ids}})


def _source(lab: Lab, video: Any) -> Fields:
    """Return the known fields of the video: the name and size of an upload."""
    video = video if isinstance(video, dict) else {}
    kind = video.get("type")
    _require(kind in ("url", "asset_id"), "an object whose type is `url` or `asset_id`", "video")
    value = video.get(kind)
    _require(isinstance(value, str) and bool(value), f"it has no {kind}", "video")
    if kind == "url":
        return {}
    asset = lab.service_state(Memory).assets.get(value)
    _require(asset is not None, "there is no such asset", "video")
    return asset or {}


def _statuses(lab: Lab) -> Reply:
    """Return the statuses of many jobs. HeyGen's batches are not implemented, and so neither are jobs of batches."""
    ids = [one for one in request.args.get("video_translation_ids", "").split(",") if one]
    # Unverified: the errors for no ids, and for too many.
    _require(0 < len(ids) <= MAX_BULK_IDS, f"from 1 to {MAX_BULK_IDS} ids", "video_translation_ids")
    return json_reply({"data": [bulk_item(lab, one) for one in ids], "has_more": False, "next_token": None})


def _uploaded(lab: Lab) -> Reply:
    fields = form_fields()
    _require("file" in fields, "a form with a file", "file")
    _require(fields["file_bytes"] <= MAX_ASSET_BYTES, f"{MAX_ASSET_BYTES} bytes at the most", "file")
    memory = lab.service_state(Memory)
    asset_id = f"asset-{next(memory.numbers)}"
    memory.assets[asset_id] = {"file": fields["file"], "file_bytes": fields["file_bytes"]}
    return json_reply({"data": {"asset_id": asset_id}})


def _created_v2(lab: Lab) -> Reply:
    fields = json_fields(ERRORS)
    _require(bool(fields.get("video_url")), "a video is needed", "video_url")
    several = fields.get("output_languages")
    language = fields.get("output_language") or (several[0] if isinstance(several, list) and several else None)
    _require(language in LANGUAGES, f"unknown language {language!r}", "output_language")
    # Unverified: the response to several `output_languages`. Here the first one counts.
    job_id = lab.create({**fields, "output_language": language})
    return json_reply({"error": None, "data": {"video_translate_id": job_id}})


DIALECT = Dialect(ERRORS, routes_of, key_headers=("X-Api-Key", BEARER))
