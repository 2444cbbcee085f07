"""Send a request with requests: one HTTP call with all its limits, on our session or the caller's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any, NamedTuple, Protocol

import requests
from requests import PreparedRequest, Session
from requests.cookies import RequestsCookieJar
from urllib3.exceptions import HTTPError

from .._auth import KeyHeaders, same_origin, secrets_in
from .._clock import Deadline, Stopwatch
from .._models import Fault, Request, Response, interim_as_final
from .base import MAX_REDIRECTS, TransportConfig, redirect_target
from .cancel_scope import CallAborted, CallTimeout, CancelScope, RequestNotSent, TransferScope, current_scope
from .decoding import ACCEPT_ENCODING, FILE_CODES, Sink, read_capped, response_head, stream_to
from .dns import fork_count
from .errors import TIMED_OUT, failed_before_send, map_exception, redacted_cause, root_reason
from .multipart import NO_BODY, RequestBody, encode_body
from .sockets import GuardedAdapter, UnreadableBody

MAX_READY = 128
"""How many prepared calls are kept. A wait repeats the same call, and preparing it takes half of the time."""


MAX_SOCKET_SECONDS = 1e6
"""1e6 s, eleven days: the longest time-out set on a socket, as the system cannot represent every number."""


class Call(NamedTuple):
    """A call to prepare.

    Attributes:
        method: The HTTP method in capitals.
        url: The absolute URL.
        headers: Headers of this call, which override those of all calls.
        payload: The body of the request.
        read: Reads the response instead of the default hook; None for the default.
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
    settings: dict[str, Any]

    def send(self, timeout: float) -> requests.Response:
        """Send the request without following a redirect."""
        limit = min(timeout, MAX_SOCKET_SECONDS)
        return self.session.send(self.prepared, timeout=limit, allow_redirects=False, **self.settings)


class ReadHook(Protocol):
    """Reads the body of a response."""

    def __call__(self, response: requests.Response, **_: Any) -> None:
        """Read the body, and store it in the response."""


class PooledSession:
    """A session of our own: sockets that obey the cancel scope, no cookies, no .netrc, no retries.

    The environment (proxies, CA bundle) is read once for each URL, and again in the child after a fork.
    """

    def __init__(self, headers: Mapping[str, str], read: ReadHook) -> None:
        """Create the session without opening a connection."""
        self._headers = headers
        self._read = read
        self._lock = threading.Lock()
        self._life = _ProcessState(fork_count())

    def outgoing(self, call: Call) -> PreparedCall:
        """Prepare a call with all headers."""
        life = self._current_life()
        if call.payload is not NO_BODY or call.read is not None:
            return self._made_ready(life, call)
        key = (call.method, call.url, *call.headers.items())
        ready = life.ready.get(key)
        if ready is None:
            ready = self._made_ready(life, call)
            life.ready = {**(life.ready if len(life.ready) < MAX_READY else {}), key: ready}
        return ready

    def outgoing_bare(self, call: Call) -> PreparedCall:
        """Prepare a GET to a foreign origin."""
        return _bare(self._current_life().session, call, self._read)

    def _made_ready(self, life: _ProcessState, call: Call) -> PreparedCall:
        prepared = _prepared(life.session, call, self._headers, self._read, keep_auth=True)
        return PreparedCall(life.session, prepared, _settings(life.session, call.url))

    repeats_nothing = True

    def fresh(self) -> PooledSession:
        """Return a new session like this one, without connections. The caller closes it."""
        return PooledSession(self._headers, self._read)

    def close(self) -> None:
        """Close the idle connections. Those in use are closed by the calls that use them."""
        self._life.session.close()

    def close_idle(self) -> None:
        """Close the idle connections. Later requests open new ones."""
        for adapter in self._current_life().adapters:
            adapter.close_idle()

    def _current_life(self) -> _ProcessState:
        if self._life.forks != fork_count():  # a pool used on both sides of a fork mixes up the responses
            with self._lock:
                if self._life.forks != fork_count():
                    self._life = _ProcessState(fork_count())
        return self._life


class _ProcessState:
    """Our session in one process, and its prepared calls."""

    def __init__(self, forks: int) -> None:
        self.forks = forks
        self.ready: dict[tuple[Any, ...], PreparedCall] = {}
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

    def outgoing(self, call: Call) -> PreparedCall:
        """Prepare a call with all headers."""
        names = {name.lower() for name in (*self._headers, *call.headers)}
        prepared = _prepared(self._session, call, self._headers, self._read, keep_auth="authorization" in names)
        return PreparedCall(self._session, prepared, _settings(self._session, call.url))

    def outgoing_bare(self, call: Call) -> PreparedCall:
        """Prepare a GET to a foreign origin."""
        return _bare(self._session, call, self._read)

    @property
    def repeats_nothing(self) -> bool:
        """True if none of its adapters retries on its own."""
        retries = (getattr(adapter, "max_retries", None) for adapter in self._session.adapters.values())
        return all(getattr(one, "total", None) in (None, 0, False) for one in retries)

    def fresh(self) -> BorrowedSession:
        """Return this session: its connections are managed by the caller."""
        return self

    def close(self) -> None:
        """Do nothing: the caller closes the session."""

    def close_idle(self) -> None:
        """Do nothing: the connections are managed by the caller."""


def _prepared(
    session: Session, call: Call, headers: Mapping[str, str], read: ReadHook, *, keep_auth: bool
) -> PreparedRequest:
    # An explicit auth keeps requests from replacing our credentials with those of a .netrc file.
    auth = _identity if keep_auth else None
    body, type_header = _body_of(call)
    request = requests.Request(call.method, call.url, {**headers, **call.headers, **type_header}, data=body, auth=auth)
    return _with_hook(session.prepare_request(request), call.read or read)


def _body_of(call: Call) -> tuple[Any, dict[str, str]]:
    if call.payload is NO_BODY:
        return None, {}
    return call.payload.content, {"Content-Type": call.payload.content_type}


def _bare(session: Session, call: Call, read: ReadHook) -> PreparedCall:
    # Not prepared by the session, which may add its own headers, cookies and auth. Its certificate is left out too.
    prepared = requests.Request("GET", call.url, dict(call.headers), auth=_identity).prepare()
    return PreparedCall(
        session, _with_hook(prepared, call.read or read), {**_settings(session, call.url), "cert": None}
    )


def _with_hook(prepared: PreparedRequest, read: ReadHook) -> PreparedRequest:
    # As the first hook: `Session.send` itself reads the body of a redirect, without any limit.
    prepared.hooks["response"].insert(0, read)
    return prepared


def _settings(session: Session, url: str) -> dict[str, Any]:
    # `verify` is passed, or a CA bundle of the environment would override a session's verify=False.
    return dict(session.merge_environment_settings(url, {}, True, session.verify, None))


def _identity(prepared: PreparedRequest) -> PreparedRequest:
    return prepared


class _NoCookies(RequestsCookieJar):
    """Stores no cookies: a status check does not depend on them, and parsing them from each response takes time."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Do nothing."""


MAX_BODY_BYTES = 1024 * 1024
"""1 MiB: the longest body held in memory."""

STATUS_BODY_SECONDS = 1.0
"""1 s: how long the body of an error or a redirect is read. Its status, which counts, is already there."""


class _Exchange(NamedTuple):
    """A request in flight. `credentials` is None if it goes to another origin, which gets no fixed key either."""

    session: PooledSession | BorrowedSession
    request: Request
    credentials: KeyHeaders | None
    payload: RequestBody
    sink: Sink | None
    guard: CancelScope


class RequestsSender:
    """Sends the requests of one client. Safe to share between threads."""

    def __init__(
        self,
        base_url: str,
        *,
        user_agent: str,
        headers: Mapping[str, str],
        request_timeout: float,
        credentials: Callable[[], KeyHeaders] = KeyHeaders,
        session: Session | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        """Create a sender without opening a connection.

        Args:
            base_url: The URL that the path of each request is appended to.
            user_agent: The `User-Agent` header, sent to every origin.
            headers: The key and the caller's own headers, sent only to the origin of `base_url`.
            request_timeout: Seconds for one call: connecting, headers, body and redirects together.
            credentials: Called before each call for the headers of a rotating key. They are sent where `headers` are.
            session: The caller's session, used as it is and never closed; None for one of our own.
            max_body_bytes: The longest body that is read, in bytes.
        """
        self.base_url = base_url
        self._credentials = credentials
        self._request_timeout = request_timeout
        self._max_body_bytes = max_body_bytes
        self._plain = {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": ACCEPT_ENCODING}
        full = KeyHeaders({**self._plain, **headers})
        self._is_callers = session is not None
        self._session: PooledSession | BorrowedSession = (
            PooledSession(full, self._read) if session is None else BorrowedSession(session, full, self._read)
        )

    def send(
        self,
        request: Request,
        deadline: Deadline,
        is_cancelled: Callable[[], bool],
        sink: Sink | None = None,
        *,
        new_connection: bool = False,
    ) -> Response:
        """Send a request and read the response to its end.

        Args:
            request: The request. With a file or a sink, it may take any time as long as bytes move.
            deadline: When the call must be over.
            is_cancelled: Called repeatedly; returns True to abort the request.
            sink: Receives the body of a successful response; None to return the body with the response.
            new_connection: True to open a new connection. A reused one may be about to be closed by the server, or hold
                a late response to an earlier request.

        Raises:
            Fault: There is no response, it breaks off, or it cannot be read.
            CallTimeout: `request_timeout` or the deadline has passed.
            CallCancelled: `is_cancelled` returned True.
            RequestNotSent: The function that returns the key raised, or the file to send cannot be read.
        """
        stopwatch = Stopwatch(deadline.stopwatch)
        session = self._session.fresh() if new_connection else self._session
        guard = self._guard(request.is_transfer or sink is not None, deadline, stopwatch, is_cancelled)
        credentials, made = self._prepared(request)
        with made as payload:
            try:
                response = self._guarded(_Exchange(session, request, credentials, payload, sink, guard))
            except Fault as fault:
                fault.add_sent_keys(secrets_in(credentials))
                raise
            finally:
                if new_connection:
                    session.close()
        return Response(
            response.status_code, response.headers, response.content, stopwatch.elapsed, secrets_in(credentials)
        )

    def build_url(self, request: Request) -> str:
        """Return the URL of a request."""
        return self.base_url + request.path if request.path.startswith("/") else request.path

    def close(self) -> None:
        """Close the idle connections of our own session."""
        self._session.close()

    def close_idle(self) -> None:
        """Close the idle connections of our own session. Later requests open new ones."""
        self._session.close_idle()

    def _prepared(self, request: Request) -> tuple[KeyHeaders | None, RequestBody]:
        is_trusted = request.path.startswith("/") or same_origin(self.base_url, request.path)
        try:
            return self._credentials() if is_trusted else None, encode_body(request)
        except Exception as error:
            raise RequestNotSent(error) from error

    def _guard(
        self, is_transfer: bool, deadline: Deadline, stopwatch: Stopwatch, is_cancelled: Callable[[], bool]
    ) -> CancelScope:
        if is_transfer:
            return TransferScope(deadline, self._request_timeout, is_cancelled, stopwatch)
        return CancelScope(stopwatch.began_at + min(self._request_timeout, deadline.left), is_cancelled, stopwatch)

    def _guarded(self, sending: _Exchange) -> requests.Response:
        guard = sending.guard
        try:
            with guard:
                return self._follow(sending)
        except (CallAborted, Fault) as error:
            error.was_sent = self._may_have_left(sending, error)
            raise
        except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError, TypeError) as error:
            fault = map_exception(error)
            cause = redacted_cause(error, fault.text)
            fault.was_sent = self._may_have_left(sending, error)
        # Raised outside the handler, or the original exception with all it holds would be the context of the fault.
        guard.left()  # a third-party adapter reports a time-out in its own way
        raise fault from cause

    def _may_have_left(self, sending: _Exchange, error: Exception) -> bool:
        """True if the whole request may have reached the server."""
        has_left = sending.payload.is_read and (sending.guard.has_sent or self._is_callers)
        # An adapter that retries on its own raises the last of several errors, which proves nothing.
        return has_left and not (self._session.repeats_nothing and failed_before_send(error))

    def _follow(self, sending: _Exchange) -> requests.Response:
        request, payload, guard = sending.request, sending.payload, sending.guard
        read = None if sending.sink is None else self._into(sending.sink)
        url = self.build_url(request)
        is_trusted = sending.credentials is not None
        for _ in range(1 + MAX_REDIRECTS):
            if is_trusted:
                headers = KeyHeaders({**(sending.credentials or {}), **request.headers})
                outgoing = sending.session.outgoing(Call(request.method, url, headers, payload, read))
            else:
                headers = KeyHeaders({**self._plain, **request.headers})
                outgoing = sending.session.outgoing_bare(Call("GET", url, headers, payload, read))
            response = outgoing.send(guard.left())
            target = redirect_target(outgoing.session, response)
            if target is None or request.method != "GET":
                return response
            url, is_trusted = target, is_trusted and same_origin(self.base_url, target)
        raise Fault("unreadable", f"more than {MAX_REDIRECTS} redirects", response_head(response))

    def _into(self, sink: Sink) -> ReadHook:
        def pour(response: requests.Response, **_: Any) -> None:
            if response.status_code not in FILE_CODES:
                self._read(response)
                return
            try:
                stream_to(response, sink)
            except BaseException:
                _close(response)
                raise
            _hold(response, b"")

        return pour

    def _read(self, response: requests.Response, **_: Any) -> None:
        if response.status_code < 200:
            _close(response)  # before its body is read, which would return the connection to the pool
            raise interim_as_final(response_head(response))
        fault = None
        try:
            body = self._body_of(response)
        except (UnreadableBody, HTTPError, HTTPException, OSError, ValueError) as error:
            _close(response)
            if isinstance(error, TIMED_OUT) and response.status_code < 300:
                raise  # a late body is the same fault as a missing one
            body, fault = b"", _unreadable(error, response)
        except BaseException:
            _close(response)
            raise
        if fault is not None and response.status_code < 300:
            raise fault  # for any other status, a broken body changes nothing
        _hold(response, body)

    def _body_of(self, response: requests.Response) -> bytes:
        guard = current_scope()
        if response.status_code < 300 or guard is None:
            return read_capped(response, self._max_body_bytes)
        try:
            with guard.shortened(STATUS_BODY_SECONDS):
                return read_capped(response, self._max_body_bytes)
        except CallTimeout:
            _close(response)
            return b""


def _close(response: requests.Response) -> None:
    if response.raw is not None:  # None if a third-party adapter built the response itself
        response.close()


def _hold(response: requests.Response, body: bytes) -> None:
    response._content = body
    vars(response)["_content_consumed"] = True  # requests checks it before it reads the body


def _unreadable(error: Exception, response: requests.Response) -> Fault:
    what = str(error) if isinstance(error, UnreadableBody) else f"the body breaks off ({root_reason(error)})"
    return Fault("unreadable", what, response_head(response))


CANCEL_SLICE_SECONDS = 0.02
"""20 ms: how soon a sleep notices the caller's event. `close()` needs no slices, as the sleep waits on its event."""


class BlockingTransport:
    """The transport that blocks the thread of the caller."""

    def __init__(self, sender: RequestsSender, sleep: Callable[[float], object] | None) -> None:
        """Create a transport.

        Args:
            sender: Sends the requests.
            sleep: Called with the seconds in place of an interruptible sleep; None for the interruptible one.
        """
        self.sender = sender
        self.base_url = sender.base_url
        self.max_connections = 1
        self._sleep = sleep
        self.closed = threading.Event()

    @property
    def is_closed(self) -> bool:
        """True if the client was closed."""
        return self.closed.is_set()

    def build_url(self, request: Request) -> str:
        """Return the URL of a request."""
        return self.sender.build_url(request)

    async def send(
        self,
        request: Request,
        deadline: Deadline,
        is_cancelled: Callable[[], bool],
        sink: Sink | None = None,
        *,
        new_connection: bool = False,
    ) -> Response:
        """Send one request, and return the response."""
        return self.sender.send(request, deadline, is_cancelled, sink, new_connection=new_connection)

    async def sleep(self, seconds: float, cancel: Any, stopwatch: Stopwatch) -> None:
        """Sleep, and add the seconds really slept to `stopwatch`."""
        if self._sleep is not None:
            with stopwatch.measure_callers_sleep(seconds):
                self._sleep(seconds)
        elif cancel is None:
            with stopwatch.measure():
                self.closed.wait(min(seconds, threading.TIMEOUT_MAX))
        else:
            self._sleep_on_two_events(Deadline.after(seconds, stopwatch), cancel)

    def close_idle(self) -> None:
        """Close the idle connections."""
        self.sender.close_idle()

    def close(self) -> None:
        """End sleeps and requests in progress, and close the idle connections."""
        self.closed.set()
        self.sender.close()

    def _sleep_on_two_events(self, end: Deadline, cancel: threading.Event) -> None:
        while not self.closed.is_set() and end.left > 0:
            with end.stopwatch.measure():
                if cancel.wait(min(end.left, CANCEL_SLICE_SECONDS)):
                    return


def blocking_transport(transport_config: TransportConfig) -> BlockingTransport:
    """Return a blocking transport.

    Raises:
        TypeError: The session is not a `requests.Session`.
    """
    session = transport_config.session
    if session is not None and not isinstance(session, requests.Session):
        raise TypeError(f"session must be a requests.Session, got a value of type {type(session).__name__}")
    transport = RequestsSender(
        transport_config.base_url,
        user_agent=transport_config.user_agent,
        headers=transport_config.headers,
        request_timeout=transport_config.request_timeout,
        credentials=transport_config.credentials,
        session=session,
    )
    return BlockingTransport(transport, transport_config.sleep)
