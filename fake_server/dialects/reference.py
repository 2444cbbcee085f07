"""The reference service. No vendor offers it: it is the smallest service that a client can be written for."""

from __future__ import annotations

from flask import Blueprint, request

from ..jobs import Fields, JobState, NoSuchJob, TooManyJobs
from ..lab import SINGLE_JOB, Lab
from ..replies import Reply, ResponseTuple, json_reply
from ..responder import ErrorBodies, RequestRejected, Responder, StatusWords
from ..storage import file_reply, result_body
from .dialect import BEARER, Dialect, form_fields, json_fields

MAX_BULK_IDS = 100

NOT_FOUND = "not_found"


class ReferenceWords(StatusWords):
    """The status words of this service, which are those of `Life`."""

    def word_for(self, state: JobState) -> str:
        """Return the status word of a job."""
        return state.status


WORDS = ReferenceWords(((1.0, "pending"),), "completed", "error")


class ReferenceErrors(ErrorBodies):
    """`{"error": …}`, with a `code` if the HTTP status alone is ambiguous."""

    def error(self, status_code: int, message: str) -> Reply:
        """Return an error with a message."""
        return json_reply({"error": message}, status_code)

    def too_many_jobs(self, error: TooManyJobs) -> Reply:
        """Return a 429 with a code, as a 429 may also limit requests."""
        return json_reply({"error": str(error), "code": "too_many_jobs"}, 429)


ERRORS = ReferenceErrors()


def routes_of(responder: Responder) -> Blueprint:
    """Build the routes."""
    routes = Blueprint("reference", __name__)

    @routes.get("/status")
    def single_status() -> ResponseTuple:
        return _of_one_or_many(responder, request.args.get("ids"))

    @routes.get("/status/<job_id>")
    def status(job_id: str) -> ResponseTuple:
        return responder.status(job_id, WORDS, _say)

    @routes.post("/jobs")
    def create() -> ResponseTuple:
        return responder.respond("create", lambda: _created(responder.lab.create(_fields())))

    @routes.get("/jobs/<job_id>/result")
    def result(job_id: str) -> ResponseTuple:
        return responder.result(job_id, lambda look: _file(responder, look))

    @routes.delete("/jobs/<job_id>")
    def delete(job_id: str) -> ResponseTuple:
        def forget() -> Reply:
            responder.lab.delete(job_id)
            return Reply(204, (), b"")

        return responder.respond("delete", forget)

    return routes


def _say(_: JobState, word: str) -> Reply:
    return json_reply({"result": word})


def _of_one_or_many(responder: Responder, ids: str | None) -> ResponseTuple:
    if ids is None:
        return responder.status(SINGLE_JOB, WORDS, _say)
    return responder.respond("bulk", lambda: _of_many(responder.lab, ids))


def _of_many(lab: Lab, ids: str) -> Reply:
    """Return the statuses of many jobs in one response."""
    wanted = [one for one in ids.split(",") if one]
    if not 0 < len(wanted) <= MAX_BULK_IDS:
        raise RequestRejected(ERRORS.error(400, f"from 1 to {MAX_BULK_IDS} ids"))
    return json_reply({"results": [{"id": one, "result": _word_of(lab, one)} for one in wanted]})


def _word_of(lab: Lab, job_id: str) -> str:
    try:
        return WORDS.word_for(lab.job_state(job_id))
    except NoSuchJob:
        return NOT_FOUND


def _fields() -> Fields:
    if request.mimetype == "multipart/form-data":
        return form_fields()
    return json_fields(ERRORS) if request.get_data() else {}


def _created(job_id: str) -> Reply:
    answer = json_reply({"id": job_id, "result": "pending"}, 201)
    return answer.with_headers([("Location", f"/status/{job_id}")])


def _file(responder: Responder, look: JobState) -> Reply:
    if look.status == "error":
        raise RequestRejected(ERRORS.error(404, "the job failed, and there is no result"))
    if not look.has_result:
        raise RequestRejected(ERRORS.error(425, "not finished"))
    job_id = str(look.job_id)
    return file_reply(job_id, result_body(job_id, responder.lab.scenario.result_bytes), "video/mp4", request.headers)


DIALECT = Dialect(ERRORS, routes_of, key_headers=(BEARER,), needs_key=False)
