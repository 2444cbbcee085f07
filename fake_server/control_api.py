"""The routes by which a test in any language controls the server."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, request

from .fault_syntax import fault_to_dict, parse_json, to_faults
from .lab import Lab
from .replies import Parts, json_reply

CONTROL_PREFIX = "/_control"


def control_of(lab: Lab) -> Blueprint:
    """Build the routes that read and change a lab."""
    routes = Blueprint("control", __name__, url_prefix=CONTROL_PREFIX)

    @routes.get("/faults")
    def faults() -> Parts:
        return json_reply([fault_to_dict(fault) for fault in lab.faults]).parts

    @routes.put("/faults")
    def set_faults() -> Parts:
        try:
            lab.faults = to_faults(parse_json(request.get_data(as_text=True)))
        except ValueError as error:
            return json_reply({"error": str(error)}, 400).parts
        return faults()

    @routes.get("/requests")
    def requests() -> Parts:
        return json_reply([asdict(arrival) for arrival in lab.arrivals]).parts

    @routes.get("/submissions")
    def submissions() -> Parts:
        return json_reply([asdict(submission) for submission in lab.submissions]).parts

    @routes.post("/reset")
    def reset() -> Parts:
        lab.play(lab.scenario)
        return b"", 204, []

    return routes
