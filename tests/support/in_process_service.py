"""No sockets: `fake_server` in process on frozen time, with a `VideoTranslationClient`. For tests of the client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import requests

from fake_server import InProcessAdapter, Lab, Scenario, create_app
from fake_server.storage import result_body
from support.fixtures import Clock
from translation_client import Job, VideoTranslationClient

SERVICES = ("heygen", "elevenlabs", "azure", "reference")
KEYED = ("heygen", "azure")
"""Services with idempotency keys."""

LANGUAGE = {"heygen": "Spanish (Spain)", "elevenlabs": "es", "azure": "es-ES", "reference": "es"}
PATH = {"azure": "/videotranslation"}
HOST = "http://fake.test"
STORAGE = "http://elsewhere.fake.test"
KEY = "key-0123456789-of-the-api"
SIGNATURE = "s3cr3t-signature-of-the-video"
VIDEO = f"https://videos.example.com/talk.mp4?signature={SIGNATURE}"


class ClientSetup:
    """A service, its state, and a client."""

    def __init__(self, clock: Clock, service: str, scenario: Scenario | None = None, **arguments: Any) -> None:
        self.service = service
        self.language = LANGUAGE[service]
        self.lab = Lab(scenario or Scenario(duration=30))
        self.session = requests.Session()
        self.session.mount("http://", InProcessAdapter(create_app(self.lab, service=service), sleep=clock.tick))
        self.url = HOST + PATH.get(service, "")
        usual = {"service": service, "api_key": KEY, "session": self.session, "sleep": clock.tick, "timeout": 600}
        self.client = VideoTranslationClient(self.url, **{**usual, "max_retries": 100, **arguments})

    def submit(self, **arguments: Any) -> Job:
        return self.client.submit(VIDEO, self.language, **arguments)

    def finished(self) -> Job:
        return self.client.wait(self.submit())

    def requested_paths(self, method: str) -> list[str]:
        """Return the paths of the requests with this method."""
        return [arrival.path for arrival in self.lab.arrivals if arrival.method == method]

    def file_of(self, job: Job) -> bytes:
        """Return the bytes of the result of a job."""
        [name] = [submission.job_id for submission in self.lab.submissions if str(job.id) in submission.job_id]
        body = result_body(name, self.lab.scenario.result_bytes)
        return b"".join(body.blocks())


def left_in(folder: Path) -> list[str]:
    """Return the names of the files in a folder."""
    return sorted(path.name for path in folder.iterdir())
