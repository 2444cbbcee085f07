"""The sessions of aiohttp of one client: our own, with connections that match responses to requests, or the caller's."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import certifi
from aiohttp.helpers import basicauth_from_netrc, get_env_proxy_for_url, netrc_from_env
from multidict import CIMultiDict
from requests.utils import get_environ_proxies, prepend_scheme_if_needed, select_proxy
from yarl import URL

from .._models import Fault
from .async_connections import Connector, RequestPooledByURL, TLSObject, new_connector
from .errors import NO_CA_BUNDLE, RequestNotSent
from .event_loop import yield_to_loop
from .framing import MAX_LINE_BYTES

AUTH_CONFLICT = (
    "session (by auth, or by trust_env and a .netrc) and client (by api_key, headers or base_url) both have credentials, and "
    "aiohttp sends one Authorization header: leave out one of the two"
)

NO_LIMIT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
"""No timeouts of aiohttp: our own limits apply to each call."""

MAX_PROXIES_KEPT = 16
"""The most origins whose proxies are kept: that of the service, and those of links and redirects."""


class Sessions:
    """The sessions of one client, for one event loop."""

    def __init__(self, callers: aiohttp.ClientSession | None) -> None:
        """Create no session yet.

        Args:
            callers: The caller's session, used as it is and never closed; None for our own.
        """
        self._borrowed = callers
        self._connector: Connector | None = None
        self._session: aiohttp.ClientSession | None = None
        self._proxies: dict[str, str | None] = {}
        self._tls: ssl.SSLContext | None = None

    def request(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        data: Any,
        trace: Any,
        *,
        is_cross_origin: bool,
        new_connection: bool,
    ) -> Any:
        """Return an asynchronous context manager that sends a request and yields the response. No redirect is followed.

        Without a session of the caller's, any request but a GET has a new connection of its own: a late response to it
        would otherwise be taken for the response to the next request. A caller's session always uses its own pool.

        Args:
            method: The HTTP method in capitals.
            url: The absolute URL, encoded.
            headers: All headers.
            data: The body.
            trace: Its `has_sent` becomes True once the request headers are sent. For a GET on a pooled connection, or on a
                caller's session, it is set before.
            is_cross_origin: True if the origin is not that of `base_url`. It gets no default header, cookie or auth of the
                caller's session.
            new_connection: True to open a new connection for a GET too. Ignored for a caller's session.
        """
        options = {"headers": headers, "data": data, "allow_redirects": False, "timeout": NO_LIMIT}
        options["auto_decompress"] = False  # bodies are decoded by us, under a cap, and ranges count encoded bytes
        if self._borrowed is not None:
            if self._borrowed.closed is True:  # that of a mock is truthy, too
                raise RequestNotSent(RuntimeError("Session is closed"))
            trace.has_sent = True  # the caller's session is not traced
            if is_cross_origin and _needs_bare_copy(self._borrowed, url):
                return _request_without_defaults(self._borrowed, method, url, options)
            if not is_cross_origin and "authorization" in map(str.lower, headers) and _reads_netrc(self._borrowed, url):
                raise auth_conflict()
            return self._borrowed.request(method, url, **options)
        options["proxy"] = self._proxy_of(url)
        if url.scheme == "https" or (options["proxy"] or "").startswith("https"):
            options["ssl"] = self._tls_context()
        if new_connection or method != "GET":
            return _request_on_new_connection(method, url, options, trace)
        trace.has_sent = True  # whether a GET was sent makes no difference
        return self._pooled_session().request(method, url, **options)

    def close_idle(self) -> None:
        """Mark the current connections as not reusable. Each is closed after its response, or before it would be reused."""
        if self._connector is not None:
            self._connector.forbid_reuse()

    async def close(self) -> None:
        """Close our own sessions and connections."""
        if self._session is not None:
            await self._session.close()
        if self._connector is not None:
            self._connector.abort()
            await self._connector.close()
            await yield_to_loop()  # one step of the event loop, in which the connections close

    def _pooled_session(self) -> aiohttp.ClientSession:
        if self._connector is None:
            self._connector = new_connector()
        self._session = self._session or _new_session(self._connector, owns=False)
        return self._session

    def _proxy_of(self, url: URL) -> str | None:
        """Return the proxy of the environment, which is read once for each origin."""
        origin = f"{url.scheme}://{url.raw_authority}"
        if origin not in self._proxies:
            if len(self._proxies) >= MAX_PROXIES_KEPT:
                self._proxies.clear()
            self._proxies[origin] = _usable(select_proxy(origin, get_environ_proxies(origin, no_proxy=None)))
        return self._proxies[origin]

    def _tls_context(self) -> ssl.SSLContext:
        """Return the TLS context. It is created at the first HTTPS request, as reading a CA bundle takes 25 ms.

        Raises:
            Fault: The CA bundle that the environment names does not exist.
        """
        if self._tls is None:
            self._tls = _new_tls_context()
        return self._tls


def auth_conflict() -> RequestNotSent:
    """Return the error for a session and a client that both have credentials for the `Authorization` header."""
    return RequestNotSent(ValueError(AUTH_CONFLICT))


def _reads_netrc(session: aiohttp.ClientSession, url: URL) -> bool:
    """True if aiohttp reads credentials from .netrc. Before 3.13 it replaces our header by them without an error."""
    if session.trust_env is not True or session.auth is not None or url.host is None:
        return False
    with suppress(LookupError):
        return basicauth_from_netrc(netrc_from_env(), url.host) is not None
    return False


def is_auth_conflict(error: BaseException) -> bool:
    """True if aiohttp rejects a request with an `Authorization` header, as the session has credentials of its own."""
    return isinstance(error, ValueError) and str(error).startswith("Cannot combine AUTHORIZATION header with AUTH")


def _needs_bare_copy(session: aiohttp.ClientSession, url: URL) -> bool:
    """True if a session may add headers, cookies or credentials, and a bare copy can replace it."""
    if not isinstance(session.connector, aiohttp.BaseConnector):
        return False  # it is closed, or a mock
    if any(map(_is_session_method, vars(session))):
        return False  # a method was replaced on it, by a mock or a decorator, which must be called
    has_auth = session.auth is not None or session.trust_env  # which reads .netrc
    has_middlewares = bool(getattr(session, "_middlewares", ()))  # exists since aiohttp 3.12
    return has_auth or has_middlewares or bool(session.headers) or bool(session.cookie_jar.filter_cookies(url))


@asynccontextmanager
async def _request_without_defaults(
    session: aiohttp.ClientSession, method: str, url: URL, options: dict[str, Any]
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Send a request through a copy of the caller's session without default headers, cookies, auth and middlewares.

    The copy has the class, the connections and the proxies of the session.
    """
    bare = object.__new__(session.__class__)
    without_defaults: dict[str, Any] = {
        "_default_headers": CIMultiDict(),
        "_default_auth": None,
        "_cookie_jar": aiohttp.DummyCookieJar(),
        "_middlewares": (),
        "_trust_env": False,
    }
    vars(bare).update(vars(session), **without_defaults)
    proxy = _proxy_of_environment(url) if session.trust_env and not getattr(session, "_default_proxy", None) else None
    if proxy is not None:
        vars(bare).update(_default_proxy=proxy, _default_proxy_auth=None)
    try:
        async with bare.request(method, url, **options) as response:
            yield response
    finally:
        bare.detach()  # or aiohttp would complain that the copy was not closed


def _is_session_method(name: str) -> bool:
    return callable(getattr(aiohttp.ClientSession, name, None))


def _proxy_of_environment(url: URL) -> URL | None:
    """Return the proxy that aiohttp reads from the environment, with its user information."""
    try:
        proxy, auth = get_env_proxy_for_url(url)
    except LookupError:
        return None
    return proxy if auth is None else proxy.with_user(auth.login).with_password(auth.password)


def _usable(proxy: str | None) -> str | None:
    """Return the URL of a proxy with its scheme, as requests completes it.

    Raises:
        Fault: aiohttp does not support the kind of proxy.
    """
    if proxy is None:
        return None
    spelled = ""
    with suppress(Exception):  # it raises various errors if there is no host
        spelled = prepend_scheme_if_needed(proxy, "http")
    if not spelled.lower().startswith(("http://", "https://")):
        raise Fault(
            "connection", "the proxy of the environment is no HTTP proxy, and asyncio clients support no other kind"
        )
    return spelled


@asynccontextmanager
async def _request_on_new_connection(
    method: str, url: URL, options: dict[str, Any], trace: Any
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Send a request on a new connection, and close the connection afterwards."""
    async with (
        _new_session(new_connector(), owns=True, trace_configs=[_trace_of_sent_headers()]) as session,
        session.request(method, url, trace_request_ctx=trace, **options) as response,
    ):
        yield response


def _new_session(
    connector: aiohttp.TCPConnector, *, owns: bool, trace_configs: list[aiohttp.TraceConfig] | None = None
) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=connector,
        connector_owner=owns,
        request_class=RequestPooledByURL,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trace_configs=trace_configs,
        max_line_size=MAX_LINE_BYTES,
        max_field_size=MAX_LINE_BYTES,
    )
    # Or aiohttp would retry a call on its own if a pooled connection turns out to be closed.
    session._retry_connection = False
    return session


def _trace_of_sent_headers() -> aiohttp.TraceConfig:
    trace = aiohttp.TraceConfig()

    async def sent(_: Any, context: Any, __: Any) -> None:
        context.trace_request_ctx.has_sent = True

    trace.on_request_headers_sent.append(sent)
    return trace


def _new_tls_context() -> ssl.SSLContext:
    """Return a TLS context with the CA bundle of the environment, or certifi's if there is none."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
    if not Path(bundle).exists():
        raise Fault("connection", NO_CA_BUNDLE)
    is_folder = Path(bundle).is_dir()
    context = ssl.create_default_context(cafile=None if is_folder else bundle, capath=bundle if is_folder else None)
    context.sslobject_class = TLSObject
    return context
