"""The Flask app: the routes of a service, of its storage host, and the control routes."""

from __future__ import annotations

from flask import Flask, request
from werkzeug.exceptions import HTTPException

from .control_api import CONTROL_PREFIX, control_of
from .dialects import load_dialect
from .dialects.dialect import Dialect
from .jobs import NoSuchJob
from .lab import Lab
from .replies import LOOP_PATH, Parts, Reply, redirect
from .responder import Desk, Refused, Voice, handed
from .scenario import Scenario
from .storage import FILES_PREFIX, storage_of
from .wsgi import MAX_REQUEST_BYTES

NO_ANSWER = Reply(503, (), b"")
"""A placeholder for refused connections. A server that can refuse connections never sends it."""

OUR_OWN = (f"{CONTROL_PREFIX}/", f"{FILES_PREFIX}/", LOOP_PATH)
"""Paths that need no API key."""


def create_app(source: Scenario | Lab | None = None, service: str = "reference") -> Flask:
    """Create the WSGI app of a new server.

    Args:
        source: The behaviour of the server, or a lab, which can be read and changed while the app serves it. None for
            `Scenario()`.
        service: The service to imitate, one of `SERVICES`.

    Raises:
        ValueError: There is no such service. The message lists them.
    """
    dialect = load_dialect(service)
    app = Flask("fake_server")
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    lab = source if isinstance(source, Lab) else Lab(source)
    _receive(app, lab, dialect)
    _word_errors(app, dialect.voice)
    app.register_blueprint(control_of(lab))
    app.register_blueprint(storage_of(lab))
    app.register_blueprint(dialect.routes(Desk(lab, dialect.voice)))

    @app.get(LOOP_PATH)
    def loop() -> Parts:
        return redirect(LOOP_PATH).parts

    return app


def _receive(app: Flask, lab: Lab, dialect: Dialect) -> None:
    @app.before_request
    def arrive() -> Parts | None:
        if request.path.startswith(f"{CONTROL_PREFIX}/"):
            return None
        refusal = lab.refusal()
        if refusal is not None:
            return handed(NO_ANSWER, refusal)
        lab.arrived(request.method, request.environ.get("REQUEST_URI", request.full_path), dict(request.headers))
        if request.path.startswith(OUR_OWN) or dialect.admits(lab):
            return None
        return dialect.voice.error(401, "a key is missing, or it is not the right one").parts


def _word_errors(app: Flask, voice: Voice) -> None:
    @app.errorhandler(HTTPException)
    def refuse_request(error: HTTPException) -> Parts:
        return voice.error(error.code or 500, error.description or "").parts

    @app.errorhandler(Refused)
    def refuse(refused: Refused) -> Parts:
        return refused.reply.parts

    @app.errorhandler(NoSuchJob)
    def miss(problem: NoSuchJob) -> Parts:
        return voice.missing(problem).parts
