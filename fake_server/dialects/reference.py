"""The reference service. No vendor offers it: it is the smallest service that a client can be written for."""

from __future__ import annotations

from flask import Blueprint, request

from ..jobs import Fields, Look, NoSuchJob, TooManyJobs
from ..lab import SINGLE_JOB, Lab
from ..replies import Parts, Reply, json_reply
from ..responder import Desk, Refused, Voice, Words
from ..storage import file_reply, result_body
from .dialect import BEARER, Dialect, form_fields, json_fields

MAX_BULK_IDS = 100

NOT_FOUND = "not_found"


class OwnWords(Words):
    """The status words of this service, which are those of `Life`."""

    def of(self, look: Look) -> str:
        """Return the status word of a job."""
        return look.status


WORDS = OwnWords(((1.0, "pending"),), "completed", "error")


class ReferenceVoice(Voice):
    """`{"error": …}`, with a `code` if the HTTP status alone is ambiguous."""

    def error(self, status_code: int, message: str) -> Reply:
        """Return an error with a message."""
        return json_reply({"error": message}, status_code)

    def full(self, problem: TooManyJobs) -> Reply:
        """Return a 429 with a code, as a 429 may also limit requests."""
        return json_reply({"error": str(problem), "code": "too_many_jobs"}, 429)


VOICE = ReferenceVoice()


def routes_of(desk: Desk) -> Blueprint:
    """Build the routes."""
    routes = Blueprint("reference", __name__)

    @routes.get("/status")
    def single_status() -> Parts:
        return _of_one_or_many(desk, request.args.get("ids"))

    @routes.get("/status/<job_id>")
    def status(job_id: str) -> Parts:
        return desk.status(job_id, WORDS, _say)

    @routes.post("/jobs")
    def create() -> Parts:
        return desk.answer("create", lambda: _created(desk.lab.create(_fields())))

    @routes.get("/jobs/<job_id>/result")
    def result(job_id: str) -> Parts:
        return desk.result(job_id, lambda look: _file(desk, look))

    @routes.delete("/jobs/<job_id>")
    def delete(job_id: str) -> Parts:
        def forget() -> Reply:
            desk.lab.delete(job_id)
            return Reply(204, (), b"")

        return desk.answer("delete", forget)

    return routes


def _say(_: Look, word: str) -> Reply:
    return json_reply({"result": word})


def _of_one_or_many(desk: Desk, ids: str | None) -> Parts:
    if ids is None:
        return desk.status(SINGLE_JOB, WORDS, _say)
    return desk.answer("bulk", lambda: _of_many(desk.lab, ids))


def _of_many(lab: Lab, ids: str) -> Reply:
    """Return the statuses of many jobs in one response."""
    wanted = [one for one in ids.split(",") if one]
    if not 0 < len(wanted) <= MAX_BULK_IDS:
        raise Refused(VOICE.error(400, f"from 1 to {MAX_BULK_IDS} ids"))
    return json_reply({"results": [{"id": one, "result": _word_of(lab, one)} for one in wanted]})


def _word_of(lab: Lab, job_id: str) -> str:
    try:
        return WORDS.of(lab.look(job_id))
    except NoSuchJob:
        return NOT_FOUND


def _fields() -> Fields:
    if request.mimetype == "multipart/form-data":
        return form_fields()
    return json_fields(VOICE) if request.get_data() else {}


def _created(job_id: str) -> Reply:
    answer = json_reply({"id": job_id, "result": "pending"}, 201)
    return answer.with_headers([("Location", f"/status/{job_id}")])


def _file(desk: Desk, look: Look) -> Reply:
    if look.status == "error":
        raise Refused(VOICE.error(404, "the job failed, and there is no result"))
    if not look.has_result:
        raise Refused(VOICE.error(425, "not finished"))
    job_id = str(look.job_id)
    return file_reply(job_id, result_body(job_id, desk.lab.scenario.result_bytes), "video/mp4", request.headers)


DIALECT = Dialect(VOICE, routes_of, key_headers=(BEARER,), needs_key=False)
