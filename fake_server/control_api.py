"""The HTTP API by which a test in any language controls the server."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, request

from .fault_syntax import fault_to_dict, parse_json, to_faults
from .lab import Lab
from .replies import ResponseTuple, json_reply

CONTROL_PREFIX = "/_control"


def control_blueprint(lab: Lab) -> Blueprint:
    """Return the routes that read and change a lab."""
    blueprint = Blueprint("control", __name__, url_prefix=CONTROL_PREFIX)

    @blueprint.get("/faults")
    def faults() -> ResponseTuple:
        return json_reply([fault_to_dict(fault) for fault in lab.faults]).as_tuple()

    @blueprint.put("/faults")
    def set_faults() -> ResponseTuple:
        try:
            lab.faults = to_faults(parse_json(request.get_data(as_text=True)))
        except ValueError as error:
            return json_reply({"error": str(error)}, 400).as_tuple()
        return faults()

    @blueprint.get("/requests")
    def requests() -> ResponseTuple:
        return json_reply([asdict(arrival) for arrival in lab.arrivals]).as_tuple()

    @blueprint.get("/submissions")
    def submissions() -> ResponseTuple:
        return json_reply([asdict(submission) for submission in lab.submissions]).as_tuple()

    @blueprint.post("/reset")
    def reset() -> ResponseTuple:
        lab.play(lab.scenario)
        return b"", 204, []

    return blueprint
