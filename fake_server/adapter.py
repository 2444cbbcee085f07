"""How is the server reached without a socket? By a requests adapter that calls the app in process: for frozen time."""

from __future__ import annotations

import io
import threading
from typing import Any

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse
from werkzeug.test import EnvironBuilder, run_wsgi_app

from .app import DROP_KEY


class InProcessAdapter(BaseAdapter):
    """Mount it on a session: `session.mount("http://fake.test", InProcessAdapter(create_app(scenario)))`."""

    def __init__(self, app: Any) -> None:
        """Take any WSGI app."""
        super().__init__()
        self._app = app
        self._builder = HTTPAdapter()

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Call the app; limits of time have no meaning here.

        Raises:
            requests.ConnectionError: The scenario drops the connection.
        """
        headers: Any = request.headers
        body: Any = request.body
        builder = EnvironBuilder(
            request.path_url, method=request.method or "GET", headers=list(headers.items()), data=body
        )
        dropped = threading.Event()
        parts, status, answered = run_wsgi_app(self._app, {**builder.get_environ(), DROP_KEY: dropped.set})
        if dropped.is_set():
            raise requests.ConnectionError("the connection was dropped", request=request)
        raw = HTTPResponse(
            body=io.BytesIO(b"".join(parts)),
            headers=dict(answered),
            status=int(status.split()[0]),
            preload_content=False,
        )
        return self._builder.build_response(request, raw)

    def close(self) -> None:
        """Nothing is open."""
