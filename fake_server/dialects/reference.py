"""How does the reference service speak? It is nobody's product: the smallest one that a client can be written against."""

from __future__ import annotations

from flask import Blueprint, request

from ..desk import Desk, Refused, Voice, Words
from ..files import file_reply, result_body
from ..jobs import Fields, Look, TooManyJobs
from ..lab import SINGLE_JOB
from ..replies import Parts, Reply, json_reply
from .dialect import BEARER, Dialect, form_fields, json_fields


class OwnWords(Words):
    """A job knows itself how it stands in the words of this service."""

    def of(self, look: Look) -> str:
        """As the job has it."""
        return look.status


WORDS = OwnWords(((1.0, "pending"),), "completed", "error")


class ReferenceVoice(Voice):
    """`{"error": …}`, and a `code` where the status alone would not say enough."""

    def error(self, status_code: int, message: str) -> Reply:
        """A sentence."""
        return json_reply({"error": message}, status_code)

    def full(self, problem: TooManyJobs) -> Reply:
        """With a word for programs: a 429 may also be about requests."""
        return json_reply({"error": str(problem), "code": "too_many_jobs"}, 429)


VOICE = ReferenceVoice()


def routes_of(desk: Desk) -> Blueprint:
    """Make the routes."""
    routes = Blueprint("reference", __name__)

    @routes.get("/status")
    def single_status() -> Parts:
        return desk.status(SINGLE_JOB, WORDS, _say)

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
