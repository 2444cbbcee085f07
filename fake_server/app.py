"""How does the server answer? Routes only, thin over `lab.py` and `replies.py`."""

from __future__ import annotations

from flask import Flask, request
from werkzeug.exceptions import HTTPException

from .control import CONTROL_PREFIX, control_of
from .exchange import MAX_REQUEST_BYTES, STRIKE_KEY
from .faults import DELIVERIES, Fault
from .lab import SINGLE_JOB, Lab, Sighting
from .replies import LOOP_PATH, Parts, Reply, json_reply, redirect, spoiled, status_reply
from .scenario import Scenario

NO_ANSWER = Reply(503, (), b"")
"""Where connections are refused. Whoever can play that never sends it."""


def create_app(source: Scenario | Lab | None = None) -> Flask:
    """Make the WSGI app of a fresh server.

    Args:
        source: How its jobs go; or a lab, which can be looked at and changed while the app serves it.
    """
    app = Flask("fake_server")
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    lab = source if isinstance(source, Lab) else Lab(source)
    app.register_error_handler(HTTPException, _refuse_request)
    app.register_blueprint(control_of(lab))

    @app.before_request
    def arrive() -> Parts | None:
        if request.path.startswith(f"{CONTROL_PREFIX}/"):
            return None
        refusal = lab.refusal()
        if refusal is not None:
            return _struck(NO_ANSWER, refusal)
        lab.arrived(request.method, request.environ.get("REQUEST_URI", request.full_path), dict(request.headers))
        return None

    _add_routes(app, lab)
    return app


def _add_routes(app: Flask, lab: Lab) -> None:
    @app.get("/status")
    def single_status() -> Parts:
        return _answer(lab.ask(SINGLE_JOB))

    @app.get("/status/<job_id>")
    def status(job_id: str) -> Parts:
        try:
            return _answer(lab.ask(job_id))
        except KeyError:
            return json_reply({"error": f"there is no job {job_id!r}"}, 404).parts

    @app.post("/jobs")
    def create() -> Parts:
        job_id = lab.create()
        answer = json_reply({"id": job_id, "result": "pending"}, 201)
        return answer.with_headers([("Location", f"/status/{job_id}")]).parts

    @app.get(LOOP_PATH)
    def loop() -> Parts:
        return redirect(LOOP_PATH).parts


def _answer(sighting: Sighting) -> Parts:
    usual = status_reply(sighting.status)
    if sighting.fault is None:
        return usual.parts
    return _struck(spoiled(usual, sighting.fault, request.url), sighting.fault)


def _struck(reply: Reply, fault: Fault) -> Parts:
    strike = request.environ.get(STRIKE_KEY)
    if strike is not None:
        strike(reply, fault)  # past Flask, which would mend what is wrong with it, or stumble over it
        return b"", 204, []
    if fault.action in DELIVERIES:
        raise RuntimeError(f"a WSGI app cannot {fault.action}: serve this one by `Server` or `InProcessAdapter`")
    return reply.parts


def _refuse_request(error: HTTPException) -> Parts:
    return json_reply({"error": error.description}, error.code or 500).parts
