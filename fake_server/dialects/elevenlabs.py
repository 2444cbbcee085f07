"""ElevenLabs dubbing, v1.

Sources: the types that Fern generates from their OpenAPI in github.com/elevenlabs/elevenlabs-python (2.59 and later),
the help article 19571824571921 on 429, and for 404 `dubbing_not_dubbed` the OpenAPI in github.com/tryAGI/ElevenLabs.
What none of them documents is marked as unverified.
"""

from __future__ import annotations

from datetime import datetime, timezone
from mimetypes import guess_type
from typing import Any

from flask import Blueprint, request

from ..jobs import JobState, NoSuchJob, TooManyJobs
from ..lab import Lab
from ..replies import Reply, ResponseTuple, json_reply
from ..responder import ErrorResponses, RequestRejected, Responder, StatusWords
from ..storage import file_reply, result_body
from .dialect import Dialect, form_fields

WORDS = StatusWords(((0.1, "queued"), (0.3, "preparing"), (1.0, "dubbing")), "dubbed", "failed")

# Unverified, except `too_many_concurrent_requests`, `system_busy` and `dubbing_not_dubbed`, which are documented.
ERROR_CODES = {
    400: "invalid_request",
    401: "invalid_api_key",
    404: "dubbing_not_found",
    425: "dubbing_not_dubbed",
    429: "system_busy",
}

MAX_PAGE_SIZE = 200

PROGRESS_OF_FIRST_425 = 0.5
"""The audio of a pending job is a 404 until this fraction of the duration, and then a 425. Both are documented."""

FAILURE = "The dub failed."


class ElevenLabsErrors(ErrorResponses):
    """The errors of ElevenLabs: `{"detail": {"status", "message"}}`."""

    def error(self, status_code: int, message: str, code: str | None = None) -> Reply:
        """Return an error with a code and a message."""
        code = code or ERROR_CODES.get(status_code, "internal_server_error")
        return json_reply({"detail": {"status": code, "message": message}}, status_code)

    def too_many_jobs(self, error: TooManyJobs) -> Reply:
        """Return the 429 for too many jobs, which differs from that of a busy server."""
        return self.error(429, str(error), "too_many_concurrent_requests")


ERRORS = ElevenLabsErrors()


def make_blueprint(responder: Responder) -> Blueprint:
    """Return the routes."""
    blueprint = Blueprint("elevenlabs", __name__, url_prefix="/v1/dubbing")
    _add_collection_routes(blueprint, responder)

    @blueprint.get("/<job_id>")
    def status(job_id: str) -> ResponseTuple:
        return responder.status(job_id, WORDS, lambda state, word: json_reply(_dub_json(state, word)))

    @blueprint.get("/<job_id>/audio/<language>")
    def audio(job_id: str, language: str) -> ResponseTuple:
        return responder.result(job_id, lambda state: _audio_reply(responder.lab, state, language))

    @blueprint.delete("/<job_id>")
    def delete(job_id: str) -> ResponseTuple:
        def delete_job() -> Reply:
            responder.lab.delete(job_id)
            return json_reply({"status": "ok"})

        return responder.respond("delete", delete_job)

    return blueprint


def _add_collection_routes(blueprint: Blueprint, responder: Responder) -> None:
    @blueprint.post("")
    def create() -> ResponseTuple:
        return responder.respond("create", lambda: _create_dub(responder.lab))

    @blueprint.get("")
    def dubs() -> ResponseTuple:
        return responder.respond("bulk", lambda: _list_dubs(responder.lab))


def _create_dub(lab: Lab) -> Reply:
    fields = form_fields()
    if not fields.get("target_lang"):
        error = {"loc": ["body", "target_lang"], "msg": "Field required", "type": "missing"}
        raise RequestRejected(json_reply({"detail": [error]}, 422))
    if not fields.get("file") and not fields.get("source_url"):
        # Unverified: both are optional in the schema, which has no error for neither.
        raise RequestRejected(ERRORS.error(400, "either file or source_url is required"))
    job_id = lab.create(fields)
    return json_reply({"dubbing_id": job_id, "expected_duration_sec": float(lab.job_state(job_id).life.duration)})


def _dub_json(state: JobState, word: str) -> dict[str, Any]:
    is_dubbed = word == WORDS.completed
    return {
        "dubbing_id": state.job_id,
        "name": state.fields.get("name") or state.fields.get("file") or "Untitled",
        "status": word,
        "source_language": state.fields.get("source_lang") or ("en" if is_dubbed else None),
        "target_languages": [state.fields.get("target_lang")],
        "editable": False,
        "created_at": datetime.fromtimestamp(state.started_at, timezone.utc).isoformat(),
        "media_metadata": {"content_type": _source_media_type(state), "duration": 60.0},
        "error": FAILURE if word == WORDS.error else None,
    }


def _source_media_type(state: JobState) -> str:
    return guess_type(str(state.fields.get("file", "")))[0] or "video/mp4"


def _audio_reply(lab: Lab, state: JobState, language: str) -> Reply:
    if language != state.fields.get("target_lang"):
        # Unverified: the code for a language that was not requested.
        raise RequestRejected(ERRORS.error(404, f"the dub has no language {language!r}", "language_not_found"))
    if state.status == "error":
        # Unverified: the response for the audio of a failed dub.
        raise RequestRejected(ERRORS.error(404, FAILURE, "dubbing_failed"))
    if not state.has_result:
        status_code = 404 if state.progress < PROGRESS_OF_FIRST_425 else 425
        raise RequestRejected(ERRORS.error(status_code, "Dubbing has not finished yet", "dubbing_not_dubbed"))
    job_id, is_audio = str(state.job_id), _source_media_type(state).startswith("audio/")
    body = result_body(job_id, lab.scenario.result_bytes)
    return file_reply(job_id, body, "audio/mpeg" if is_audio else "video/mp4", request.headers)


def _list_dubs(lab: Lab) -> Reply:
    """Return a page of the dubs, newest first, which begins at the cursor."""
    statuses = [*request.args.getlist("dubbing_statuses"), *request.args.getlist("dubbing_status")]
    dubs = [dub for dub in _all_dubs(lab) if not statuses or dub["status"] in statuses]
    start = _int_argument("cursor", 0)
    stop = start + min(_int_argument("page_size", 100), MAX_PAGE_SIZE)
    has_more = stop < len(dubs)
    return json_reply({"dubs": dubs[start:stop], "next_cursor": str(stop) if has_more else None, "has_more": has_more})


def _all_dubs(lab: Lab) -> list[dict[str, Any]]:
    dubs = []
    for submission in reversed(lab.submissions):
        try:
            state = lab.job_state(submission.job_id)
        except NoSuchJob:  # deleted
            continue
        dubs.append(_dub_json(state, WORDS.word_for(state)))
    return dubs


def _int_argument(name: str, default: int) -> int:
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        error = {"loc": ["query", name], "msg": "Input should be a valid integer", "type": "int_parsing"}
        raise RequestRejected(json_reply({"detail": [error]}, 422))
    return int(text)


DIALECT = Dialect(ERRORS, make_blueprint, key_headers=("xi-api-key",))
