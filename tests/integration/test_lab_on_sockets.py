"""The fake server on a real socket: faults, connections, `close`, its command, and its pytest fixture for users."""

from __future__ import annotations

import errno
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from freezegun import freeze_time
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ends_soon import LASTS_LONG, ends_soon
from support.fault_table import ROWS
from support.fixtures import ServerTime
from support.open_resources import is_nothing_more_open, open_resources

from fake_server import InProcessAdapter, Scenario, Server, create_app
from fake_server.storage import result_body

pytestmark = pytest.mark.covered

REQUEST = b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n"
PENDING = b'{"result": "pending"}\n'


LINES = st.sampled_from(
    [
        b"Host: x",
        b"Host: [",
        b"Content-Length: 5",
        b"Content-Length: x",
        b"Content-Length: " + b"1" * 5000,
        b"Transfer-Encoding: chunked",
        b"Expect: 100-continue",
        b"Connection: close",
        b": nameless",
        b"\xff\xfe: \xff",
        b"no colon",
        b" folded",
    ]
)

REQUESTS = st.one_of(
    st.binary(max_size=200),
    st.builds(
        lambda method, target, version, lines, rest: (
            b"%b %b HTTP/%b\r\n" % (method, target, version) + b"\r\n".join([*lines, b"", b""]) + rest
        ),
        st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"TRACE", b"get"]),
        st.sampled_from(
            [b"/status", b"//", b"*", b"http://[", b"/jobs", b"/_control/faults", b"/%ff", b"/?%", b"/_loop"]
        ),
        st.sampled_from([b"1.1", b"1.0", b"0.9", b"9", b"x"]),
        st.lists(LINES | st.binary(max_size=20), max_size=4),
        st.binary(max_size=30),
    ),
)


def connected(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=LASTS_LONG)


def received(connection: socket.socket, size: int = 1_000_000, end: bytes | None = None) -> bytes:
    """Read until the connection is closed, or a size or an end is reached: one `recv` may return half of a response."""
    data = b""
    while len(data) < size and not (end and data.endswith(end)) and (part := connection.recv(65536)):
        data += part
    return data


def raw_response(server: Server, request: bytes = REQUEST, size: int = 1_000_000) -> bytes:
    """Send a request, and return all bytes that come until the connection is closed or a size is reached."""
    with connected(server) as connection:
        connection.sendall(request)
        return received(connection, size)


def is_serving(server: Server) -> bool:
    """Return True if a request on a new connection gets a response."""
    with connected(server) as connection:
        connection.sendall(REQUEST)
        return received(connection, end=PENDING).endswith(PENDING)


def eventually(condition: Callable[[], bool]) -> bool:
    """Wait until a condition is true, and return it: threads end a little after their sockets."""
    until = time.monotonic() + LASTS_LONG
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


def test_a_connection_is_kept_for_the_next_request() -> None:
    """Unless the request has `Connection: close`."""
    with Server() as server, connected(server) as connection:
        for _ in range(3):
            connection.sendall(REQUEST)
            assert received(connection, end=PENDING).startswith(b"HTTP/1.1 200 OK\r\n")
        connection.sendall(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert b"Connection: close" in received(connection)


@pytest.mark.parametrize(
    ("fault", "begin", "end"),
    [
        ("truncate", b"HTTP/1.1 200 OK\r\n", b'\r\n\r\n{"result": '),
        ("truncate-chunked", b"HTTP/1.1 200 OK\r\n", b'\r\n\r\n16\r\n{"result": '),
        ("drip-headers@0.001", b"HTTP/1.1 200 OK\r\n", b'{"result": "pending"}\n'),
        ("drip-headers@0", b"HTTP/1.1 200 OK\r\n", b'{"result": "pending"}\n'),
        ("drip-body@0.001", b"HTTP/1.1 200 OK\r\n", b'{"result": "pending"}\n'),
        ("late@0.05", b"HTTP/1.1 200 OK\r\n", b'{"result": "pending"}\n'),
        ("drop", b"", b""),
        ("204:Connection=close", b"HTTP/1.1 204 No Content\r\n", b"\r\n\r\n"),
        ("799:Connection=close", b"HTTP/1.1 799 Unknown\r\n", b"}\n"),
    ],
)
def test_a_fault_sends_its_bytes_and_closes_the_connection(fault: str, begin: bytes, end: bytes) -> None:
    """The next connection is served."""
    with Server(Scenario(faults=[f"1:{fault}"])) as server:
        response = raw_response(server)
        assert response.startswith(begin)
        assert response.endswith(end)
        assert (response == b"") == (fault == "drop")
        assert is_serving(server)


TWICE = rb"(HTTP/1\.1 200 OK\r\n.*?\r\n\r\n\{\"result\": \"pending\"\}\n)\1"


@pytest.mark.parametrize(
    ("fault", "pattern", "seconds"),
    [
        ("early-hints@0.05", rb"HTTP/1\.1 103 Early Hints\r\nLink: .*?\r\n\r\nHTTP/1\.1 200 OK\r\n.*pending.*", 0.05),
        ("processing@0.02", rb"(HTTP/1\.1 102 Processing\r\n\r\n){3}HTTP/1\.1 200 OK\r\n.*pending.*", 0.06),
        ("doubled", TWICE, 0),
        ("repeated@0.05", TWICE, 0.05),
        ("repeated@0", TWICE, 0),
    ],
)
def test_a_fault_sends_interim_or_repeated_responses(fault: str, pattern: bytes, seconds: float) -> None:
    """After their sleeps. The connection is kept for the next request."""
    with Server(Scenario(faults=[f"1:{fault}"])) as server, connected(server) as connection:
        began = time.monotonic()
        connection.sendall(REQUEST)
        response = b""
        while not re.fullmatch(pattern, response, re.DOTALL):
            part = connection.recv(65536)
            assert part, response
            response += part
        assert time.monotonic() - began >= 0.9 * seconds
        connection.sendall(REQUEST)
        assert received(connection, end=PENDING).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("fault", ["repeated-late", "repeated@60"])
def test_a_late_copy_comes_before_the_response_to_the_next_request(fault: str) -> None:
    """As soon as that request has arrived, which gets its own response, too."""
    with Server(Scenario(faults=[f"1:{fault}", "2:503"])) as server, connected(server) as connection:
        connection.sendall(REQUEST)
        once = received(connection, end=PENDING)
        assert once.startswith(b"HTTP/1.1 200 OK\r\n")
        connection.settimeout(0.05)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(LASTS_LONG)
        connection.sendall(REQUEST)
        response = b""
        while b"503" not in response:
            response += connection.recv(65536)
        assert response.startswith(once + b"HTTP/1.1 503 Service Unavailable\r\n")
        assert len(server.requests) == 2


@pytest.mark.parametrize("fault", ["doubled", "repeated", "repeated-late"])
def test_a_response_with_connection_close_gets_no_late_copy(fault: str) -> None:
    """The request after which the copy would be sent cannot come. `doubled` sends both at once."""
    with Server(Scenario(faults=[f"1:{fault}"])) as server:
        response = raw_response(server, REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert response.count(b"HTTP/1.1") == (2 if fault == "doubled" else 1)


@pytest.mark.parametrize(
    ("fault", "size"), [("reset", 0), ("reset-in-headers", len("HTTP/1.1 200")), ("reset-after-headers", 100)]
)
def test_a_connection_is_reset_before_in_or_after_the_headers(fault: str, size: int) -> None:
    """What was sent before the reset has arrived by then."""
    with Server(Scenario(faults=[f"1:{fault}"])) as server, connected(server) as connection:
        connection.sendall(REQUEST)
        head = received(connection, size)
        assert len(head) >= size
        assert (b"\r\n\r\n" in head) == (fault == "reset-after-headers")
        with pytest.raises(ConnectionResetError):
            connection.recv(65536)


def test_an_endless_body_ends_when_the_client_closes_the_connection() -> None:
    """And so does its thread."""
    with Server(Scenario(faults=["1:endless"])) as server:
        before = threading.active_count()
        assert len(raw_response(server, size=3_000_000)) >= 3_000_000
        assert eventually(lambda: threading.active_count() == before)


@pytest.mark.parametrize("fault", ["mute", "late@60", "drip-headers@60", "drip-body@60"])
def test_a_fault_that_waits_ends_when_the_client_closes_the_connection(fault: str) -> None:
    """And so does its thread."""
    with Server(Scenario(faults=[f"1:{fault}"])) as server:
        before = threading.active_count()
        with connected(server) as connection:
            connection.sendall(REQUEST)
            assert eventually(lambda: len(server.requests) == 1)
            assert threading.active_count() == before + 1
        assert eventually(lambda: threading.active_count() == before)


def test_close_ends_all_connections_and_threads() -> None:
    """Connections without a response, with an endless one, and idle ones. No thread and no open file is left."""
    before = open_resources()
    clients = []
    with Server(Scenario(faults=["1:mute", "2:endless", "3:late@60"])) as server:
        for _ in range(5):
            clients.append(connected(server))
            clients[-1].sendall(REQUEST)
            assert eventually(lambda: len(server.requests) == len(clients))
    for client in clients:
        client.close()

    assert is_nothing_more_open(before)


def test_connections_are_refused_for_the_time_span_of_a_refuse_fault(server_time: ServerTime) -> None:
    """Open connections are closed. Later the same port accepts connections again."""
    scenario = Scenario(duration=60, faults=["2s-10s:refuse"])
    with Server(scenario) as server, connected(server) as idle, connected(server) as other:
        idle.sendall(REQUEST)
        assert received(idle, end=PENDING).endswith(PENDING)
        server_time.advance(1.9)
        assert is_serving(server)
        server_time.advance(0.1)
        assert idle.recv(1) == b""
        assert other.recv(1) == b""
        server_time.advance(7.9)
        with pytest.raises(ConnectionRefusedError):
            connected(server)
        server_time.advance(0.1)
        assert eventually(lambda: server_is_back(server))
        assert is_serving(server)


def server_is_back(server: Server) -> bool:
    try:
        connected(server).close()
    except ConnectionError:  # refused; or reset, if the port was closed during the connect
        return False
    return True


def test_the_request_that_begins_a_refusal_gets_no_response() -> None:
    """The port is closed by then."""
    with Server(Scenario(faults=["0s-999s:refuse"])) as server:
        assert raw_response(server) == b""
        with pytest.raises(ConnectionRefusedError):
            connected(server)


def test_faults_can_be_changed_by_a_control_request_and_by_the_test() -> None:
    """At once; also to `refuse`, which the loop of the server has to notice."""
    with Server() as server:
        requests.put(f"{server.url}/_control/faults", json=["every-1:503"], timeout=LASTS_LONG)
        assert [requests.get(f"{server.url}/status", timeout=LASTS_LONG).status_code for _ in range(2)] == [503, 503]
        server.faults = ["every-1:404"]
        assert requests.get(f"{server.url}/status", timeout=LASTS_LONG).status_code == 404
        assert (
            len(requests.get(f"{server.url}/_control/requests", timeout=LASTS_LONG).json()) == len(server.requests) == 3
        )
        requests.put(f"{server.url}/_control/faults", json=["0s-999s:refuse"], timeout=LASTS_LONG)
        assert eventually(lambda: not server_is_back(server))
        server.play(Scenario(duration=0))
        assert eventually(lambda: server_is_back(server))
        assert requests.get(f"{server.url}/status", timeout=LASTS_LONG).json() == {"result": "completed"}
        assert len(server.requests) == 1


def test_a_redirect_to_another_origin_gets_a_response_there() -> None:
    """From the same server, under its other name."""
    with Server(Scenario(faults=["1:redirect-away"])) as server:
        response = requests.get(f"{server.url}/status", timeout=LASTS_LONG)

        assert response.url == f"http://localhost:{server.port}/status"
        assert [one.headers["Host"] for one in server.requests] == [
            f"127.0.0.1:{server.port}",
            f"localhost:{server.port}",
        ]


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"POST /jobs HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", 411),
        (b"POST /jobs HTTP/1.1\r\nContent-Length: 99999999\r\n", 413),
        (b"POST /jobs HTTP/1.1\r\nContent-Length: -1\r\n", 400),
        (b"GET http://evil.test//status HTTP/1.1\r\n", 404),
        (b"GET //status HTTP/1.0\r\n", 200),
        (b"POST /jobs HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n", 413),
        (b"GET /status HTTP/1.1\r\nX: a\r\n b\r\n", 400),
        (b"BREW /pot HTTP/1.1\r\n", 501),
        (b"nonsense\r\n", 400),
    ],
)
def test_an_unusual_or_malformed_request_gets_a_response(head: bytes, code: int) -> None:
    """The server serves the next connection, too."""
    with Server() as server:
        response = raw_response(server, head + b"Connection: close\r\n\r\n")
        assert f" {code} ".encode() in response[:40] or f"Error code: {code}".encode() in response
        assert is_serving(server)


@settings(max_examples=100)
@given(REQUESTS)
def test_the_server_survives_any_bytes_that_a_client_sends(sent: bytes) -> None:
    """It serves the next connection."""
    with Server() as server:
        with connected(server) as connection, suppress(ConnectionError):  # reset, where more was sent than read
            connection.sendall(sent)
            with suppress(OSError):  # ENOTCONN, which is no ConnectionError, if the server has reset it by now
                connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        assert is_serving(server)


def test_an_incomplete_control_request_blocks_no_other_request() -> None:
    """Nor a refusal, nor `close`."""
    with ends_soon(LASTS_LONG / 3), Server() as server, connected(server) as half:
        half.sendall(b"PUT /_control/faults HTTP/1.1\r\nContent-Length: 10\r\n\r\n")
        assert requests.get(f"{server.url}/_control/requests", timeout=LASTS_LONG).json() == []
        assert is_serving(server)
        server.faults = ["0s-999s:refuse"]
        assert eventually(lambda: not server_is_back(server))
        server.faults = []
        assert eventually(lambda: server_is_back(server))


@pytest.mark.parametrize("fault", ["mute", "late@60", "drip-body@60"])
def test_close_does_not_wait_for_a_fault(fault: str) -> None:
    """Also if the client has sent more meanwhile."""
    with Server(Scenario(faults=[f"1:{fault}"])) as server, connected(server) as client:
        client.sendall(REQUEST)
        assert eventually(lambda: len(server.requests) == 1)
        client.sendall(b"\r\n")
        time.sleep(0.05)
        with ends_soon():
            server.close()


def test_a_second_close_does_nothing() -> None:
    """Faults that are set after `close` raise no error."""
    with Server() as server:
        server.close()
        server.faults = ["1:503"]


def test_close_leaves_no_thread() -> None:
    """Not even that of a connection which has just ended by itself."""
    before = set(threading.enumerate())
    for _ in range(200):
        with Server() as server:
            raw_response(server, REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert set(threading.enumerate()) == before


def test_the_server_survives_a_failing_accept(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it fails while no file descriptor is free."""
    accept, failures = socket.socket.accept, [OSError(errno.EMFILE, "Too many open files")] * 3

    def fail_at_first(listener: socket.socket) -> tuple[socket.socket, object]:
        if failures:
            raise failures.pop()
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", fail_at_first)
    with Server() as server:
        assert is_serving(server)
    assert failures == []


def test_the_server_survives_a_thread_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is closed, and the next one is served."""
    with Server() as server:
        start = threading.Thread.start

        def refuse_once(_: threading.Thread) -> None:
            monkeypatch.setattr(threading.Thread, "start", start)
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", refuse_once)
        with connected(server) as client:
            assert client.recv(1) == b""
        assert is_serving(server)


def test_the_fake_server_runs_on_real_time_under_a_frozen_clock() -> None:
    """A job of an hour is still pending if it is checked on another day of the frozen clock."""
    with Server(Scenario(duration=3600)) as server:
        job_id = requests.post(f"{server.url}/jobs", timeout=LASTS_LONG).json()["id"]
        with freeze_time("2030-01-01"):
            assert requests.get(f"{server.url}/status/{job_id}", timeout=LASTS_LONG).json() == {"result": "pending"}


ALIKE = [
    fault
    for fault, times, _ in ROWS
    if times == "once" and fault not in ("refuse", "endless", "late@30", "drip-headers")
]

NO_RESPONSE, NO_BODY = ("mute", "100"), ("drip-body", "200:Content-Length=99")
"""Those faults whose request ends by its timeout, which is short for them: no machine is too slow for that."""


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "fault", [*ALIKE, "100", "302:Location=http://[", "304:Content-Length=9", "200:Content-Length=99"]
)
def test_a_fault_is_the_same_in_process_and_on_a_socket(fault: str, method: str) -> None:
    """In requests: the same status, headers and body, or the same exception."""
    scenario = Scenario(faults=[f"1:{fault}"])
    adapter = InProcessAdapter(create_app(scenario))
    with Server(scenario) as server, requests.Session() as inside, requests.Session() as outside:
        inside.mount("http://", adapter)
        timeout = 0.5 if fault in NO_RESPONSE or (fault in NO_BODY and method == "GET") else LASTS_LONG
        assert seen(inside, method, server.url, timeout) == seen(outside, method, server.url, timeout)


def seen(session: requests.Session, method: str, url: str, timeout: float) -> object:
    try:
        response = session.request(method, f"{url}/status", timeout=timeout, allow_redirects=False)
    except (requests.RequestException, ValueError) as error:
        return type(error)
    alike = {name: value for name, value in response.headers.items() if name not in ("Date", "Retry-After")}
    return response.status_code, alike, response.content


def test_each_request_is_logged_with_its_status_or_its_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """The name of the fault is logged if there is no status."""
    with Server(Scenario(faults=["1:503", "2:html", "3:drop"]), is_quiet=False) as server:
        for _ in range(4):
            raw_response(server, REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    logged = capsys.readouterr().err.splitlines()
    assert [line.partition('"GET /status HTTP/1.1" ')[2] for line in logged] == ["503 -", "200 -", "drop -", "200 -"]


def test_a_port_in_use_raises_os_error() -> None:
    """No file is left open."""
    with Server() as server:
        before = open_resources()
        with pytest.raises(OSError, match="in use"):
            Server(port=server.port)
        assert is_nothing_more_open(before)


HEYGEN_SUBMISSION: dict[str, Any] = {
    "video": {"type": "url", "url": "https://x/y.mp4"},
    "output_languages": ["Spanish (Spain)"],
}


def link_of(server: Server) -> str:
    """Return the link to the result of a HeyGen job that is completed at once."""
    jobs, key = f"{server.url}/v3/video-translations", {"X-Api-Key": "k"}
    requests.post(jobs, json=HEYGEN_SUBMISSION, headers=key, timeout=LASTS_LONG)
    return str(requests.get(f"{jobs}/job-1", headers=key, timeout=LASTS_LONG).json()["data"]["video_url"])


def test_an_interrupted_result_is_resumed_by_range_requests() -> None:
    """From the storage host, which is the same server under its other name."""
    scenario = Scenario(0, result_bytes=1_000_000, faults=["result/1:truncate", "result/2:reset-after-headers"])
    with Server(scenario, service="heygen") as server:
        link = link_of(server)
        assert link.startswith(f"http://localhost:{server.port}/_files/job-1.mp4?")
        came = b""
        for _ in range(3):
            response = requests.get(link, headers={"Range": f"bytes={len(came)}-"}, stream=True, timeout=LASTS_LONG)
            with suppress(requests.RequestException):
                for part in response.iter_content(10_000):
                    came += part
        assert came == bytes(result_body("job-1", 1_000_000))
        assert [one.headers["Host"] for one in server.requests[-3:]] == [f"localhost:{server.port}"] * 3


def test_a_result_of_a_terabyte_is_made_as_it_is_sent() -> None:
    """What has been sent is not kept, and what is not read is not made."""
    with Server(Scenario(0, result_bytes=10**12)) as server:
        job_id = requests.post(f"{server.url}/jobs", timeout=LASTS_LONG).json()["id"]
        request = f"GET /jobs/{job_id}/result HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        response = raw_response(server, request, size=5_000_000)
        head, _, body = response.partition(b"\r\n\r\n")
        assert b"Content-Length: 1000000000000" in head
        assert len(body) > 4_000_000
        assert body == bytes(result_body(job_id, len(body)))


def test_an_upload_of_8_mib_is_recorded_by_its_name_and_length() -> None:
    """In the fields of the submission."""
    with Server(service="elevenlabs") as server:
        upload: dict[str, Any] = {"file": ("talk.mp4", bytes(8 * 1024 * 1024)), "target_lang": (None, "es")}
        requests.post(f"{server.url}/v1/dubbing", files=upload, headers={"xi-api-key": "k"}, timeout=LASTS_LONG)
        assert [one.fields for one in server.submissions] == [
            {"target_lang": "es", "file": "talk.mp4", "file_bytes": 8 * 1024 * 1024}
        ]


def test_the_command_serves_a_named_service() -> None:
    """With the API key of the command line. Another key gets a 401."""
    command = [sys.executable, "-m", "fake_server", "--port", "0", "--service", "azure", "--api-key", "right"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        assert running.stdout is not None
        path = running.stdout.readline().strip() + "/videotranslation/translations?api-version=2025-05-20"
        keys = [{"Ocp-Apim-Subscription-Key": key} for key in ("wrong", "right")]
        codes = [requests.get(path, headers=key, timeout=LASTS_LONG).status_code for key in keys]
        running.terminate()
    assert codes == [401, 200]


def test_an_unknown_service_raises_value_error() -> None:
    """With the names of the services, and before any file is open."""
    before = open_resources()
    with pytest.raises(ValueError, match="service must be one of reference, heygen"):
        Server(service="dubbo")
    assert is_nothing_more_open(before)


USERS_TEST = """
import requests
from fake_server import Scenario

def worker(url):
    while (answer := requests.get(url + "/status", timeout=60)).status_code != 200:
        pass
    return answer.json()["result"]

def test_it_is_finished_at_once(fake_translation_server):
    assert worker(fake_translation_server.url) == "completed"

def test_a_fault_is_survived(fake_translation_server):
    fake_translation_server.play(Scenario(duration=0, faults=["1:503"]))
    assert worker(fake_translation_server.url) == "completed"
    assert [one.path for one in fake_translation_server.requests] == ["/status", "/status"]
"""


def run_users_tests(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_theirs.py").write_text(USERS_TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, timeout=2 * LASTS_LONG)


def test_the_fixture_is_available_where_the_package_is_installed(tmp_path: Path) -> None:
    """Without any configuration, and without a warning."""
    done = run_users_tests(tmp_path)

    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_without_flask_the_fixture_names_the_extra(tmp_path: Path) -> None:
    """In the error of each test that uses it."""
    (tmp_path / "conftest.py").write_text("import sys\nsys.modules['flask'] = None\n")
    done = run_users_tests(tmp_path)

    assert "2 errors" in done.stdout
    assert "needs the extra: pip install 'translation-client[server]'" in done.stdout


def test_a_request_sent_before_the_server_runs_gets_its_response_later() -> None:
    """The port is open before the server runs."""
    server = Server()
    with connected(server) as client:
        client.sendall(REQUEST)
        with server:
            assert received(client, end=PENDING).startswith(b"HTTP/1.1 200 OK\r\n")
