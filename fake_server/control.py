"""How does a test in any language command the server? Routes beside those of the service."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response, request

from .lab import Lab
from .notation import as_data, from_json, read_faults
from .replies import json_reply

CONTROL_PREFIX = "/_control"


def control_of(lab: Lab) -> Blueprint:
    """Make the routes that look at a lab and change it."""
    routes = Blueprint("control", __name__, url_prefix=CONTROL_PREFIX)

    @routes.get("/faults")
    def faults() -> Response:
        return _json([as_data(fault) for fault in lab.faults])

    @routes.put("/faults")
    def set_faults() -> Response:
        try:
            lab.faults = read_faults(from_json(request.get_data(as_text=True)))
        except ValueError as error:
            return _json({"error": str(error)}, 400)
        return faults()

    @routes.get("/requests")
    def requests() -> Response:
        return _json([asdict(arrival) for arrival in lab.arrivals])

    @routes.post("/reset")
    def reset() -> Response:
        lab.play(lab.scenario)
        return Response(status=204)

    return routes


def _json(value: object, status_code: int = 200) -> Response:
    reply = json_reply(value, status_code)
    return Response(reply.body, reply.status_code, list(reply.headers))
