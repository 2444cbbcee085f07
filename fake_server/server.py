"""How is the app put on a real socket? By Werkzeug's server, on loopback."""

from __future__ import annotations

import socket
from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from .app import DROP_KEY

HOST = "127.0.0.1"


class _Handler(WSGIRequestHandler):
    """Logs each request as Werkzeug does, and can break a connection."""

    def make_environ(self) -> Any:
        return {**super().make_environ(), DROP_KEY: self._drop}

    def _drop(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)  # what is written from here on comes to nothing


def bind(app: Any, port: int) -> BaseWSGIServer:
    """Listen on a port of loopback, 0 for a free one; `serve_forever` answers, a thread for each request.

    Raises:
        OSError: The port is taken.
    """
    listener = socket.create_server((HOST, port), backlog=128)  # bound here: make_server would exit the process
    try:
        return make_server(
            HOST, listener.getsockname()[1], app, threaded=True, request_handler=_Handler, fd=listener.fileno()
        )
    finally:
        listener.close()
