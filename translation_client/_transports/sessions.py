"""The sessions of requests: our own, with connections that obey the cancel scope, or the caller's. They prepare calls."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import requests
from requests import PreparedRequest, Session
from requests.cookies import RequestsCookieJar

from .adapter import GuardedAdapter
from .dns import fork_count
from .multipart import NO_BODY, RequestBody
from .session_retries import never_retries

MAX_PREPARED_CALLS = 128
"""128: the size of the cache of prepared calls, which is emptied when it is full. Preparing takes half of a check's time."""

MAX_SOCKET_SECONDS = 1e6
"""1e6 s, eleven days: the longest timeout set on a socket. A much larger number overflows in the system call."""


class Call(NamedTuple):
    """A call to prepare.

    Attributes:
        method: The HTTP method in capitals.
        url: The absolute URL.
        headers: Headers of this call alone. They replace the session's of the same name.
        payload: The body of the request.
        read: The response hook that reads the body; None for the default one.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    payload: RequestBody = NO_BODY
    read: ReadHook | None = None


class PreparedCall(NamedTuple):
    """A call that is ready to be sent."""

    session: Session
    prepared: PreparedRequest
    send_options: dict[str, Any]

    def send(self, timeout: float) -> requests.Response:
        """Send the request without following a redirect."""
        limit = min(timeout, MAX_SOCKET_SECONDS)
        return self.session.send(self.prepared, timeout=limit, allow_redirects=False, **self.send_options)


class ReadHook(Protocol):
    """Reads the body of a response."""

    def __call__(self, response: requests.Response, **_: Any) -> None:
        """Read the body, and store it in the response."""


class PooledSession:
    """A session of our own: sockets that obey the cancel scope, no cookies, no .netrc, no retries.

    The environment (proxies, CA bundle) is read when a call is prepared, and kept with it. The child of a fork reads it
    again.
    """

    def __init__(self, headers: Mapping[str, str], read: ReadHook) -> None:
        """Create the session without opening a connection."""
        self._headers = headers
        self._read = read
        self._lock = threading.Lock()
        self._process = _ProcessSession(fork_count())

    def prepare(self, call: Call) -> PreparedCall:
        """Prepare a call with all headers."""
        process = self._current_process()
        if call.payload is not NO_BODY or call.read is not None:
            return self._prepare_call(process, call)
        key = (call.method, call.url, *call.headers.items())
        ready = process.prepared_calls.get(key)
        if ready is None:
            ready = self._prepare_call(process, call)
            kept = process.prepared_calls if len(process.prepared_calls) < MAX_PREPARED_CALLS else {}
            process.prepared_calls = {**kept, key: ready}
        return ready

    def prepare_cross_origin(self, call: Call) -> PreparedCall:
        """Prepare a call to another origin, without our headers."""
        return _prepare_cross_origin(self._current_process().session, call, self._read)

    def _prepare_call(self, process: _ProcessSession, call: Call) -> PreparedCall:
        prepared = _prepare_request(process.session, call, self._headers, self._read, ignore_session_auth=True)
        return PreparedCall(process.session, prepared, _send_options(process.session, call.url))

    def never_retries(self) -> bool:
        """Return True: our adapters have no retries."""
        return True

    def renewed(self) -> PooledSession:
        """Return a new session like this one, without connections. The caller closes it."""
        return PooledSession(self._headers, self._read)

    def close(self) -> None:
        """Close the idle connections. Those in use are closed by the calls that use them."""
        self._process.session.close()

    def close_idle(self) -> None:
        """Close the idle connections. Later requests open new ones."""
        for adapter in self._current_process().adapters:
            adapter.close_idle()

    def _current_process(self) -> _ProcessSession:
        if self._process.forks != fork_count():  # a pool used on both sides of a fork mixes up the responses
            with self._lock:
                if self._process.forks != fork_count():
                    self._process = _ProcessSession(fork_count())
        return self._process


class _ProcessSession:
    """Our session in one process, and its prepared calls."""

    def __init__(self, forks: int) -> None:
        self.forks = forks
        self.prepared_calls: dict[tuple[Any, ...], PreparedCall] = {}
        self.session = Session()
        self.session.headers.clear()
        self.session.cookies = _NoCookies()
        self.adapters = (GuardedAdapter(), GuardedAdapter())
        self.session.mount("http://", self.adapters[0])
        self.session.mount("https://", self.adapters[1])


class BorrowedSession:
    """The caller's session: its adapters, hooks, cookies and auth, which may change from call to call."""

    def __init__(self, session: Session, headers: Mapping[str, str], read: ReadHook) -> None:
        """Wrap the session without changing it."""
        self._session = session
        self._headers = headers
        self._read = read

    def prepare(self, call: Call) -> PreparedCall:
        """Prepare a call with all headers."""
        names = {name.lower() for name in (*self._headers, *call.headers)}
        prepared = _prepare_request(
            self._session, call, self._headers, self._read, ignore_session_auth="authorization" in names
        )
        return PreparedCall(self._session, prepared, _send_options(self._session, call.url))

    def prepare_cross_origin(self, call: Call) -> PreparedCall:
        """Prepare a call to another origin, without our headers."""
        return _prepare_cross_origin(self._session, call, self._read)

    def never_retries(self) -> bool:
        """Return True if it is known that the session does not retry on its own."""
        return never_retries(self._session)

    def renewed(self) -> BorrowedSession:
        """Return this session: its connections are managed by the caller."""
        return self

    def close(self) -> None:
        """Do nothing: the caller closes the session."""

    def close_idle(self) -> None:
        """Do nothing: the connections are managed by the caller."""


def _prepare_request(
    session: Session, call: Call, headers: Mapping[str, str], read: ReadHook, *, ignore_session_auth: bool
) -> PreparedRequest:
    # An explicit auth keeps requests from replacing our credentials with those of .netrc, or with the auth of the session.
    auth = _no_auth if ignore_session_auth else None
    body, content_type_header = _body_and_content_type(call)
    request = requests.Request(
        call.method, call.url, {**headers, **call.headers, **content_type_header}, data=body, auth=auth
    )
    return _with_hook(session.prepare_request(request), call.read or read)


def _body_and_content_type(call: Call) -> tuple[Any, dict[str, str]]:
    if call.payload is NO_BODY:
        return None, {}
    return call.payload.content, {"Content-Type": call.payload.content_type}


def _prepare_cross_origin(session: Session, call: Call, read: ReadHook) -> PreparedCall:
    # Not prepared by the session, which may add its own headers, cookies and auth. Its client certificate is left out too.
    body, content_type_header = _body_and_content_type(call)
    headers = {**call.headers, **content_type_header}
    prepared = requests.Request(call.method, call.url, headers, data=body, auth=_no_auth).prepare()
    return PreparedCall(
        session, _with_hook(prepared, call.read or read), {**_send_options(session, call.url), "cert": None}
    )


def _with_hook(prepared: PreparedRequest, read: ReadHook) -> PreparedRequest:
    # A hook, as `Session.send` reads the body of a redirect without a limit. The first one, as others may read it too.
    prepared.hooks["response"].insert(0, read)
    return prepared


def _send_options(session: Session, url: str) -> dict[str, Any]:
    # `verify` is passed, or a CA bundle of the environment would override a session's verify=False.
    return dict(session.merge_environment_settings(url, {}, True, session.verify, None))


def _no_auth(prepared: PreparedRequest) -> PreparedRequest:
    return prepared


class _NoCookies(RequestsCookieJar):
    """Stores no cookies: a status check does not depend on them, and parsing them from each response takes time."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Do nothing."""
