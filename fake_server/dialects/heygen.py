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
from ..responder import ErrorResponses, RequestRejected, Responder, StatusWords
from ..storage import signed_url
from .dialect import AUTHORIZATION, Dialect, form_fields, json_fields

IDEMPOTENCY_KEY = re.compile(r"[A-Za-z0-9_\-:.]{1,255}")

REPLAY_SECONDS = 24 * 3600.0
"""How long an idempotency key is valid."""

MAX_BULK_IDS = 100

MAX_ASSET_BYTES = 32 * 1024 * 1024

V3_WORDS = StatusWords(((0.1, "pending"), (1.0, "running")), "completed", "failed")

BULK_WORDS = StatusWords(((0.1, "queued"), (1.0, "processing")), "completed", "failed")
"""The bulk route of v3 has words of its own."""

V2_WORDS = StatusWords(((0.1, "pending"), (1.0, "running")), "success", "failed")

NOT_FOUND_WORD = "not_found"

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

DOC_URL = "https://developers.heygen.com/docs/error-codes"

FAILURE = "The video could not be translated."


class HeyGenErrors(ErrorResponses):
    """The errors of HeyGen: `{"error": {"code", "message", "param"?, "doc_url"}}`."""

    def error(self, status_code: int, message: str, param: str | None = None) -> Reply:
        """Return an error, with the name of the invalid parameter, if any."""
        value = {"code": ERROR_CODES.get(status_code, "internal_error"), "message": message, "doc_url": DOC_URL}
        return json_reply({"error": value | ({"param": param} if param else {})}, status_code)

    def too_many_jobs(self, error: TooManyJobs) -> Reply:
        """Return a 429 with the seconds until the first pending job finishes."""
        seconds = max(1, math.ceil(error.retry_after))
        return super().too_many_jobs(error).with_headers([("Retry-After", str(seconds))])


ERRORS = HeyGenErrors()


def _status_reply(lab: Lab, state: JobState, word: str) -> Reply:
    """Return the status of a job in v3."""
    fields = state.fields
    data: dict[str, Any] = {
        "id": state.job_id,
        "status": word,
        "title": fields.get("title"),
        "output_language": fields.get("output_language"),
        "input_language": fields.get("input_language"),
        "created_at": int(state.started_at),
        "callback_id": fields.get("callback_id"),
        "translate_audio_only": bool(fields.get("translate_audio_only")),
    }
    if word == V3_WORDS.completed:
        link = signed_url(lab, str(state.job_id)) if state.has_result else None
        data |= {"video_url": link, "duration": 60.0}
    if word == V3_WORDS.error:
        data["failure_message"] = FAILURE
    return json_reply({"data": data})


def _bulk_item(lab: Lab, job_id: str) -> dict[str, Any]:
    """Return the entry of a job in a bulk response, whether it exists or not."""
    try:
        word = BULK_WORDS.word_for(lab.job_state(job_id))
    except NoSuchJob:
        word = NOT_FOUND_WORD
    # Unverified: the fields of the error.
    error = {"code": "translation_failed", "message": FAILURE} if word == BULK_WORDS.error else None
    return {"video_id": job_id, "status": word, "error": error}


def _status_reply_v2(lab: Lab, state: JobState, word: str) -> Reply:
    """Return the status of a job in v2."""
    has_url = word == V2_WORDS.completed and state.has_result
    data = {
        "video_translate_id": state.job_id,
        "title": state.fields.get("title"),
        "status": word,
        "url": signed_url(lab, str(state.job_id)) if has_url else None,
        "message": FAILURE if word == V2_WORDS.error else None,
    }
    return json_reply({"error": None, "data": data})


class HeyGenState:
    """The state of HeyGen beside its jobs: responses to replay, by path and idempotency key, and uploads."""

    def __init__(self) -> None:
        self.replies: dict[tuple[str, str], tuple[float, Reply]] = {}
        self.assets: dict[str, Fields] = {}
        self.asset_numbers = count(1)


def make_blueprint(responder: Responder) -> Blueprint:
    """Return the routes of both versions."""
    blueprint = Blueprint("heygen", __name__)
    _add_job_routes(blueprint, responder)
    _add_account_routes(blueprint, responder)
    _add_v2_routes(blueprint, responder)
    return blueprint


def _add_job_routes(blueprint: Blueprint, responder: Responder) -> None:
    @blueprint.post("/v3/video-translations")
    def create() -> ResponseTuple:
        return responder.respond("create", lambda: _replay_or_handle(responder.lab, lambda: _create(responder.lab)))

    @blueprint.get("/v3/video-translations/<job_id>")
    def status(job_id: str) -> ResponseTuple:
        return responder.status(job_id, V3_WORDS, lambda state, word: _status_reply(responder.lab, state, word))

    @blueprint.get("/v3/video-translations/statuses")
    def statuses() -> ResponseTuple:
        return responder.respond("bulk", lambda: _bulk_statuses(responder.lab))

    @blueprint.delete("/v3/video-translations/<job_id>")
    def delete(job_id: str) -> ResponseTuple:
        def delete_job() -> Reply:
            responder.lab.delete(job_id)
            return json_reply({"data": {"id": job_id}})

        return responder.respond("delete", delete_job)


def _add_account_routes(blueprint: Blueprint, responder: Responder) -> None:
    @blueprint.get("/v3/video-translations/languages")
    def languages() -> ResponseTuple:
        return responder.respond("languages", lambda: json_reply({"data": {"languages": LANGUAGES}}))

    @blueprint.post("/v3/assets")
    def upload() -> ResponseTuple:
        return responder.respond("upload", lambda: _upload_asset(responder.lab))


def _add_v2_routes(blueprint: Blueprint, responder: Responder) -> None:
    @blueprint.post("/v2/video_translate")
    def create_v2() -> ResponseTuple:
        return responder.respond("create", lambda: _create_v2(responder.lab))

    @blueprint.get("/v2/video_translate/<job_id>")
    def status_v2(job_id: str) -> ResponseTuple:
        return responder.status(job_id, V2_WORDS, lambda state, word: _status_reply_v2(responder.lab, state, word))

    @blueprint.get("/v2/video_translate/target_languages")
    def languages_v2() -> ResponseTuple:
        return responder.respond("languages", lambda: json_reply({"error": None, "data": {"languages": LANGUAGES}}))


def _require(condition: bool, message: str, param: str) -> None:
    if not condition:
        raise RequestRejected(ERRORS.error(400, message, param))


def _replay_or_handle(lab: Lab, handle: Callable[[], Reply]) -> Reply:
    """Return the first response to this `Idempotency-Key`, whatever the body is now, or handle the request.

    Unverified: that an error is not replayed.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return handle()
    _require(bool(IDEMPOTENCY_KEY.fullmatch(key)), f"the key must match {IDEMPOTENCY_KEY.pattern}", "Idempotency-Key")
    with lab.lock:
        replies = lab.service_state(HeyGenState).replies
        sent_at, reply = replies.get((request.path, key), (-math.inf, Reply(500, (), b"")))
        if lab.elapsed < sent_at + REPLAY_SECONDS:
            return reply
        reply = handle()
        replies[request.path, key] = (lab.elapsed, reply)
        return reply


def _create(lab: Lab) -> Reply:
    fields = json_fields(ERRORS)
    languages = fields.get("output_languages")
    if not isinstance(languages, list) or not languages:
        raise RequestRejected(ERRORS.error(400, "a list of at least one language is required", "output_languages"))
    for language in languages:
        _require(language in LANGUAGES, f"unknown language {language!r}", "output_languages")
    upload = _upload_fields(lab, fields.get("video"))
    # Unverified: whether the status is 200 or 201.
    ids = lab.create_many([{**fields, **upload, "output_language": language} for language in languages])
    return json_reply({"data": {"video_translation_ids": ids}})


def _upload_fields(lab: Lab, video: Any) -> Fields:
    """Return the name and size of the uploaded video, or no fields for a URL. Checks the field `video`."""
    video = video if isinstance(video, dict) else {}
    source = video.get("type")
    _require(source in ("url", "asset_id"), "the type must be `url` or `asset_id`", "video")
    value = video.get(source)
    _require(isinstance(value, str) and bool(value), f"the field {source} is required", "video")
    if source == "url":
        return {}
    asset = lab.service_state(HeyGenState).assets.get(value)
    _require(asset is not None, "there is no such asset", "video")
    return asset or {}


def _bulk_statuses(lab: Lab) -> Reply:
    """Return the statuses of many jobs. HeyGen's batches are not implemented."""
    ids = [job_id for job_id in request.args.get("video_translation_ids", "").split(",") if job_id]
    # Unverified: the errors for no ids, and for too many.
    _require(0 < len(ids) <= MAX_BULK_IDS, f"from 1 to {MAX_BULK_IDS} ids are required", "video_translation_ids")
    return json_reply({"data": [_bulk_item(lab, job_id) for job_id in ids], "has_more": False, "next_token": None})


def _upload_asset(lab: Lab) -> Reply:
    fields = form_fields()
    _require("file" in fields, "a form with a file is required", "file")
    _require(fields["file_bytes"] <= MAX_ASSET_BYTES, f"at most {MAX_ASSET_BYTES} bytes are allowed", "file")
    heygen_state = lab.service_state(HeyGenState)
    asset_id = f"asset-{next(heygen_state.asset_numbers)}"
    heygen_state.assets[asset_id] = {"file": fields["file"], "file_bytes": fields["file_bytes"]}
    return json_reply({"data": {"asset_id": asset_id}})


def _create_v2(lab: Lab) -> Reply:
    fields = json_fields(ERRORS)
    _require(bool(fields.get("video_url")), "a video is required", "video_url")
    languages = fields.get("output_languages")
    first = languages[0] if isinstance(languages, list) and languages else None
    language = fields.get("output_language") or first
    _require(language in LANGUAGES, f"unknown language {language!r}", "output_language")
    # Unverified: the response to several `output_languages`. Here the first one counts.
    job_id = lab.create({**fields, "output_language": language})
    return json_reply({"error": None, "data": {"video_translate_id": job_id}})


DIALECT = Dialect(ERRORS, make_blueprint, key_headers=("X-Api-Key", AUTHORIZATION))
