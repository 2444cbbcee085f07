"""No sockets: `fake_server` in process, and plain requests to it. For tests of the fake server, without the client."""

from __future__ import annotations

from typing import Any

import requests

from fake_server import InProcessAdapter, Lab, Scenario, create_app

URL = "http://127.0.0.1:5000"


KEY = {"heygen": "X-Api-Key", "elevenlabs": "xi-api-key", "azure": "Ocp-Apim-Subscription-Key"}


HEYGEN_SUBMISSION = {"video": {"type": "url", "url": "https://x/y.mp4"}, "output_languages": ["Spanish (Spain)"]}


class FakeService:
    """A server in process, and a client of it that has a key."""

    def __init__(self, scenario: Scenario | None = None, service: str = "reference", sleep: Any = None) -> None:
        self.lab = Lab(scenario or Scenario())
        self.session = requests.Session()
        self.session.mount("http://", InProcessAdapter(create_app(self.lab, service), sleep))
        self.headers = {KEY[service]: "secret"} if service in KEY else {}

    def send(self, method: str, path: str, **arguments: Any) -> requests.Response:
        headers = {**self.headers, **arguments.pop("headers", {})}
        return self.session.request(method, URL + path, headers=headers, **arguments)

    def link(self) -> str:
        """Of a job of HeyGen that is finished at once, made now."""
        job_id = self.send("POST", "/v3/video-translations", json=HEYGEN_SUBMISSION).json()["data"][
            "video_translation_ids"
        ][0]
        return str(self.send("GET", f"/v3/video-translations/{job_id}").json()["data"]["video_url"])
