"""The fake server: its scenarios, the routes of the reference service on frozen time, and the command line."""

from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from support.fixtures import Clock

from fake_server import Fault, InProcessAdapter, Life, Scenario, create_app, parse_fault
from fake_server import cli as server_cli
from fake_server.scenario import parse_duration

URL = "http://fake.test"


def session_of(scenario: Scenario) -> requests.Session:
    session = requests.Session()
    session.mount(URL, InProcessAdapter(create_app(scenario)))
    return session


def test_a_job_is_pending_for_its_duration_and_then_final() -> None:
    """The final status does not change any more."""
    life = Life(10, "error")

    assert [life.status_at(seconds) for seconds in (0, 9.999, 10, 1e9)] == ["pending", "pending", "error", "error"]


def test_a_result_is_available_after_the_link_delay() -> None:
    """A failed job has none."""
    assert [Life(10, link_delay=5).has_result_at(seconds) for seconds in (10, 14.9, 15)] == [False, False, True]
    assert not Life(10, "error").has_result_at(1e9)


def test_durations_are_drawn_from_their_range_and_repeat_with_the_seed() -> None:
    """Another seed gives other durations."""
    drawn = [Scenario((5, 15), seed=1).life(number).duration for number in range(50)]

    assert all(5 <= seconds <= 15 for seconds in drawn)
    assert len(set(drawn)) == 50
    assert drawn == [Scenario((5, 15), seed=1).life(number).duration for number in range(50)]
    assert drawn != [Scenario((5, 15), seed=2).life(number).duration for number in range(50)]


@pytest.mark.parametrize(
    "arguments", [{"duration": -1}, {"duration": (20, 10)}, {"duration": float("inf")}, {"outcome": "x"}]
)
def test_an_invalid_scenario_is_rejected(arguments: dict[str, Any]) -> None:
    """When it is created."""
    with pytest.raises(ValueError, match=r"duration|outcome"):
        Scenario(**arguments)


@pytest.mark.parametrize(
    ("fault", "struck"),
    [
        (Fault(nth=2), [2]),
        (Fault(every=3), [3, 6]),
        (Fault(between=(2, 5)), [3, 4, 5]),
    ],
)
def test_a_fault_applies_to_the_responses_of_its_trigger(fault: Fault, struck: list[int]) -> None:
    """The n-th response comes at second n − 1 here."""
    assert [number for number in range(1, 8) if fault.applies_to(number, number - 1.0)] == struck


@pytest.mark.parametrize("arguments", [{}, {"nth": 1, "every": 2}, {"nth": 0}, {"every": 0}])
def test_a_fault_has_exactly_one_trigger(arguments: dict[str, Any]) -> None:
    """`nth` and `every` count from 1."""
    with pytest.raises(ValueError, match="got Fault"):
        Fault(**arguments)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("2:503", Fault(nth=2, status_code=503)),
        ("every-3:drop", Fault(every=3, action="drop")),
        ("5s-8s:429:Retry-After=3", Fault(between=(5, 8), status_code=429, headers={"Retry-After": "3"})),
        ("0.5s-1s:html", Fault(between=(0.5, 1), action="html")),
        ("1:truncate", Fault(nth=1, action="truncate")),
    ],
)
def test_faults_are_parsed_from_the_syntax_of_the_command_line(text: str, fault: Fault) -> None:
    """With each trigger, and a header."""
    assert parse_fault(text) == fault


@given(st.text())
def test_any_text_is_a_fault_or_a_value_error(text: str) -> None:
    """The error has a message."""
    try:
        parse_fault(text)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(("text", "span"), [("10", 10), ("0.5", 0.5), ("5-15", (5, 15))])
def test_durations_are_parsed_from_the_syntax_of_the_command_line(text: str, span: tuple[float, float]) -> None:
    """One number or a range."""
    assert parse_duration(text) == span


def test_the_single_job_starts_at_its_first_status_request(clock: Clock) -> None:
    """And not with the server."""
    session = session_of(Scenario(10))
    clock.tick(100)

    assert session.get(f"{URL}/status").text == '{"result": "pending"}\n'
    clock.tick(9.9)
    assert session.get(f"{URL}/status").json() == {"result": "pending"}
    clock.tick(0.2)
    assert session.get(f"{URL}/status").json() == {"result": "completed"}


def test_jobs_are_created_and_checked_by_their_ids(clock: Clock) -> None:
    """Each job starts when it is created."""
    session = session_of(Scenario(10, "error"))
    made = session.post(f"{URL}/jobs", json={"video": "https://x/y.mp4"})
    clock.tick(11)
    later = session.post(f"{URL}/jobs")

    assert (made.status_code, made.json(), made.headers["Location"]) == (
        201,
        {"id": "job-1", "result": "pending"},
        "/status/job-1",
    )
    assert session.get(f"{URL}/status/{made.json()['id']}").json() == {"result": "error"}
    assert session.get(f"{URL}/status/{later.json()['id']}").json() == {"result": "pending"}


def test_an_unknown_job_is_a_404() -> None:
    """With a JSON body."""
    response = session_of(Scenario()).get(f"{URL}/status/nope")

    assert (response.status_code, response.json()) == (404, {"error": "there is no job 'nope'"})


@pytest.mark.parametrize(
    "arguments",
    [
        ["--duration", "soon"],
        ["--duration", "9-3"],
        ["--duration", "-3"],
        ["--duration", "5-"],
        ["--fault", "8s-5s:503"],
        ["--fault", "0:503"],
        ["--fault", "1.2.3s-5s:503"],
        ["--fault", "1:099"],
        ["--fault", "1:refuse"],
        ["--fault", "{"],
        ["--fault", '{"nth": 1, "status": 503}'],
        ["--port", "70000"],
        ["--port", "http"],
        ["--fault", "nonsense"],
        ["--outcome", "maybe"],
        ["--service", "dubbo"],
        ["--max-jobs", "0"],
        ["--result-bytes", "-1"],
        ["--link-seconds", "nan"],
        ["--link-delay", "soon"],
        ["--api-key", ""],
        ["--fault", "door/1:503"],
    ],
)
def test_invalid_options_are_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With exit code 2 and a message."""
    with pytest.raises(SystemExit) as caught:
        server_cli.main(arguments)

    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_the_default_port_is_5000_and_the_seed_sets_the_durations() -> None:
    """The same seed gives the same duration."""
    assert server_cli._build_parser().parse_args([]).port == 5000

    lives = [
        server_cli._build_scenario(server_cli._build_parser().parse_args(["--duration", "5-15", "--seed", seed]))
        .life(0)
        .duration
        for seed in ("1", "1", "2")
    ]
    assert lives[0] == lives[1] != lives[2]


def test_the_options_set_the_scenario() -> None:
    """Without options it is the default scenario."""
    options = "--api-key k --max-jobs 2 --result-bytes 9 --link-seconds 60 --link-delay 1.5 --fault create/1:503"
    parse = server_cli._build_parser().parse_args

    assert server_cli._build_scenario(parse([])) == Scenario()
    assert server_cli._build_scenario(parse(options.split())) == Scenario(
        faults=[Fault(nth=1, status_code=503, route="create")],
        api_key="k",
        max_jobs=2,
        result_bytes=9,
        link_seconds=60,
        link_delay=1.5,
    )
    assert parse(["--service", "azure"]).service == "azure"


def test_without_flask_the_error_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 1."""
    import sys

    monkeypatch.setitem(sys.modules, "fake_server.server", None)

    assert server_cli.main(["--port", "0"]) == 1
    assert "pip install 'translation-client[server]'" in capsys.readouterr().err
