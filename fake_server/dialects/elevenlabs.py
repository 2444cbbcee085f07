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
from ..responder import ErrorBodies, RequestRejected, Responder, StatusWords
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

MAX_PAGE = 200

LATE_SHARE = 0.5
"""The audio is a 404 until this fraction of the duration, and a 425 after it. Both are documented."""

FAILURE = "The dub failed."


class ElevenLabsErrors(ErrorBodies):
    """`{"detail": {"status", "message"}}`"""

    def error(self, status_code: int, message: str, word: str | None = None) -> Reply:
        """Return an error with a code and a message."""
        word = word or ERROR_CODES.get(status_code, "internal_server_error")
        return json_reply({"detail": {"status": word, "message": message}}, status_code)

    def too_many_jobs(self, error: TooManyJobs) -> Reply:
        """Return the 429 for too many jobs, which is not that of a busy server."""
        return self.error(429, str(error), "too_many_concurrent_requests")


ERRORS = ElevenLabsErrors()


def routes_of(responder: Responder) -> Blueprint:
    """Build the routes."""
    routes = Blueprint("elevenlabs", __name__, url_prefix="/v1/dubbing")
    _add_of_all(routes, responder)

    @routes.get("/<job_id>")
    def status(job_id: str) -> ResponseTuple:
        return responder.status(job_id, WORDS, lambda look, word: json_reply(_dub(look, word)))

    @routes.get("/<job_id>/audio/<language>")
    def audio(job_id: str, language: str) -> ResponseTuple:
        return responder.result(job_id, lambda look: _audio(responder.lab, look, language))

    @routes.delete("/<job_id>")
    def delete(job_id: str) -> ResponseTuple:
        def forget() -> Reply:
            responder.lab.delete(job_id)
            return json_reply({"status": "ok"})

        return responder.respond("delete", forget)

    return routes


def _add_of_all(routes: Blueprint, responder: Responder) -> None:
    @routes.post("")
    def create() -> ResponseTuple:
        return responder.respond("create", lambda: _created(responder.lab))

    @routes.get("")
    def dubs() -> ResponseTuple:
        return responder.respond("bulk", lambda: _page(responder.lab))


def _created(lab: Lab) -> Reply:
    fields = form_fields()
    if not fields.get("target_lang"):
        missing = {"loc": ["body", "target_lang"], "msg": "Field required", "type": "missing"}
        raise RequestRejected(json_reply({"detail": [missing]}, 422))
    if not fields.get("file") and not fields.get("source_url"):
        # Unverified: both are optional in the schema, which has no error for neither.
        raise RequestRejected(ERRORS.error(400, "either a file or a source_url is needed"))
    job_id = lab.create(fields)
    return json_reply({"dubbing_id": job_id, "expected_duration_sec": float(lab.job_state(job_id).life.duration)})


def _dub(look: JobState, word: str) -> dict[str, Any]:
    is_dubbed = word == WORDS.completed
    return {
        "dubbing_id": look.job_id,
        "name": look.fields.get("name") or look.fields.get("file") or "Untitled",
        "status": word,
        "source_language": look.fields.get("source_lang") or ("en" if is_dubbed else None),
        "target_languages": [look.fields.get("target_lang")],
        "editable": False,
        "created_at": datetime.fromtimestamp(look.started_at, timezone.utc).isoformat(),
        "media_metadata": {"content_type": _source_type(look), "duration": 60.0},
        "error": FAILURE if word == WORDS.error else None,
    }


def _source_type(look: JobState) -> str:
    return guess_type(str(look.fields.get("file", "")))[0] or "video/mp4"


def _audio(lab: Lab, look: JobState, language: str) -> Reply:
    if language != look.fields.get("target_lang"):
        # Unverified: the code for a language that was not requested.
        raise RequestRejected(ERRORS.error(404, f"the dub has no language {language!r}", "language_not_found"))
    if look.status == "error":
        # Unverified: the response for the audio of a failed dub.
        raise RequestRejected(ERRORS.error(404, FAILURE, "dubbing_failed"))
    if not look.has_result:
        code = 404 if look.progress < LATE_SHARE else 425
        raise RequestRejected(ERRORS.error(code, "Dubbing has not finished yet", "dubbing_not_dubbed"))
    job_id, is_audio = str(look.job_id), _source_type(look).startswith("audio/")
    body = result_body(job_id, lab.scenario.result_bytes)
    return file_reply(job_id, body, "audio/mpeg" if is_audio else "video/mp4", request.headers)


def _page(lab: Lab) -> Reply:
    """Return the dubs from the cursor on, newest first."""
    wanted = [*request.args.getlist("dubbing_statuses"), *request.args.getlist("dubbing_status")]
    dubs = [dub for dub in _dubs(lab) if not wanted or dub["status"] in wanted]
    begin = _whole("cursor", 0)
    end = begin + min(_whole("page_size", 100), MAX_PAGE)
    has_more = end < len(dubs)
    return json_reply({"dubs": dubs[begin:end], "next_cursor": str(end) if has_more else None, "has_more": has_more})


def _dubs(lab: Lab) -> list[dict[str, Any]]:
    found = []
    for submission in reversed(lab.submissions):
        try:
            look = lab.job_state(submission.job_id)
        except NoSuchJob:  # deleted
            continue
        found.append(_dub(look, WORDS.word_for(look)))
    return found


def _whole(name: str, default: int) -> int:
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        problem = {"loc": ["query", name], "msg": "Input should be a valid integer", "type": "int_parsing"}
        raise RequestRejected(json_reply({"detail": [problem]}, 422))
    return int(text)


DIALECT = Dialect(ERRORS, routes_of, key_headers=("xi-api-key",))
