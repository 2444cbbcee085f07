"""A server for D-ID, which the library does not know: as much of it as an example of the README needs.

Source: docs.d-id.com/docs/video-translate-quickstart.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, request


def create_did_app() -> Flask:
    """One translation, validating when it is first asked for, done from then on."""
    app = Flask("D-ID")
    words = ["validating"]

    @app.post("/translations")
    def create() -> Any:
        wanted = request.get_json()
        if request.headers.get("Authorization") != "Basic key-of-did" or wanted.keys() != {"source_url", "languages"}:
            return {"kind": "BadRequest", "description": "who are you, and what do you want?"}, 400
        return {"translations": [{"id": "trs_1", "status": "created"} for _ in wanted["languages"]]}, 201

    @app.get("/translations/trs_1")
    def status() -> Any:
        word = words.pop() if words else "done"
        return {"id": "trs_1", "status": word, "result_url": "https://results.did.test/1" if word == "done" else None}

    @app.get("/1")
    def result() -> Any:
        return bytes(65536), 200, {"Content-Type": "video/mp4"}

    return app
