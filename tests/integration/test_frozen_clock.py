"""Under freezegun, each request and each wait still ends by its limits, on real sockets.

The calls of a table run in parallel, each in a thread of its own, while the clock is frozen. A call that does not end
fails its own test and blocks no other.
"""

from __future__ import annotations

import asyncio
import io
import math
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import freezegun
import pytest
import requests
from freezegun import freeze_time
from support.ends_soon import LASTS_LONG
from support.file_servers import link
from support.fixtures import SilentLogger
from support.hostile_server import Handler, Server, answering, dead_addresses, dripping, http, mute, serving
from support.tls_servers import drip_tls, serving_raw
from tenacity.stop import stop_after_delay
from tenacity.wait import wait_fixed

from translation_client import (
    AsyncVideoTranslationClient,
    Job,
    RequestFailed,
    RetriesExhausted,
    TranslationClientError,
    TranslationStatus,
    VideoTranslationClient,
    WaitTimeout,
)
from translation_client._cli.terminal import StatusLine
from translation_client._clock import Deadline, Stopwatch
from translation_client._models import Request
from translation_client._transports.base import TransportConfig, run_sync
from translation_client._transports.cancel_scope import CallTimeout
from translation_client._transports.requests import RequestsTransport
from translation_client._transports.slots import Slots

FROZEN_AT = "2026-11-23T09:00:00"

CALL, WHOLE = 0.2, 0.4
"""Seconds of `request_timeout` for one request, and of `timeout` for all of a wait."""

DRIPS = 4.0
"""Seconds of `request_timeout` for a download that drips every 0.05 s: a busy machine may not cause such a gap."""

WATCHDOG_SECONDS = 0.75 * LASTS_LONG
"""After so many seconds a call counts as one that never ends; on a machine that is not busy, each takes seconds."""

USUAL_INSPECTION_LIMIT = 5
"""Frames in which freezegun looks for modules that get the real time: its default, which `conftest.py` changes."""

KEY = "key-0123456789"
LANGUAGES = http("200 OK", b'{"data": {"languages": ["Spanish (Spain)"]}}')
NO_SLOT = http("429 Too Many Requests", b'{"error": {"code": "rate_limit_exceeded", "message": "too many"}}')
NOT_YET = http("425 Too Early", b"{}")
HEYGEN_PENDING = http("200 OK", b'{"data": {"status": "running"}}')
PENDS: Handler = answering(http(), close=False)
FILE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: 100000\r\n\r\n"


class Ended(NamedTuple):
    """How a call ended, and after how many real seconds."""

    outcome: Any
    took: float


class Limit(NamedTuple):
    """The error that a call has to end with, and the seconds before which it may not end."""

    error: type[BaseException]
    least: float


class Places:
    """The URLs of servers that never finish a job or a response, by what they do."""

    def __init__(self, opened: ExitStack) -> None:
        handlers: dict[str, Handler] = {
            "mute": mute,
            "headers": dripping(b"HTTP/1.1 200 OK\r\nX-Drip: ", b"x", every=0.05),
            "endless headers": dripping(b"HTTP/1.1 200 OK\r\n", b"X-Drip: x\r\n", every=0.05),
            "body": dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x", every=0.05),
            "file": dripping(FILE_HEAD, b"x" * 64, every=0.05),
            "file that stops": dripping(FILE_HEAD + b"x" * 64, b"", every=0.5),
            "pending": PENDS,
            "running": answering(HEYGEN_PENDING, close=False),
            "no slot": answering(LANGUAGES, NO_SLOT, close=False),
            "not yet": answering(NOT_YET, close=False),
        }
        self._urls = {name: opened.enter_context(serving(handle)).url for name, handle in handlers.items()}
        self._urls["tls"] = opened.enter_context(serving_raw(mute)).url
        self._urls["tls drip"] = opened.enter_context(serving_raw(drip_tls)).url
        self._urls["dead"] = f"http://127.0.0.1:{opened.enter_context(dead_addresses('127.0.0.1'))}"
        self._urls["full"] = f"http://127.0.0.1:{opened.enter_context(unread()).getsockname()[1]}"
        self._urls["dns"], self._urls["proxied"] = "http://stuck.test", "https://proxied.test"

    def __getitem__(self, name: str) -> str:
        return self._urls[name]


@contextmanager
def unread() -> Iterator[socket.socket]:
    """A listener that accepts nothing: the system takes connections, and the bytes that fit into its buffers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@contextmanager
def places_opened() -> Iterator[Places]:
    """Run the servers, with a name that is never resolved, and a proxy that never responds."""
    release = threading.Event()
    lookup = socket.getaddrinfo

    def stuck(host: Any, *rest: Any, **more: Any) -> Any:
        if host == "stuck.test":
            release.wait(LASTS_LONG)
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return lookup(host, *rest, **more)

    with ExitStack() as opened, pytest.MonkeyPatch.context() as patch:
        opened.callback(release.set)
        patch.setattr(socket, "getaddrinfo", stuck)
        patch.setattr(freezegun.api, "call_stack_inspection_limit", USUAL_INSPECTION_LIMIT)
        patch.setenv("https_proxy", opened.enter_context(serving(mute)).url)
        patch.setenv("no_proxy", "127.0.0.1,stuck.test")
        yield Places(opened)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file larger than the buffers of a connection; it is sparse, so that it takes no time to make."""
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    with path.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    return path


def real_seconds() -> float:
    """Return the real time. It is looked up at each call: freezegun replaces what a module has imported by name."""
    seconds: float = freezegun.api.real_monotonic()
    return seconds


def ran_side_by_side(calls: dict[str, Callable[[], Any]]) -> dict[str, Ended]:
    """Run each call in a thread. Those that never end are missing in the result."""
    ended: dict[str, Ended] = {}

    def run(name: str) -> None:
        began_at = real_seconds()
        try:
            outcome = calls[name]()
        except BaseException as error:  # noqa: BLE001  # the test looks at it
            outcome = error
        ended[name] = Ended(outcome, real_seconds() - began_at)

    threads = [threading.Thread(target=run, args=(name,), daemon=True) for name in calls]
    for thread in threads:
        thread.start()
    patience = real_seconds() + WATCHDOG_SECONDS
    for thread in threads:
        thread.join(max(0.0, patience - real_seconds()))
    return ended


def ends_by_itself(call: Callable[[], Any]) -> Ended:
    """Run one call with the same watchdog."""
    ended = ran_side_by_side({"it": call})
    assert ended, "it did not end"
    return ended["it"]


def client_of(url: str, service: str = "reference", **arguments: Any) -> VideoTranslationClient:
    path = "/videotranslation" if service == "azure" else ""
    usual = {"service": service, "api_key": KEY, "timeout": WHOLE, "logger": SilentLogger(), "backoff_factor": 0.05}
    client = VideoTranslationClient(url + path, **{**usual, **arguments})
    OPENED.append(client)
    return client


OPENED: list[VideoTranslationClient] = []
"""The clients of the table. `close` cancels what hangs in one."""


def job_of(service: str, url: str) -> Job:
    """A completed job, with its file at some URL."""
    result_url = f"{url}/file" if service == "heygen" else None
    return Job("j", TranslationStatus.COMPLETED, "done", result_url=result_url, language="es")


# Calls that end by `timeout`, and those that end by `request_timeout` and may have no second fault.
BY_TIMEOUT = Limit(WaitTimeout, WHOLE)
BY_CALL = Limit(RequestFailed, CALL)
LAST_CHECK = Limit(WaitTimeout, WHOLE / 4)
"""A wait for a pending job ends after its last check, which is the earlier the slower the machine responds."""
ONE_CALL: dict[str, Any] = {"timeout": 60, "request_timeout": CALL, "max_faults": 1}

LIMITS: dict[str, Limit] = {}
CALLS: dict[str, Callable[[Places, Path, Path], Any]] = {}

Doing = Callable[[Places, Path, Path], Any]


def case(name: str, limit: Limit) -> Callable[[Doing], Doing]:
    """Add a call to the table. It gets the servers, a file to upload, and a folder."""

    def keep(do: Doing) -> Doing:
        LIMITS[name], CALLS[name] = limit, do
        return do

    return keep


def _each_place(place: str) -> None:
    case(f"check: {place}", BY_TIMEOUT)(lambda places, *_: client_of(places[place]).check("j"))
    case(f"one call: {place}", BY_CALL)(lambda places, *_: client_of(places[place], **ONE_CALL).check("j"))


for _place in ("mute", "headers", "endless headers", "body", "tls", "tls drip", "dead", "dns", "proxied"):
    _each_place(_place)

case("wait", BY_TIMEOUT)(lambda places, *_: client_of(places["mute"]).wait("j"))
case("get_status", BY_TIMEOUT)(lambda places, *_: client_of(places["mute"]).get_status())
case("watch", BY_TIMEOUT)(lambda places, *_: list(client_of(places["mute"]).watch("j")))
case("check_all", BY_TIMEOUT)(lambda places, *_: client_of(places["mute"]).check_all(["j", "k"]))
case("check_all by itself", BY_TIMEOUT)(
    lambda places, *_: client_of(places["mute"], "elevenlabs").check_all(["j", "k"])
)
case("languages", BY_TIMEOUT)(lambda places, *_: client_of(places["mute"], "heygen").languages())
case("delete", BY_TIMEOUT)(lambda places, *_: client_of(places["mute"], "heygen").delete("j"))
case("submit", Limit(TranslationClientError, WHOLE))(
    lambda places, *_: client_of(places["mute"], "elevenlabs").submit("https://videos.test/a.mp4", "es")
)
case("submit: its languages", BY_TIMEOUT)(
    lambda places, *_: client_of(places["mute"], "heygen").submit("https://videos.test/a.mp4", "Spanish (Spain)")
)
case("submit: no free slot", LAST_CHECK)(
    lambda places, *_: client_of(places["no slot"], "heygen").submit(
        "https://videos.test/a.mp4", "Spanish (Spain)", queue=True
    )
)
case("submit: a file that is not read", Limit(RequestFailed, CALL))(
    lambda places, film, _: client_of(places["full"], "elevenlabs", **ONE_CALL).submit(film, "es")
)
case("download: nothing comes", Limit(RequestFailed, CALL))(
    lambda places, _, folder: client_of(places["mute"], "elevenlabs", **ONE_CALL).download(
        job_of("elevenlabs", places["mute"]), folder / "a"
    )
)
case("download: it stops in the middle", Limit(RequestFailed, CALL))(
    lambda places, _, folder: client_of(places["mute"], "heygen", **ONE_CALL).download(
        job_of("heygen", places["file that stops"]), folder / "b"
    )
)
case("download: it drips", BY_TIMEOUT)(
    lambda places, _, folder: client_of(places["mute"], "heygen", request_timeout=DRIPS, max_faults=1).download(
        job_of("heygen", places["file"]), folder / "c", timeout=1.5 * DRIPS
    )
)
case("download: it is not there yet", LAST_CHECK)(
    lambda places, _, folder: client_of(places["not yet"], "elevenlabs").download(
        job_of("elevenlabs", places["not yet"]), folder / "d"
    )
)
case("download: its status", BY_TIMEOUT)(
    lambda places, _, folder: client_of(places["mute"]).download("j", folder / "e", timeout=WHOLE)
)

# Waits for a job that stays pending: no request hangs, and all of the time is spent in sleeps.
PENDING: dict[str, Any] = {"max_retries": math.inf}
case("pending", LAST_CHECK)(lambda places, *_: client_of(places["running"], "heygen").wait("j"))
case("pending: watch", LAST_CHECK)(lambda places, *_: list(client_of(places["pending"], **PENDING).watch("j")))
case("pending: with cancel", LAST_CHECK)(
    lambda places, *_: client_of(places["pending"], **PENDING).wait("j", cancel=threading.Event())
)
case("pending: time.sleep", LAST_CHECK)(
    lambda places, *_: client_of(places["pending"], sleep=threading.Event().wait, **PENDING).wait("j")
)
case("pending: stop", Limit(RetriesExhausted, CALL))(
    lambda places, *_: client_of(places["pending"], timeout=60, stop=stop_after_delay(CALL), **PENDING).wait("j")
)
case("pending: a session of the caller's", LAST_CHECK)(
    lambda places, *_: client_of(places["pending"], session=requests.Session(), **PENDING).wait("j")
)
case("pending: learned", LAST_CHECK)(
    lambda places, *_: client_of(places["pending"], history=True, check_cost=0.02, **PENDING).wait("j")
)


def _all_of(place: str, service: str = "reference", **arguments: Any) -> Doing:
    def do(places: Places, *_: Any) -> Any:
        outcomes = client_of(places[place], service, **arguments).wait_all(["j", "k", "l"])
        assert len(outcomes) == 3
        assert len({type(outcome) for outcome in outcomes}) == 1
        return outcomes[0]

    return do


def _first_completed(places: Places, *_: Any) -> Any:
    for outcome in client_of(places["mute"]).as_completed(["j", "k"]):
        return outcome
    return None


case("as_completed", BY_TIMEOUT)(_first_completed)
case("wait_all", BY_TIMEOUT)(_all_of("mute"))
case("wait_all: one call", BY_CALL)(_all_of("mute", **ONE_CALL))
case("wait_all: in bulk", BY_TIMEOUT)(_all_of("mute", "heygen"))
case("wait_all: headers", BY_TIMEOUT)(_all_of("endless headers"))
case("wait_all: dns", BY_TIMEOUT)(_all_of("dns"))
case("wait_all: pending", LAST_CHECK)(_all_of("pending", **PENDING))
case("wait_all: pending in bulk", LAST_CHECK)(_all_of("running", "heygen", **PENDING))
case("wait_all: stop", Limit(RetriesExhausted, CALL))(
    _all_of("pending", timeout=60, stop=stop_after_delay(CALL), **PENDING)
)
case("wait_all: a session of the caller's", LAST_CHECK)(_all_of("pending", session=requests.Session(), **PENDING))


@pytest.fixture(scope="module")
def ended(film: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """The results of all calls of the table, made in parallel."""
    folder = tmp_path_factory.mktemp("results")

    def bound(do: Doing) -> Callable[[], Any]:
        return lambda: do(places, film, folder)

    with places_opened() as places, freeze_time(FROZEN_AT):
        ended = dict(ran_side_by_side({name: bound(do) for name, do in CALLS.items()}))
        while OPENED:
            OPENED.pop().close()
    return ended


@pytest.mark.parametrize("name", CALLS)
def test_a_call_ends_by_its_limits_on_a_frozen_clock(name: str, ended: dict[str, Ended]) -> None:
    """With the error that it has on a running clock. `elapsed` has the real seconds."""
    assert name in ended, "it did not end"
    outcome, took = ended[name]
    error, least = LIMITS[name]

    assert isinstance(outcome, error), repr(outcome)
    assert isinstance(outcome, TranslationClientError)
    assert outcome.elapsed is not None
    assert least - 0.05 <= outcome.elapsed <= took
    assert took >= least - 0.05


AWAITED: dict[str, tuple[Limit, Callable[[AsyncVideoTranslationClient, Path], Awaitable[Any]], str, dict[str, Any]]] = {
    "check": (BY_TIMEOUT, lambda client, _: client.check("j"), "mute", {}),
    "check: one call": (BY_CALL, lambda client, _: client.check("j"), "mute", ONE_CALL),
    "check: headers": (BY_TIMEOUT, lambda client, _: client.check("j"), "endless headers", {}),
    "check: dns": (BY_TIMEOUT, lambda client, _: client.check("j"), "dns", {}),
    "check: tls": (BY_TIMEOUT, lambda client, _: client.check("j"), "tls", {}),
    "pending": (LAST_CHECK, lambda client, _: client.wait("j"), "pending", PENDING),
    "pending: with cancel": (
        LAST_CHECK,
        lambda client, _: client.wait("j", cancel=asyncio.Event()),
        "pending",
        PENDING,
    ),
    "pending: sleep": (
        LAST_CHECK,
        lambda client, _: client.wait("j"),
        "pending",
        {**PENDING, "sleep": asyncio.sleep},
    ),
    "wait_all": (BY_TIMEOUT, lambda client, _: _first_of(client.wait_all(["j", "k"])), "mute", {}),
    "wait_all: pending": (LAST_CHECK, lambda client, _: _first_of(client.wait_all(["j", "k"])), "pending", PENDING),
    "download: it drips": (
        BY_TIMEOUT,
        lambda client, folder: client.download("j", folder / "f", timeout=1.5 * DRIPS),
        "linked",
        {"request_timeout": DRIPS, "max_faults": 1, "timeout": 60},
    ),
}


async def _first_of(outcomes: Awaitable[Any]) -> Any:
    return (await outcomes)[0]


def test_the_asyncio_client_ends_by_its_limits_with_real_asyncio(tmp_path: Path) -> None:
    """`real_asyncio=True` of freezegun leaves real time to the event loop."""

    async def timed(awaited: Callable[[], Awaitable[Any]]) -> Ended:
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        try:
            outcome = await awaited()
        except Exception as error:  # noqa: BLE001  # the test looks at it
            outcome = error
        return Ended(outcome, loop.time() - began_at)

    async def one(name: str, places: Places, linked: str) -> Ended:
        _, do, place, arguments = AWAITED[name]
        usual = {"timeout": WHOLE, "logger": SilentLogger(), "backoff_factor": 0.05, "api_key": KEY}
        url = linked if place == "linked" else places[place]
        async with AsyncVideoTranslationClient(url, **{**usual, **arguments}) as client:
            return await timed(lambda: do(client, tmp_path))

    async def all_of_them(places: Places, linked: str) -> dict[str, Ended]:
        return dict(zip(AWAITED, await asyncio.gather(*(one(name, places, linked) for name in AWAITED)), strict=True))

    def drip(connection: socket.socket, server: Server) -> None:
        is_file = b"/file" in server.requests[-1].split(b"\r\n")[0]
        status = answering(http("200 OK", link(server.url)), close=False)
        (dripping(FILE_HEAD, b"x" * 64, every=0.05) if is_file else status)(connection, server)

    with places_opened() as places, serving(drip) as server, freeze_time(FROZEN_AT, real_asyncio=True):
        ended = ends_by_itself(lambda: asyncio.run(all_of_them(places, server.url))).outcome

    assert isinstance(ended, dict), repr(ended)
    for name, (outcome, took) in ended.items():
        error, least = AWAITED[name][0]
        assert isinstance(outcome, error), (name, outcome)
        assert isinstance(outcome, TranslationClientError)
        assert outcome.elapsed is not None
        assert least - 0.05 <= outcome.elapsed <= took, name


class Waited(NamedTuple):
    """How a wait ended: its `elapsed`, the real seconds, and the error."""

    elapsed: float
    took: float
    error: WaitTimeout


def timed_out(ended: Ended) -> Waited:
    """Return the result of a wait, which has to be a `WaitTimeout`."""
    error = ended.outcome
    assert isinstance(error, WaitTimeout), repr(error)
    assert error.elapsed is not None
    return Waited(error.elapsed, ended.took, error)


@pytest.fixture
def _as_for_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freezegun.api, "call_stack_inspection_limit", USUAL_INSPECTION_LIMIT)


pytestmark = [pytest.mark.covered, pytest.mark.usefixtures("_as_for_users")]

HANGS: dict[str, tuple[Handler, float]] = {"in a call": (mute, BY_TIMEOUT.least), "asleep": (PENDS, LAST_CHECK.least)}
MIDDLE = pytest.mark.parametrize("hangs", HANGS)


def waited(hangs: str, in_the_middle: Callable[[], Any] = lambda: None, **arguments: Any) -> Waited:
    """Wait in a thread, and call a function during the wait."""
    handle = HANGS[hangs][0]

    def happen() -> None:
        threading.Event().wait(WHOLE / 5)
        in_the_middle()

    with serving(handle) as server, client_of(server.url, **{**PENDING, **arguments}) as client:
        ended = ran_side_by_side({"wait": lambda: client.wait("j"), "happen": happen})
    assert "wait" in ended, "it did not end"
    assert ended["happen"].outcome is None
    return timed_out(ended["wait"])


@MIDDLE
@pytest.mark.parametrize("how", [{"tick": True}, {"auto_tick_seconds": 1e-4}])
def test_a_frozen_clock_that_ticks_is_not_added_to_real_time(how: dict[str, Any], hangs: str) -> None:
    """The larger of the two counts, and not the sum."""
    with freeze_time(FROZEN_AT, **how):
        wait = waited(hangs)

    assert wait.elapsed >= HANGS[hangs][1] - 0.05
    assert wait.took >= HANGS[hangs][1] - 0.1


@MIDDLE
def test_a_freeze_that_begins_during_a_wait_does_not_move_its_deadline(hangs: str) -> None:
    """The frozen clock shows another time, none of which counts as elapsed."""
    with ExitStack() as frozen:
        wait = waited(hangs, lambda: frozen.enter_context(freeze_time(FROZEN_AT)))

    assert HANGS[hangs][1] - 0.05 <= wait.elapsed <= wait.took


@MIDDLE
def test_a_freeze_that_ends_during_a_wait_does_not_move_its_deadline(hangs: str) -> None:
    """The clock jumps back by decades, and goes on."""
    with ExitStack() as frozen:
        frozen.enter_context(freeze_time(FROZEN_AT))
        wait = waited(hangs, frozen.close)

    assert HANGS[hangs][1] - 0.05 <= wait.elapsed <= wait.took


@MIDDLE
def test_a_frozen_clock_that_is_moved_back_does_not_lengthen_a_wait(hangs: str) -> None:
    """Real seconds go on."""
    with freeze_time(FROZEN_AT) as frozen:
        wait = waited(hangs, lambda: frozen.move_to("2026-11-23T08:00:00"))

    assert HANGS[hangs][1] - 0.05 <= wait.elapsed <= wait.took


@MIDDLE
def test_a_frozen_clock_that_is_moved_forward_counts_as_elapsed(hangs: str) -> None:
    """An hour by the clock ends a wait whose limits are half an hour."""
    with freeze_time(FROZEN_AT) as frozen:
        wait = waited(hangs, lambda: frozen.tick(3600), timeout=1800, request_timeout=1800)

    assert 3600 <= wait.elapsed < 3600 + WATCHDOG_SECONDS


@MIDDLE
def test_a_frozen_clock_that_is_moved_forward_ends_the_waits_of_a_batch(hangs: str) -> None:
    """The event loop of a batch runs on real time; its deadlines go by the larger of the two, too."""

    def happen() -> None:
        threading.Event().wait(WHOLE / 5)
        frozen.tick(3600)

    arguments = {"timeout": 1800, "request_timeout": 1800, "max_delay": 0.1, **PENDING}
    with (
        serving(HANGS[hangs][0]) as server,
        client_of(server.url, **arguments) as client,
        freeze_time(FROZEN_AT) as frozen,
    ):
        ended = ran_side_by_side({"wait": lambda: client.wait_all(["j", "k"]), "happen": happen})

    assert "wait" in ended, "it did not end"
    assert len(ended["wait"].outcome) == 2
    for outcome in ended["wait"].outcome:
        assert 3600 <= timed_out(Ended(outcome, 0.0)).elapsed < 3600 + WATCHDOG_SECONDS


def test_sixty_waits_in_parallel_count_only_their_own_seconds() -> None:
    """Their sleeps, which are at the same time, do not add up."""
    with (
        serving(PENDS) as server,
        client_of(server.url, backoff_factor=0.2, **PENDING) as client,
        freeze_time(FROZEN_AT),
    ):
        ended = ran_side_by_side({str(number): lambda: client.wait("j") for number in range(60)})

    assert len(ended) == 60
    for wait in map(timed_out, ended.values()):
        assert LAST_CHECK.least - 0.05 <= wait.elapsed <= wait.took


def test_a_late_response_is_accepted_on_a_frozen_clock() -> None:
    """`elapsed` has the seconds that it took."""

    def late(connection: socket.socket, server: Server) -> None:
        server.pause(0.2)
        connection.sendall(http("200 OK", b'{"result": "completed"}'))

    with serving(late) as server, client_of(server.url, timeout=LASTS_LONG) as client, freeze_time(FROZEN_AT):
        job, took = ends_by_itself(lambda: client.wait("j"))

    assert isinstance(job, Job), repr(job)
    assert 0.15 <= job.elapsed <= took


@pytest.mark.parametrize("handle", [mute, drip_tls], ids=["mute", "dripping"])
def test_request_timeout_ends_a_tls_handshake_with_a_proxy(handle: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its seconds count, though its socket is not one of the client's own yet."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving_raw(handle) as proxy, client_of("https://service.test", **ONE_CALL) as client, freeze_time(FROZEN_AT):
        monkeypatch.setenv("https_proxy", proxy.url)
        error, took = ends_by_itself(lambda: client.check("j"))

    assert isinstance(error, RequestFailed), repr(error)
    assert error.elapsed is not None
    assert CALL - 0.05 <= error.elapsed <= took


@pytest.mark.parametrize("cancel", [None, threading.Event()], ids=["alone", "with cancel"])
def test_a_sleep_counts_the_real_seconds_that_it_took(cancel: threading.Event | None) -> None:
    """Next to none once the client is closed."""
    line = RequestsTransport(TransportConfig("http://fake.test", user_agent="t", headers={}, request_timeout=5))

    def slept(seconds: float) -> float:
        watch = Stopwatch()
        run_sync(line.sleep(seconds, cancel, watch))
        return watch.elapsed

    with freeze_time(FROZEN_AT):
        elapsed, took = ends_by_itself(lambda: slept(0.1))
        assert 0.09 <= elapsed <= took
        line.close()
        elapsed, took = ends_by_itself(lambda: slept(3600))
        assert elapsed <= took


def test_the_status_line_of_a_terminal_shows_the_elapsed_seconds() -> None:
    """During a sleep of 1.05 s, which ends."""
    with freeze_time(FROZEN_AT):
        screen = io.StringIO()
        ended = ends_by_itself(lambda: StatusLine(screen, 60).sleep(1.05))

    assert ended.outcome is None, ended.outcome
    assert ended.took >= 1
    assert " · 1 of 60 s" in screen.getvalue()


@pytest.mark.parametrize("is_busy", [False, True], ids=["in a call", "without a free connection"])
def test_a_request_of_the_asyncio_client_has_what_is_left_of_the_deadline(is_busy: bool) -> None:
    """Of an hour, all but 0.2 s of which was spent before."""

    async def send(url: str) -> None:
        async with AsyncVideoTranslationClient(url, request_timeout=3600) as client:
            transport: Any = client._transport
            transport._slots = Slots(0 if is_busy else 1)
            deadline = Deadline.after(3600)
            deadline.stopwatch.add(3600 - CALL)
            await transport.send(Request("GET", "/status"), deadline, lambda: False, new_connection=False)

    with serving(mute) as server, freeze_time(FROZEN_AT, real_asyncio=True):
        ended = ends_by_itself(lambda: asyncio.run(send(server.url)))

    assert isinstance(ended.outcome, CallTimeout), repr(ended.outcome)
    assert ended.took >= CALL - 0.05


def test_a_hundred_short_sleeps_of_a_batch_keep_their_length() -> None:
    """Sleeps of 0.03 s between 101 checks."""
    responses = [http()] * 100 + [http("200 OK", b'{"result": "completed"}')]
    with (
        serving(answering(*responses, close=False)) as server,
        client_of(server.url, timeout=0.9 * WATCHDOG_SECONDS, wait=wait_fixed(0.03), **PENDING) as client,
        freeze_time(FROZEN_AT),
    ):
        ended = ends_by_itself(lambda: client.wait_all(["j"]))

    [job] = ended.outcome
    assert isinstance(job, Job), repr(job)
    assert job.checks == 101
    assert 2.9 <= job.elapsed <= ended.took
