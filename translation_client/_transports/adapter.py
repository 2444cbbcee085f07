"""The transport adapter of blocking clients: guarded connections, each reused for the same URL alone."""

from __future__ import annotations

import queue
import weakref
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import requests
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.util.connection import is_connection_dropped

from .._clock import real_monotonic
from .cancel_scope import CURRENT
from .connections import connection_class
from .matched_response import MatchedConnection

MAX_HOSTS = 4
"""The most hosts, or proxies, with pooled connections: that of the service, and a few that it redirects to."""

MAX_IDLE_CONNECTIONS = 100
"""The most pooled connections for each host."""

_NO_LOCK = nullcontext()
"""Stands for the lock of a queue of gevent, which has none: greenlets do not switch between two steps of ours."""


class GuardedAdapter(HTTPAdapter):
    """A transport adapter whose connections obey the cancel scope. It never retries: the policy above it does."""

    def __init__(self) -> None:
        super().__init__(pool_connections=MAX_HOSTS, pool_maxsize=MAX_IDLE_CONNECTIONS, max_retries=0)
        self._pools: dict[tuple[Any, ...], Any] = {}

    def get_connection_with_tls_context(
        self, request: PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> HTTPConnectionPool:
        """Return the pool that requests chooses, direct or by proxy, with connections of ours.

        The choice is cached: it takes a tenth of the time of a whole call.
        """
        origin = urlsplit(request.url or "")[:2]
        key = (*origin, str(verify), str(cert), *sorted((proxies or {}).items()))
        pool: Any = self._pools.get(key)
        if pool is None:
            pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
            pool.ConnectionCls = connection_class(pool.ConnectionCls)
            pool._get_conn = partial(_connection_for_url, weakref.ref(pool))  # weak, or the pool would hold itself
            self._pools = {**(self._pools if len(self._pools) < MAX_HOSTS else {}), key: pool}
        guarded: HTTPConnectionPool = pool
        return guarded

    def close(self) -> None:
        """Close the idle connections. urllib3 leaves that to the garbage collector, but we keep the pools."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.close()
        super().close()

    def close_idle(self) -> None:
        """Close the idle connections. The pools stay, as connections in use are returned to them."""
        for pool in self._pools.values():
            _close_all(pool.pool)

    def request_url(self, request: PreparedRequest, proxies: Any) -> str:
        """Return the target of the request line: always the path if there is no proxy."""
        return super().request_url(request, proxies) if proxies else request.path_url

    def build_response(self, req: PreparedRequest, resp: Any) -> requests.Response:
        """Build a response as requests does, without cookies and a guessed encoding, which are not needed."""
        response = requests.Response()
        response.status_code = resp.status
        response.reason = resp.reason
        response.headers = CaseInsensitiveDict(resp.headers)
        response.raw = resp
        response.url = req.url or ""
        response.request = req
        return response


def _connection_for_url(reference: Callable[[], Any], timeout: float | None = None) -> Any:
    """Return a connection of a pool whose last request was for `reuse_url` of the cancel scope, or else a new one.

    A new one replaces the one that is idle longest, if any is idle. So a pool never has more connections than it had
    concurrent calls.
    """
    pool, scope = reference(), CURRENT.scope
    idle, url = pool.pool, None if scope is None else scope.reuse_url
    if url is None or idle is None:
        return type(pool)._get_conn(pool, timeout)
    connection = _take_idle(idle, url)
    if connection is None or connection.reuse_url != url or is_connection_dropped(connection):
        if connection is not None:
            connection.close()
        connection = pool._new_conn()
    connection.reuse_url, connection.taken_at = url, real_monotonic()
    return connection


def _take_idle(idle: queue.LifoQueue[MatchedConnection | None], url: str) -> MatchedConnection | None:
    """Remove from a pool the connection whose last request was for a URL, or else the one that is idle longest.

    Returns None if no connection is idle.
    """
    with getattr(idle, "mutex", _NO_LOCK):
        if not idle.queue:
            return None
        connected = [connection for connection in idle.queue if connection is not None and connection.sock is not None]
        own = [connection for connection in connected if connection.reuse_url == url]
        chosen = max(own, key=_taken_at) if own else min(connected, key=_taken_at, default=None)
        # In one step: a signal handler may raise at any line.
        idle.queue.remove(chosen if connected else idle.queue[-1])
    return chosen


def _taken_at(connection: MatchedConnection) -> float:
    return connection.taken_at


def _close_all(idle: queue.LifoQueue[HTTPConnection | None] | None) -> None:
    with suppress(queue.Empty):
        while idle is not None:
            connection = idle.get(block=False)
            if connection is not None:
                connection.close()
