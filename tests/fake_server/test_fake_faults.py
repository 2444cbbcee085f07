"""The faults of the fake server: their syntax, their responses, their delivery, and the control API that sets them."""

from __future__ import annotations

import gzip
import json
from email.utils import formatdate
from typing import Any

import pytest
import requests
import urllib3
from hypothesis import given
from hypothesis import strategies as st
from support.fixtures import Clock
from support.random_faults import FAULTS

from fake_server import Fault, InProcessAdapter, Lab, Scenario, create_app, parse_fault
from fake_server.fault_syntax import ACTIONS_WITH_SECONDS, fault_to_dict, to_fault, to_faults
from fake_server.faults import ACTIONS, WIRE_ACTIONS
from fake_server.replies import BOMB_BYTES, Reply
from fake_server.wire import Send, wire_steps

URL = "http://fake.test"
PENDING = {"result": "pending"}


def session_of(*faults: Fault | str, duration: float = 10, sleep: Any = None) -> requests.Session:
    session = requests.Session()
    app = create_app(Scenario(duration, faults=faults))
    session.mount("http://", InProcessAdapter(app, sleep=sleep))
    return session


def send(session: requests.Session, **arguments: Any) -> requests.Response:
    return session.get(f"{URL}/status", **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"nth": True},
        {"nth": 1.5},
        {"every": "2"},
        {"between": (5, 5)},
        {"between": (5, 4)},
        {"between": (-1, 4)},
        {"between": (0, float("inf"))},
        {"between": [0, 4]},
        {"between": 4},
        {"nth": 1, "action": "explode"},
        {"nth": 1, "status_code": 99},
        {"nth": 1, "status_code": 1000},
        {"nth": 1, "status_code": "503"},
        {"nth": 1, "body": b"x"},
        {"nth": 1, "body": "\ud800"},
        {"nth": 1, "seconds": 1e7},
        {"nth": 1, "seconds": 10**400},
        {"between": (0, 10**400)},
        {"nth": 1, "seconds": -1},
        {"nth": 1, "seconds": float("nan")},
        {"nth": 1, "seconds": True},
        {"nth": 1, "headers": ["Retry-After"]},
        {"nth": 1, "headers": {"Retry After": "3"}},
        {"nth": 1, "headers": {"": "3"}},
        {"nth": 1, "headers": {"Retry-After": 3}},
        {"nth": 1, "headers": {"X": "a\r\nY: b"}},
        {"nth": 1, "headers": {"X": "☃"}},
        {"nth": 1, "action": "refuse"},
    ],
)
def test_an_invalid_fault_is_rejected(arguments: dict[str, Any]) -> None:
    """When it is created. The message has the value."""
    with pytest.raises(ValueError, match="got"):
        Fault(**arguments)


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_has_a_short_syntax(action: str) -> None:
    """A status code for `answer`, the name for the others. Only some of them take `@SECONDS`."""
    text = "503" if action == "answer" else action
    takes_seconds = action in ACTIONS_WITH_SECONDS

    assert parse_fault(f"0.5s-2s:{text}{'@3' if takes_seconds else ''}:X-Y=a:b=c") == Fault(
        between=(0.5, 2),
        action=action,  # type: ignore[arg-type]  # one of them
        status_code=503 if action == "answer" else None,
        seconds=3 if takes_seconds else 1,
        headers={"X-Y": "a:b=c"},
    )
    if not takes_seconds:
        with pytest.raises(ValueError, match=f"only {', '.join(ACTIONS_WITH_SECONDS)} can have @SECONDS"):
            parse_fault(f"0.5s-2s:{text}@3")


@given(FAULTS)
def test_a_fault_round_trips_through_json(fault: Fault) -> None:
    """As an object, in a list, and as an option of the command line."""
    written = json.dumps(fault_to_dict(fault))

    assert to_fault(json.loads(written)) == parse_fault(written) == fault
    assert to_faults([json.loads(written), fault]) == (fault, fault)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*fault_to_dict(Fault(nth=1)), "x"]), inner),
)


@pytest.mark.exhaustive
@given(JSON)
def test_any_json_is_a_list_of_faults_or_a_value_error(value: object) -> None:
    """The error has a message."""
    try:
        to_faults(value)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("fault", "status_code", "headers", "body"),
    [
        ("1:404", 404, {"Content-Type": "application/json"}, b'{"error": "scripted fault 404"}\n'),
        ("1:599", 599, {}, b'{"error": "scripted fault 599"}\n'),
        ("1:429:Retry-After=nonsense", 429, {"Retry-After": "nonsense"}, None),
        ("1:204", 204, {}, b""),
        ("1:304", 304, {}, b""),
        ("1:html", 200, {"Content-Type": "text/html; charset=utf-8"}, None),
        ("1:html:Content-Type=text/plain", 200, {"Content-Type": "text/plain"}, None),
        ("1:invalid-json", 200, {"Content-Type": "application/json"}, b'{"result": "comp'),
        ("1:wrong-shape", 200, {}, b'[{"result": 1}]\n'),
        ("1:unknown-word", 200, {}, b'{"result": "polishing"}\n'),
        ('{"nth": 1, "status_code": 418, "body": "täpö", "headers": {"X": "y"}}', 418, {"X": "y"}, "täpö".encode()),
        ('{"nth": 1, "action": "html", "status_code": 502}', 502, {"Content-Type": "text/html; charset=utf-8"}, None),
        ("1:redirect-loop", 302, {"Location": "/_loop"}, b""),
        ("1:redirect-away", 302, {"Location": "http://elsewhere.fake.test/status"}, b""),
    ],
)
def test_each_fault_sends_its_status_code_headers_and_body(
    fault: str, status_code: int, headers: dict[str, str], body: bytes | None
) -> None:
    """The next response is without fault."""
    session = session_of(fault)
    response = send(session, allow_redirects=False)

    assert response.status_code == status_code
    assert headers.items() <= dict(response.headers).items()
    assert body is None or response.content == body
    assert send(session).json() == PENDING


def test_headers_of_a_fault_are_sent_unchanged() -> None:
    """Even headers that HTTP forbids there, and malformed ones."""
    headers = {
        "Content-Type": "a/b",
        "Content-Encoding": "gzip",
        "Content-Length": "5",
        "ETag": "q",
        "Location": "/\xff x[",
    }
    response = send(session_of(Fault(nth=1, status_code=304, headers=headers)), stream=True, allow_redirects=False)

    assert headers.items() <= dict(response.headers).items()


@pytest.mark.parametrize("action", ACTIONS)
def test_a_response_to_a_head_request_has_no_body(action: str) -> None:
    """With any fault. Those without a response raise an exception."""
    fault = Fault(between=(0, 9), action=action, seconds=0)  # type: ignore[arg-type]  # one of them
    session = session_of(fault)
    if action in ("refuse", "drop", "mute", "reset", "reset-in-headers"):
        with pytest.raises(requests.RequestException):
            session.head(f"{URL}/status", stream=True)
        return
    assert session.head(f"{URL}/status", stream=True).raw.read() == b""


def test_a_status_can_go_back_from_completed_to_pending() -> None:
    """By the fault `relapse`, for one response."""
    session = session_of("2:relapse", duration=0)

    assert [send(session).json()["result"] for _ in range(3)] == ["completed", "pending", "completed"]


def test_dates_in_headers_are_relative_to_the_response(clock: Clock) -> None:
    """In the future, and in the past."""
    session = session_of("1:503:Retry-After={date+3}", "2:503:Retry-After={date-60}")
    at = clock().timestamp()

    assert send(session).headers["Retry-After"] == formatdate(at + 3, usegmt=True)
    assert send(session).headers["Retry-After"] == formatdate(at - 60, usegmt=True)


def test_a_redirect_loop_raises_too_many_redirects() -> None:
    """The next request gets a response without fault."""
    session = session_of("1:redirect-loop")

    with pytest.raises(requests.TooManyRedirects):
        send(session)
    assert send(session).json() == PENDING


@pytest.mark.parametrize(
    ("base", "target"),
    [
        ("http://127.0.0.1:5000", "http://localhost:5000/status"),
        ("http://localhost:5000", "http://127.0.0.1:5000/status"),
        ("http://localhost.example", "http://elsewhere.localhost.example/status"),
    ],
)
def test_redirect_away_goes_to_the_other_name_of_loopback(base: str, target: str) -> None:
    """There, the same server responds. For any other host, it is the host below `elsewhere.`."""
    response = session_of("1:redirect-away").get(f"{base}/status", allow_redirects=False)

    assert response.headers["Location"] == target


def test_a_gzip_bomb_is_small_until_it_is_decompressed() -> None:
    """A thousandth of its size."""
    packed = send(session_of("1:gzip-bomb"), stream=True).raw.read(decode_content=False)

    assert len(packed) < BOMB_BYTES / 900
    assert len(gzip.decompress(packed)) == BOMB_BYTES


BROKEN: dict[str, type[Exception]] = {
    "drop": requests.ConnectionError,
    "reset": requests.ConnectionError,
    "reset-in-headers": requests.ConnectionError,
    "reset-after-headers": requests.exceptions.ChunkedEncodingError,
    "truncate-chunked": requests.exceptions.ChunkedEncodingError,
    "invalid-gzip": requests.exceptions.ContentDecodingError,
    "invalid-json": requests.JSONDecodeError,
    "mute": requests.ReadTimeout,
    "late@4": requests.ReadTimeout,
    "drip-headers": requests.ReadTimeout,
    "drip-body": requests.ConnectionError,
}


@pytest.mark.parametrize("action", BROKEN)
def test_in_process_each_delivery_fault_raises_the_exception_of_requests(action: str, clock: Clock) -> None:
    """As on a socket: requests and urllib3 read the same bytes. If nothing comes, it takes the timeout, no longer."""
    session = session_of(f"1:{action}", sleep=clock.tick)
    began = clock()

    with pytest.raises(BROKEN[action]):
        send(session, timeout=3).json()
    waits = "drip" in action or action in ("mute", "late@4")
    assert (clock() - began).total_seconds() == pytest.approx(3 if waits else 0, abs=0.1)
    assert send(session).json() == PENDING


def test_in_process_a_truncated_body_is_shorter_than_its_content_length() -> None:
    """The reader decides whether this is an error: to urllib3 it is one from 2.0 on."""
    response = send(session_of("1:truncate"), stream=True)

    try:
        read = len(response.raw.read())
    except urllib3.exceptions.ProtocolError as error:
        read = len(error.args[1].partial)
    assert 0 < read < int(response.headers["Content-Length"])


def test_in_process_an_endless_body_is_the_response_followed_by_spaces() -> None:
    """Nine million bytes of it are read."""
    response = send(session_of("1:endless"), stream=True)

    assert response.raw.read(9_000_000) == b'{"result": "pending"}\n'.ljust(9_000_000)


@pytest.mark.parametrize(
    ("action", "seconds"),
    [
        ("late@2.5", 2.5),
        ("drip-body@0.5", 11),
        ("drip-body@0", 0),
        ("doubled", 0),
        ("repeated@9", 0),
        ("repeated-late", 0),
    ],
)
def test_in_process_a_delayed_response_takes_its_delay_and_is_correct(
    action: str, seconds: float, clock: Clock
) -> None:
    """`doubled` and the `repeated` faults delay nothing."""
    session = session_of(f"1:{action}", sleep=clock.tick)
    began = clock()

    assert send(session).json() == PENDING
    assert (clock() - began).total_seconds() == pytest.approx(seconds)


@pytest.mark.parametrize(("action", "status_code"), [("early-hints@2", 103), ("processing@2", 102)])
def test_in_process_requests_returns_an_interim_response(action: str, status_code: int, clock: Clock) -> None:
    """As on a socket, where http.client skips only 100."""
    response = send(session_of(f"1:{action}", sleep=clock.tick))

    assert (response.status_code, response.content) == (status_code, b"")


def test_in_process_a_missing_response_is_a_time_out_even_without_a_limit() -> None:
    """So that no test hangs."""
    with pytest.raises(requests.ReadTimeout):
        send(session_of("1:mute"))


def test_connections_are_refused_during_an_interval_of_the_jobs_time(clock: Clock) -> None:
    """Here it starts at the first status request. Refused requests do not arrive, and do not count as responses."""
    lab = Lab(Scenario(3, faults=["0s-2s:refuse", "2:503"]))
    session = requests.Session()
    session.mount(URL, InProcessAdapter(create_app(lab)))

    for _ in range(3):
        with pytest.raises(requests.ConnectionError, match="refused"):
            send(session)
    with pytest.raises(requests.ConnectionError, match="refused"):
        session.post(f"{URL}/jobs")
    clock.tick(2)
    assert send(session).status_code == 503
    assert len(lab.arrivals) == 2


@pytest.mark.parametrize("action", WIRE_ACTIONS)
def test_a_wire_fault_on_another_wsgi_server_raises(action: str) -> None:
    """Breaking a connection takes more than WSGI."""
    app = create_app(Scenario(faults=[Fault(between=(0, 9), action=action)]))  # type: ignore[arg-type]  # one of them
    app.testing = True

    with pytest.raises(RuntimeError, match=f"the fault {action} needs fake_server.Server"):
        app.test_client().get("/status")


def test_text_is_rejected_as_a_list_of_faults() -> None:
    """Each of its characters would be one. Any other iterable is accepted."""
    lab = Lab()
    with pytest.raises(ValueError, match=r"faults must be a list, such as \[\"2:503\"\]; got '2:503'"):
        lab.faults = "2:503"

    lab.faults = (fault for fault in ["2:503"])
    assert lab.faults == (Fault(nth=2, status_code=503),)


@pytest.mark.parametrize("action", ["endless", "truncate-chunked"])
def test_an_endless_body_does_not_begin_with_an_empty_chunk(action: Any) -> None:
    """An empty chunk is the end of a chunked body (RFC 9112, section 7.1)."""
    steps = wire_steps(Reply(200, (), b""), Fault(nth=1, action=action), keep_alive=True)

    first = next(steps)
    assert isinstance(first, Send)
    assert b"\r\n\r\n0\r\n\r\n" not in first.data


def test_the_adapter_accepts_the_arguments_of_any_requests_adapter() -> None:
    """By position too."""
    adapter = InProcessAdapter(create_app(Scenario(faults=["1:mute"])))
    request = requests.Request("GET", f"{URL}/status").prepare()

    with pytest.raises(requests.ReadTimeout):
        adapter.send(request, False, 0.1)
    assert adapter.send(request, stream=True, timeout=1, verify=False, cert=None, proxies={}).status_code == 200


def test_faults_can_be_set_while_the_server_runs(clock: Clock) -> None:
    """In the short syntax, or as JSON objects. Jobs keep their age and their number of responses."""
    session = session_of("2:503")
    assert [fault_to_dict(parse_fault("2:503"))] == session.get(f"{URL}/_control/faults").json()
    send(session)

    put = session.put(f"{URL}/_control/faults", json=["2:404", {"every": 3, "action": "html"}])
    assert [one["status_code"] for one in put.json()] == [404, None]
    assert send(session).status_code == 404
    assert "html" in send(session).headers["Content-Type"]
    clock.tick(10)
    assert send(session).json() == {"result": "completed"}


@pytest.mark.parametrize("body", [b"", b"nonsense", b"{}", b'["nonsense"]', b'[{"nth": 0}]', b"[1]", b"[" * 100_000])
def test_invalid_faults_are_a_400_and_change_nothing(body: bytes) -> None:
    """The response has an error message."""
    session = session_of("1:503")
    response = session.put(f"{URL}/_control/faults", data=body)

    assert response.status_code == 400
    assert response.json()["error"]
    assert send(session).status_code == 503


def test_requests_that_arrived_are_listed_with_their_times(clock: Clock) -> None:
    """In order, as they were sent, without those to the control API."""
    session = session_of("1:503")
    clock.tick(1.5)
    send(session, headers={"Authorization": "Bearer k"}, params={"a b": "ä"})
    clock.tick(1)
    session.post(f"{URL}/jobs", data=b"{}")
    session.get(f"{URL}/status/no/such/route")
    listed = session.get(f"{URL}/_control/requests").json()

    assert [(one["at"], one["method"], one["path"]) for one in listed] == [
        (1.5, "GET", "/status?a+b=%C3%A4"),
        (2.5, "POST", "/jobs"),
        (2.5, "GET", "/status/no/such/route"),
    ]
    assert listed[0]["headers"]["Authorization"] == "Bearer k"
    assert listed[0]["headers"]["Host"] == "fake.test"


def test_a_reset_drops_jobs_and_requests_and_restores_the_faults(clock: Clock) -> None:
    """For a server that a whole test suite shares."""
    session = session_of("1:503", duration=2)
    session.put(f"{URL}/_control/faults", json=[])
    session.post(f"{URL}/jobs")
    send(session)
    clock.tick(2)

    assert session.post(f"{URL}/_control/reset").status_code == 204
    assert session.get(f"{URL}/_control/requests").json() == []
    assert [send(session).status_code, send(session).json()] == [503, PENDING]
    assert session.post(f"{URL}/jobs").json()["id"] == "job-1"


def test_only_the_last_10000_requests_are_kept() -> None:
    """So that the memory of a server that runs for days is bounded."""
    lab = Lab()
    for number in range(10_001):
        lab.record_arrival("GET", f"/{number}", {})

    assert (len(lab.arrivals), lab.arrivals[0].path) == (10_000, "/1")


def test_errors_of_flask_are_json() -> None:
    """A 404 for an unknown path, and a 405 for a wrong method."""
    session = session_of()

    for method, path, code in (("GET", "/nope", 404), ("DELETE", "/status", 405)):
        response = session.request(method, URL + path)
        assert response.status_code == code
        assert response.json()["error"]


@pytest.mark.exhaustive
@given(FAULTS)
def test_any_fault_in_process_is_a_response_or_an_exception_of_requests(fault: Fault) -> None:
    """Or an exception of urllib3, when the body is read.

    Without a session: it raises `ValueError` for a malformed `Location`, even if it follows no redirect.
    """
    adapter = session_of(fault).get_adapter(URL)
    request = requests.Request("GET", f"{URL}/status").prepare()

    for _ in range(2):
        try:
            response = adapter.send(request, stream=True)
            response.raw.read(1000)
        except (requests.RequestException, urllib3.exceptions.HTTPError):
            continue
        is_interim = response.status_code in (102, 103) and fault.action in ("processing", "early-hints")
        assert 200 <= response.status_code <= 999 or fault.status_code is not None or is_interim
