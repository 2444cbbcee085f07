"""The reference service, which no vendor offers: the smallest service for which a client can be written."""

from __future__ import annotations

from flask import Blueprint, request

from ..jobs import Fields, JobState, NoSuchJob, TooManyJobs
from ..lab import SINGLE_JOB, Lab
from ..replies import Reply, ResponseTuple, json_reply
from ..responder import ErrorResponses, RequestRejected, Responder, StatusWords
from ..storage import file_reply, result_body
from .dialect import AUTHORIZATION, Dialect, form_fields, json_fields

MAX_BULK_IDS = 100

NOT_FOUND_WORD = "not_found"


class ReferenceWords(StatusWords):
    """The status words of this service, which `Life` uses too."""

    def word_for(self, state: JobState) -> str:
        """Return the status word of a job."""
        return state.status


WORDS = ReferenceWords(((1.0, "pending"),), "completed", "error")


class ReferenceErrors(ErrorResponses):
    """`{"error": …}`, with a `code` if the HTTP status alone is ambiguous."""

    def error(self, status_code: int, message: str) -> Reply:
        """Return an error with a message."""
        return json_reply({"error": message}, status_code)

    def too_many_jobs(self, error: TooManyJobs) -> Reply:
        """Return a 429 with a code, as a 429 may also limit requests."""
        return json_reply({"error": str(error), "code": "too_many_jobs"}, 429)


ERRORS = ReferenceErrors()


def make_blueprint(responder: Responder) -> Blueprint:
    """Return the routes."""
    blueprint = Blueprint("reference", __name__)

    @blueprint.get("/status")
    def single_status() -> ResponseTuple:
        return _single_or_bulk_status(responder, request.args.get("ids"))

    @blueprint.get("/status/<job_id>")
    def status(job_id: str) -> ResponseTuple:
        return responder.status(job_id, WORDS, _status_reply)

    @blueprint.post("/jobs")
    def create() -> ResponseTuple:
        return responder.respond("create", lambda: _created_reply(responder.lab.create(_request_fields())))

    @blueprint.get("/jobs/<job_id>/result")
    def result(job_id: str) -> ResponseTuple:
        return responder.result(job_id, lambda state: _result_reply(responder, state))

    @blueprint.delete("/jobs/<job_id>")
    def delete(job_id: str) -> ResponseTuple:
        def delete_job() -> Reply:
            responder.lab.delete(job_id)
            return Reply(204, (), b"")

        return responder.respond("delete", delete_job)

    return blueprint


def _status_reply(_: JobState, word: str) -> Reply:
    return json_reply({"result": word})


def _single_or_bulk_status(responder: Responder, ids: str | None) -> ResponseTuple:
    if ids is None:
        return responder.status(SINGLE_JOB, WORDS, _status_reply)
    return responder.respond("bulk", lambda: _bulk_reply(responder.lab, ids))


def _bulk_reply(lab: Lab, ids: str) -> Reply:
    """Return the statuses of many jobs in one response."""
    job_ids = [job_id for job_id in ids.split(",") if job_id]
    if not 0 < len(job_ids) <= MAX_BULK_IDS:
        raise RequestRejected(ERRORS.error(400, f"from 1 to {MAX_BULK_IDS} ids are required"))
    return json_reply({"results": [{"id": job_id, "result": _bulk_word(lab, job_id)} for job_id in job_ids]})


def _bulk_word(lab: Lab, job_id: str) -> str:
    try:
        return WORDS.word_for(lab.job_state(job_id))
    except NoSuchJob:
        return NOT_FOUND_WORD


def _request_fields() -> Fields:
    if request.mimetype == "multipart/form-data":
        return form_fields()
    return json_fields(ERRORS) if request.get_data() else {}


def _created_reply(job_id: str) -> Reply:
    reply = json_reply({"id": job_id, "result": "pending"}, 201)
    return reply.with_headers([("Location", f"/status/{job_id}")])


def _result_reply(responder: Responder, state: JobState) -> Reply:
    if state.status == "error":
        raise RequestRejected(ERRORS.error(404, "the job failed, and there is no result"))
    if not state.has_result:
        raise RequestRejected(ERRORS.error(425, "not finished"))
    job_id = str(state.job_id)
    return file_reply(job_id, result_body(job_id, responder.lab.scenario.result_bytes), "video/mp4", request.headers)


DIALECT = Dialect(ERRORS, make_blueprint, key_headers=(AUTHORIZATION,), needs_key=False)
