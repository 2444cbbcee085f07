"""Which session makes a call, and with what headers and settings? Ours, made ready once; or the caller's, as it is."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import requests
from requests import PreparedRequest, Response, Session
from requests.cookies import RequestsCookieJar

from .forks import fork_count
from .payload import NOTHING, Payload
from .sockets import GuardedAdapter

MAX_READY = 128
"""Calls that are kept ready: a wait makes the same one again and again, and preparing it is half of the work."""


MAX_SOCKET_SECONDS = 1e6
"""A socket takes no longer time-out than its system can count; nobody waits eleven days for one byte."""


class Call(NamedTuple):
    """A call that is wanted.

    Attributes:
        method: In capitals.
        url: Absolute.
        headers: Of this call alone; they take the place of those of all calls.
        payload: Its body.
        read: Reads the answer in place of the usual way.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    payload: Payload = NOTHING
    read: ReadHook | None = None


class Outgoing(NamedTuple):
    """A call that is ready to be made."""

    session: Session
    prepared: PreparedRequest
    settings: dict[str, Any]

    def send(self, timeout: float) -> Response:
        """Make it; its redirect is not followed."""
        limit = min(timeout, MAX_SOCKET_SECONDS)
        return self.session.send(self.prepared, timeout=limit, allow_redirects=False, **self.settings)


class ReadHook(Protocol):
    """Reads the body of a response."""

    def __call__(self, response: Response, **_: Any) -> None:
        """Put it into the response."""


class OurSession:
    """A session of our own: guarded sockets, no cookies, no .netrc, no repeating.

    The environment (proxies, CA bundle) is looked at once for each URL, and anew in the child after a fork.
    """

    def __init__(self, headers: Mapping[str, str], read: ReadHook) -> None:
        """Set up; nothing is opened."""
        self._headers = headers
        self._read = read
        self._lock = threading.Lock()
        self._life = _Life(fork_count())

    def outgoing(self, call: Call) -> Outgoing:
        """Make a call with all headers ready."""
        life = self._current_life()
        if call.payload is not NOTHING or call.read is not None:
            return self._made_ready(life, call)
        key = (call.method, call.url, *call.headers.items())
        ready = life.ready.get(key)
        if ready is None:
            ready = self._made_ready(life, call)
            life.ready = {**(life.ready if len(life.ready) < MAX_READY else {}), key: ready}
        return ready

    def outgoing_bare(self, call: Call) -> Outgoing:
        """Make a GET to a foreign origin ready."""
        return _bare(self._current_life().session, call, self._read)

    def _made_ready(self, life: _Life, call: Call) -> Outgoing:
        prepared = _prepared(life.session, call, self._headers, self._read, keep_auth=True)
        return Outgoing(life.session, prepared, _settings(life.session, call.url))

    repeats_nothing = True

    def fresh(self) -> OurSession:
        """Make another one like it, without any connection yet; who asked for it closes it."""
        return OurSession(self._headers, self._read)

    def close(self) -> None:
        """Close the idle connections. Those in use are closed by the calls that use them."""
        self._life.session.close()

    def close_idle(self) -> None:
        """Close the idle connections, and go on with new ones."""
        for adapter in self._current_life().adapters:
            adapter.close_idle()

    def _current_life(self) -> _Life:
        if self._life.forks != fork_count():  # a pool that is used on both sides of a fork mixes up the answers
            with self._lock:
                if self._life.forks != fork_count():
                    self._life = _Life(fork_count())
        return self._life


class _Life:
    """Our session in one process, and the calls that are ready in it."""

    def __init__(self, forks: int) -> None:
        self.forks = forks
        self.ready: dict[tuple[Any, ...], Outgoing] = {}
        self.session = Session()
        self.session.headers.clear()
        self.session.cookies = _NoCookies()
        self.adapters = (GuardedAdapter(), GuardedAdapter())
        self.session.mount("http://", self.adapters[0])
        self.session.mount("https://", self.adapters[1])


class CallersSession:
    """The caller's session: its adapters, hooks, cookies and auth, which may differ from call to call."""

    def __init__(self, session: Session, headers: Mapping[str, str], read: ReadHook) -> None:
        """Leave the session as it is."""
        self._session = session
        self._headers = headers
        self._read = read

    def outgoing(self, call: Call) -> Outgoing:
        """Make a call with all headers ready."""
        names = {name.lower() for name in (*self._headers, *call.headers)}
        prepared = _prepared(self._session, call, self._headers, self._read, keep_auth="authorization" in names)
        return Outgoing(self._session, prepared, _settings(self._session, call.url))

    def outgoing_bare(self, call: Call) -> Outgoing:
        """Make a GET to a foreign origin ready."""
        return _bare(self._session, call, self._read)

    @property
    def repeats_nothing(self) -> bool:
        """Whether none of its adapters repeats a call of its own accord."""
        retries = (getattr(adapter, "max_retries", None) for adapter in self._session.adapters.values())
        return all(getattr(one, "total", None) in (None, 0, False) for one in retries)

    def fresh(self) -> CallersSession:
        """Give this one: its connections are its maker's business."""
        return self

    def close(self) -> None:
        """Leave it open: who made it closes it."""

    def close_idle(self) -> None:
        """Do nothing: its connections are its maker's business."""


def _prepared(
    session: Session, call: Call, headers: Mapping[str, str], read: ReadHook, *, keep_auth: bool
) -> PreparedRequest:
    # An explicit auth keeps requests from replacing our credentials by those of a .netrc file.
    auth = _leave_as_it_is if keep_auth else None
    body, type_header = _body_of(call)
    request = requests.Request(call.method, call.url, {**headers, **call.headers, **type_header}, data=body, auth=auth)
    return _with_hook(session.prepare_request(request), call.read or read)


def _body_of(call: Call) -> tuple[Any, dict[str, str]]:
    if call.payload is NOTHING:
        return None, {}
    return call.payload.content, {"Content-Type": call.payload.content_type}


def _bare(session: Session, call: Call, read: ReadHook) -> Outgoing:
    # Not prepared by the session, which may add headers, cookies and auth of its own; nor with its certificate.
    prepared = requests.Request("GET", call.url, dict(call.headers), auth=_leave_as_it_is).prepare()
    return Outgoing(session, _with_hook(prepared, call.read or read), {**_settings(session, call.url), "cert": None})


def _with_hook(prepared: PreparedRequest, read: ReadHook) -> PreparedRequest:
    # In a hook, and before all others: Session.send itself reads the body of a redirect, without any limit.
    prepared.hooks["response"].insert(0, read)
    return prepared


def _settings(session: Session, url: str) -> dict[str, Any]:
    # `verify` is passed on, or a CA bundle of the environment would beat a session's verify=False.
    return dict(session.merge_environment_settings(url, {}, True, session.verify, None))


def _leave_as_it_is(prepared: PreparedRequest) -> PreparedRequest:
    return prepared


class _NoCookies(RequestsCookieJar):
    """Keeps none: a question about a job is the same each time, and looking for cookies in the answer takes time."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Leave them in the answer."""
