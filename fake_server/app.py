"""The Flask app: the routes of a service and of its storage host, and the control API."""

from __future__ import annotations

from flask import Flask, request
from werkzeug.exceptions import HTTPException

from .control_api import CONTROL_PREFIX, control_blueprint
from .dialects import load_dialect
from .dialects.dialect import Dialect
from .jobs import NoSuchJob
from .lab import Lab
from .replies import LOOP_PATH, Reply, ResponseTuple, redirect
from .responder import ErrorResponses, RequestRejected, Responder, send_reply
from .scenario import Scenario
from .storage import FILES_PREFIX, storage_blueprint
from .wsgi import MAX_REQUEST_BYTES

NO_RESPONSE = Reply(503, (), b"")
"""A placeholder for the response on a refused connection. It is never sent on a socket."""

PATHS_WITHOUT_KEY = (f"{CONTROL_PREFIX}/", f"{FILES_PREFIX}/", LOOP_PATH)
"""The beginnings of paths that need no API key."""


def create_app(source: Scenario | Lab | None = None, service: str = "reference") -> Flask:
    """Create the WSGI app of a new server.

    Args:
        source: The behaviour of the server, or a lab, which can be read and changed while the app runs. None for
            `Scenario()`.
        service: The service to imitate, one of `SERVICES`.

    Raises:
        ValueError: There is no such service. The message lists them.
    """
    dialect = load_dialect(service)
    app = Flask("fake_server")
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    lab = source if isinstance(source, Lab) else Lab(source)
    _add_request_checks(app, lab, dialect)
    _add_error_handlers(app, dialect.errors)
    app.register_blueprint(control_blueprint(lab))
    app.register_blueprint(storage_blueprint(lab))
    app.register_blueprint(dialect.make_blueprint(Responder(lab, dialect.errors)))

    @app.get(LOOP_PATH)
    def loop() -> ResponseTuple:
        return redirect(LOOP_PATH).as_tuple()

    return app


def _add_request_checks(app: Flask, lab: Lab, dialect: Dialect) -> None:
    @app.before_request
    def check_request() -> ResponseTuple | None:
        if request.path.startswith(f"{CONTROL_PREFIX}/"):
            return None
        fault = lab.active_refuse_fault()
        if fault is not None:
            return send_reply(NO_RESPONSE, fault)
        lab.record_arrival(request.method, request.environ.get("REQUEST_URI", request.full_path), dict(request.headers))
        if request.path.startswith(PATHS_WITHOUT_KEY) or dialect.has_valid_key(lab):
            return None
        return dialect.errors.error(401, "the API key is missing or wrong").as_tuple()


def _add_error_handlers(app: Flask, errors: ErrorResponses) -> None:
    @app.errorhandler(HTTPException)
    def handle_http_error(error: HTTPException) -> ResponseTuple:
        return errors.error(error.code or 500, error.description or "").as_tuple()

    @app.errorhandler(RequestRejected)
    def handle_rejection(rejection: RequestRejected) -> ResponseTuple:
        return rejection.reply.as_tuple()

    @app.errorhandler(NoSuchJob)
    def handle_no_such_job(error: NoSuchJob) -> ResponseTuple:
        return errors.no_such_job(error).as_tuple()
