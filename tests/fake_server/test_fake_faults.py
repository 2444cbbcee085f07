"""The faults of the fake server: as data, in what they say, in how they arrive, and as a test in any language sets them."""

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


def ask(session: requests.Session, **arguments: Any) -> requests.Response:
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
def test_a_fault_that_makes_no_sense_is_refused(arguments: dict[str, Any]) -> None:
    """When it is made, with what it got."""
    with pytest.raises(ValueError, match="got"):
        Fault(**arguments)


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_can_be_written_in_short(action: str) -> None:
    """As a status code, or by its name."""
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
def test_a_fault_survives_json(fault: Fault) -> None:
    """As an object, in a list, and as an option of the command line."""
    written = json.dumps(fault_to_dict(fault))

    assert to_fault(json.loads(written)) == parse_fault(written) == fault
    assert to_faults([json.loads(written), fault]) == (fault, fault)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*fault_to_dict(Fault(nth=1)), "x"]), inner),
)


@given(JSON)
def test_any_other_json_is_a_value_error(value: object) -> None:
    """With a sentence."""
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
def test_what_a_fault_says(fault: str, status_code: int, headers: dict[str, str], body: bytes | None) -> None:
    """The status, the headers that matter, the body; and the next answer is right again."""
    session = session_of(fault)
    answer = ask(session, allow_redirects=False)

    assert answer.status_code == status_code
    assert headers.items() <= dict(answer.headers).items()
    assert body is None or answer.content == body
    assert ask(session).json() == PENDING


def test_what_is_scripted_is_sent_as_it_is() -> None:
    """Nobody mends it on its way: neither what HTTP forbids nor what makes no sense."""
    headers = {
        "Content-Type": "a/b",
        "Content-Encoding": "gzip",
        "Content-Length": "5",
        "ETag": "q",
        "Location": "/\xff x[",
    }
    answer = ask(session_of(Fault(nth=1, status_code=304, headers=headers)), stream=True, allow_redirects=False)

    assert headers.items() <= dict(answer.headers).items()


@pytest.mark.parametrize("action", ACTIONS)
def test_the_answer_to_a_head_has_no_body(action: str) -> None:
    """Whatever is wrong with it."""
    fault = Fault(between=(0, 9), action=action, seconds=0)  # type: ignore[arg-type]  # one of them
    session = session_of(fault)
    if action in ("refuse", "drop", "mute", "reset", "reset-in-headers"):
        with pytest.raises(requests.RequestException):
            session.head(f"{URL}/status", stream=True)
        return
    assert session.head(f"{URL}/status", stream=True).raw.read() == b""


def test_a_status_can_go_back_from_completed_to_pending() -> None:
    """The job is finished, says so, and then it is not."""
    session = session_of("2:relapse", duration=0)

    assert [ask(session).json()["result"] for _ in range(3)] == ["completed", "pending", "completed"]


def test_dates_in_headers_are_reckoned_from_the_answer(clock: Clock) -> None:
    """In the future, and in the past."""
    session = session_of("1:503:Retry-After={date+3}", "2:503:Retry-After={date-60}")
    at = clock().timestamp()

    assert ask(session).headers["Retry-After"] == formatdate(at + 3, usegmt=True)
    assert ask(session).headers["Retry-After"] == formatdate(at - 60, usegmt=True)


def test_the_redirect_loop_has_no_end() -> None:
    """As requests finds out; and it is over with the next question."""
    session = session_of("1:redirect-loop")

    with pytest.raises(requests.TooManyRedirects):
        ask(session)
    assert ask(session).json() == PENDING


@pytest.mark.parametrize(
    ("base", "target"),
    [
        ("http://127.0.0.1:5000", "http://localhost:5000/status"),
        ("http://localhost:5000", "http://127.0.0.1:5000/status"),
        ("http://localhost.example", "http://elsewhere.localhost.example/status"),
    ],
)
def test_the_other_origin_is_the_other_name_of_loopback(base: str, target: str) -> None:
    """So that the same server answers there."""
    answer = session_of("1:redirect-away").get(f"{base}/status", allow_redirects=False)

    assert answer.headers["Location"] == target


def test_the_bomb_is_small_until_it_is_unpacked() -> None:
    """A thousandth."""
    packed = ask(session_of("1:gzip-bomb"), stream=True).raw.read(decode_content=False)

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
def test_in_process_a_delivery_breaks_as_on_a_socket(action: str, clock: Clock) -> None:
    """Requests and urllib3 read the same bytes; it takes the time-out where nothing comes, and no longer."""
    session = session_of(f"1:{action}", sleep=clock.tick)
    began = clock()

    with pytest.raises(BROKEN[action]):
        ask(session, timeout=3).json()
    waits = "drip" in action or action in ("mute", "late@4")
    assert (clock() - began).total_seconds() == pytest.approx(3 if waits else 0, abs=0.1)
    assert ask(session).json() == PENDING


def test_in_process_a_truncated_body_is_shorter_than_it_says() -> None:
    """Whether that is an error is for the reader to say: urllib3 says so from 2.0 on."""
    answer = ask(session_of("1:truncate"), stream=True)

    try:
        read = len(answer.raw.read())
    except urllib3.exceptions.ProtocolError as error:
        read = len(error.args[1].partial)
    assert 0 < read < int(answer.headers["Content-Length"])


def test_in_process_an_endless_body_has_no_end() -> None:
    """Read as far as you like."""
    answer = ask(session_of("1:endless"), stream=True)

    assert answer.raw.read(9_000_000).strip() == b'{"result": "pending"}'


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
def test_in_process_a_slow_answer_takes_its_time(action: str, seconds: float, clock: Clock) -> None:
    """And then is right."""
    session = session_of(f"1:{action}", sleep=clock.tick)
    began = clock()

    assert ask(session).json() == PENDING
    assert (clock() - began).total_seconds() == pytest.approx(seconds)


@pytest.mark.parametrize(("action", "status_code"), [("early-hints@2", 103), ("processing@2", 102)])
def test_in_process_an_interim_response_is_what_requests_returns(action: str, status_code: int, clock: Clock) -> None:
    """As on a socket, where http.client skips 100 alone."""
    answer = ask(session_of(f"1:{action}", sleep=clock.tick))

    assert (answer.status_code, answer.content) == (status_code, b"")


def test_in_process_a_server_that_never_answers_is_a_time_out_also_without_a_limit() -> None:
    """A test that hangs helps nobody."""
    with pytest.raises(requests.ReadTimeout):
        ask(session_of("1:mute"))


def test_connections_are_refused_for_a_span_of_the_jobs_time(clock: Clock) -> None:
    """From the first question on here; then all is well. Refused requests never arrived, and are no answers."""
    lab = Lab(Scenario(3, faults=["0s-2s:refuse", "2:503"]))
    session = requests.Session()
    session.mount(URL, InProcessAdapter(create_app(lab)))

    for _ in range(3):
        with pytest.raises(requests.ConnectionError, match="refused"):
            ask(session)
    with pytest.raises(requests.ConnectionError, match="refused"):
        session.post(f"{URL}/jobs")
    clock.tick(2)
    assert ask(session).status_code == 503
    assert len(lab.arrivals) == 2


@pytest.mark.parametrize("action", WIRE_ACTIONS)
def test_a_wsgi_server_of_somebody_else_says_what_it_cannot_do(action: str) -> None:
    """Breaking a connection takes more than WSGI."""
    app = create_app(Scenario(faults=[Fault(between=(0, 9), action=action)]))  # type: ignore[arg-type]  # one of them
    app.testing = True

    with pytest.raises(RuntimeError, match=f"the fault {action} needs fake_server.Server"):
        app.test_client().get("/status")


def test_a_text_is_no_list_of_faults() -> None:
    """Or each of its letters would be one."""
    lab = Lab()
    with pytest.raises(ValueError, match=r"faults must be a list, such as \[\"2:503\"\]; got '2:503'"):
        lab.faults = "2:503"

    lab.faults = (fault for fault in ["2:503"])
    assert lab.faults == (Fault(nth=2, status_code=503),)


@pytest.mark.parametrize("action", ["endless", "truncate-chunked"])
def test_a_body_that_never_ends_does_not_begin_with_its_end(action: Any) -> None:
    """An empty chunk is the end of a chunked body (RFC 9112, section 7.1)."""
    steps = wire_steps(Reply(200, (), b""), Fault(nth=1, action=action), keep_alive=True)

    first = next(steps)
    assert isinstance(first, Send)
    assert b"\r\n\r\n0\r\n\r\n" not in first.data


def test_the_adapter_takes_the_arguments_of_every_adapter() -> None:
    """By position too."""
    adapter = InProcessAdapter(create_app(Scenario(faults=["1:mute"])))
    request = requests.Request("GET", f"{URL}/status").prepare()

    with pytest.raises(requests.ReadTimeout):
        adapter.send(request, False, 0.1)
    assert adapter.send(request, stream=True, timeout=1, verify=False, cert=None, proxies={}).status_code == 200


def test_faults_are_set_while_the_server_runs(clock: Clock) -> None:
    """In short or in full; jobs keep their time and their count."""
    session = session_of("2:503")
    assert [fault_to_dict(parse_fault("2:503"))] == session.get(f"{URL}/_control/faults").json()
    ask(session)

    put = session.put(f"{URL}/_control/faults", json=["2:404", {"every": 3, "action": "html"}])
    assert [one["status_code"] for one in put.json()] == [404, None]
    assert ask(session).status_code == 404
    assert "html" in ask(session).headers["Content-Type"]
    clock.tick(10)
    assert ask(session).json() == {"result": "completed"}


@pytest.mark.parametrize("body", [b"", b"nonsense", b"{}", b'["nonsense"]', b'[{"nth": 0}]', b"[1]", b"[" * 100_000])
def test_faults_that_are_none_are_a_400_and_change_nothing(body: bytes) -> None:
    """With a sentence."""
    session = session_of("1:503")
    answer = session.put(f"{URL}/_control/faults", data=body)

    assert answer.status_code == 400
    assert answer.json()["error"]
    assert ask(session).status_code == 503


def test_what_arrived_is_listed_with_its_time(clock: Clock) -> None:
    """In order, as it was sent; the control routes themselves are not in it."""
    session = session_of("1:503")
    clock.tick(1.5)
    ask(session, headers={"Authorization": "Bearer k"}, params={"a b": "ä"})
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


def test_a_reset_starts_anew(clock: Clock) -> None:
    """No jobs, no requests, the faults of the beginning: for a server that a whole suite shares."""
    session = session_of("1:503", duration=2)
    session.put(f"{URL}/_control/faults", json=[])
    session.post(f"{URL}/jobs")
    ask(session)
    clock.tick(2)

    assert session.post(f"{URL}/_control/reset").status_code == 204
    assert session.get(f"{URL}/_control/requests").json() == []
    assert [ask(session).status_code, ask(session).json()] == [503, PENDING]
    assert session.post(f"{URL}/jobs").json()["id"] == "job-1"


def test_what_is_remembered_has_a_limit() -> None:
    """A server that runs for days fills no memory."""
    lab = Lab()
    for number in range(10_001):
        lab.record_arrival("GET", f"/{number}", {})

    assert (len(lab.arrivals), lab.arrivals[0].path) == (10_000, "/1")


def test_errors_of_the_server_are_json_too() -> None:
    """Also those that Flask words."""
    session = session_of()

    for method, path, code in (("GET", "/nope", 404), ("DELETE", "/status", 405)):
        answer = session.request(method, URL + path)
        assert answer.status_code == code
        assert answer.json()["error"]


@given(FAULTS)
def test_any_fault_of_any_kind_is_played_in_process(fault: Fault) -> None:
    """As an answer, or as an exception of requests; never as anything else.

    Without a session: it raises `ValueError` for a malformed `Location`, even if it follows no redirect.
    """
    adapter = session_of(fault).get_adapter(URL)
    request = requests.Request("GET", f"{URL}/status").prepare()

    for _ in range(2):
        try:
            answer = adapter.send(request, stream=True)
            answer.raw.read(1000)
        except (requests.RequestException, urllib3.exceptions.HTTPError):
            continue
        is_interim = answer.status_code in (102, 103) and fault.action in ("processing", "early-hints")
        assert 200 <= answer.status_code <= 999 or fault.status_code is not None or is_interim
