"""How does the server answer? Routes only, thin over `lab.py` and `replies.py`."""

from __future__ import annotations

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from .control import CONTROL_PREFIX, control_of
from .exchange import MAX_REQUEST_BYTES, STRIKE_KEY
from .faults import DELIVERIES, Fault
from .lab import SINGLE_JOB, Lab, Sighting
from .replies import LOOP_PATH, Reply, json_reply, redirect, spoiled, status_reply
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
    def arrive() -> Response | None:
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
    def single_status() -> Response:
        return _answer(lab.ask(SINGLE_JOB))

    @app.get("/status/<job_id>")
    def status(job_id: str) -> Response:
        try:
            return _answer(lab.ask(job_id))
        except KeyError:
            return _sent(json_reply({"error": f"there is no job {job_id!r}"}, 404))

    @app.post("/jobs")
    def create() -> Response:
        job_id = lab.create()
        answer = json_reply({"id": job_id, "result": "pending"}, 201)
        return _sent(answer.with_headers([("Location", f"/status/{job_id}")]))

    @app.get(LOOP_PATH)
    def loop() -> Response:
        return _sent(redirect(LOOP_PATH))


def _answer(sighting: Sighting) -> Response:
    usual = status_reply(sighting.status)
    if sighting.fault is None:
        return _sent(usual)
    return _struck(spoiled(usual, sighting.fault, request.url), sighting.fault)


def _struck(reply: Reply, fault: Fault) -> Response:
    strike = request.environ.get(STRIKE_KEY)
    if strike is not None:
        strike(reply, fault)  # past Flask, which would mend what is wrong with it
        return Response()
    if fault.action in DELIVERIES:
        raise RuntimeError(f"a WSGI app cannot {fault.action}: serve this one by `Server` or `InProcessAdapter`")
    return _sent(reply)


def _sent(reply: Reply) -> Response:
    return Response(reply.body, reply.status_code, list(reply.headers))


def _refuse_request(error: HTTPException) -> Response:
    return _sent(json_reply({"error": error.description}, error.code or 500))
