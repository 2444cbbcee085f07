"""How does the server answer? Routes only, thin over `jobs.py` and `scenario.py`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from flask import Flask, Response, request

from .jobs import SINGLE_JOB, Jobs, Sighting
from .scenario import HTML_PAGE, Fault, Scenario

DROP_KEY = "fake_server.drop"
"""Where whoever runs the app puts the function that breaks the connection of a request: a WSGI app cannot."""

NO_RESPONSE = 444
"""What the log shows for a broken connection; nobody receives it."""

MAX_REQUEST_BYTES = 1024 * 1024


def create_app(scenario: Scenario | None = None, *, now: Callable[[], float] | None = None) -> Flask:
    """Make the WSGI app of a fresh server.

    Args:
        scenario: How its jobs go.
        now: Monotonic seconds; given by tests that move the time themselves.
    """
    app = Flask("fake_server")
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    jobs = Jobs(scenario or Scenario(), now or (lambda: time.monotonic()))  # looked up late: it may be frozen

    @app.get("/status")
    def single_status() -> Response:
        return _answer(jobs.ask(SINGLE_JOB))

    @app.get("/status/<job_id>")
    def status(job_id: str) -> Response:
        try:
            return _answer(jobs.ask(job_id))
        except KeyError:
            return _json({"error": f"there is no job {job_id!r}"}, 404)

    @app.post("/jobs")
    def create() -> Response:
        job_id = jobs.create()
        answer = _json({"id": job_id, "result": "pending"}, 201)
        answer.headers["Location"] = f"/status/{job_id}"
        return answer

    return app


def _json(body: dict[str, str], status_code: int = 200) -> Response:
    return Response(json.dumps(body) + "\n", status_code, mimetype="application/json")


def _answer(sighting: Sighting) -> Response:
    usual = _json({"result": sighting.status})
    return usual if sighting.fault is None else _spoiled(usual, sighting.fault)


def _spoiled(usual: Response, fault: Fault) -> Response:
    if fault.action == "drop":
        drop = request.environ.get(DROP_KEY)
        if drop is None:
            raise RuntimeError("a WSGI app cannot break a connection: serve this one by `bind` or `InProcessAdapter`")
        drop()
        return Response(status=NO_RESPONSE)
    if fault.action == "html":
        return Response(HTML_PAGE, 200, fault.headers, mimetype="text/html")
    if fault.action == "truncate":
        whole = usual.get_data()
        headers = {**fault.headers, "Content-Length": str(len(whole))}
        return Response([whole[: len(whole) // 2]], 200, headers, mimetype="application/json")
    spoiled = _json({"error": f"scripted fault {fault.status_code}"}, fault.status_code)
    spoiled.headers.extend(fault.headers)
    return spoiled
