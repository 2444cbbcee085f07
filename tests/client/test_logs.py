"""The log: the keys of each line, and its destination."""

import io
import json
import logging
import sys
from typing import Any

import pytest
import structlog
from support.fixtures import LogLines, MakeClient
from support.log_schema import TABLE, validate

from fake_server import Fault, Scenario
from fake_server import scenario as scenario_module
from translation_client import RequestFailed, RetriesExhausted, WaitTimeout
from translation_client._logging import EVENTS, MAX_TEXT_LENGTH, EventLog, wrap_logger


def test_two_waits_log_every_event_of_the_table_with_its_level_and_keys(
    make_client: MakeClient, lines: LogLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names are a public interface."""
    faults = (
        Fault(nth=2, headers={"Retry-After": "soon"}),
        Fault(nth=3, action="drop"),
    )
    status_at = "polishing", "completed"
    monkeypatch.setattr(scenario_module.Life, "status_at", lambda self, elapsed: status_at[elapsed > 5])
    make_client(Scenario(faults=faults)).wait()
    monkeypatch.undo()
    with pytest.raises(RetriesExhausted):
        make_client(Scenario(9), max_retries=0).wait()

    assert {line["event"] for line in lines} == set(TABLE)
    for line in lines:
        validate(line)


OF_OTHER_ERRANDS = {
    "history_failed": ("warning", "error"),
    "response_received": ("info", "attempt operation status_code elapsed_seconds request_seconds"),
    "submit_started": ("info", "idempotency_key"),
    "waiting_for_slot": ("info", "attempt elapsed_seconds"),
    "job_submitted": ("info", "attempts expected_seconds elapsed_seconds"),
    "file_downloaded": ("info", "bytes attempts elapsed_seconds"),
}


def test_the_events_in_the_code_are_those_of_the_public_table() -> None:
    """A change needs a line in the changelog."""
    assert {name: (event.level, " ".join(event.keys)) for name, event in EVENTS.items()} == {
        **TABLE,
        **OF_OTHER_ERRANDS,
    }


def test_a_wait_logs_each_attempt_each_sleep_and_the_end(make_client: MakeClient, lines: LogLines) -> None:
    """With times that add up, and one `wait_id`."""
    make_client(Scenario(5)).wait()

    assert [(line["event"], line["elapsed_seconds"]) for line in lines] == [
        ("status_checked", 0),
        ("sleeping", 0),
        ("status_checked", 2),
        ("sleeping", 2),
        ("status_checked", 6),
        ("job_finished", 6),
    ]
    assert [line["retry"] for line in lines.of("sleeping")] == [1, 2]
    assert [line["attempt"] for line in lines.of("status_checked")] == [1, 2, 3]
    assert len({line["wait_id"] for line in lines}) == 1


def test_two_calls_of_a_client_have_two_wait_ids(make_client: MakeClient, lines: LogLines) -> None:
    """So their lines can be distinguished."""
    client = make_client(Scenario(0))
    client.wait()
    client.check()

    assert len({line["wait_id"] for line in lines}) == 2


def test_every_line_has_the_job_id(make_client: MakeClient, lines: LogLines) -> None:
    """Also that of an error."""
    with pytest.raises(RequestFailed):
        make_client().wait("job-7")

    assert {line["job_id"] for line in lines} == {"job-7"}


@pytest.mark.parametrize(
    ("arguments", "scenario", "error", "reason"),
    [
        ({"timeout": 3}, Scenario(9), WaitTimeout, "timeout"),
        ({"max_retries": 1}, Scenario(9), RetriesExhausted, "retries"),
        ({}, Scenario(9, faults=(Fault(every=1),)), RequestFailed, "faults"),
        ({}, Scenario(9, faults=(Fault(every=1, status_code=403),)), RequestFailed, "refused"),
    ],
)
def test_gave_up_is_logged_once_with_its_reason(
    make_client: MakeClient,
    lines: LogLines,
    arguments: dict[str, Any],
    scenario: Scenario,
    error: type[Exception],
    reason: str,
) -> None:
    """It is the last line."""
    with pytest.raises(error):
        make_client(scenario, **arguments).wait()

    assert [line["reason"] for line in lines.of("gave_up")] == [reason]
    assert lines[-1]["event"] == "gave_up"


def test_an_unknown_status_word_is_pending_with_one_warning(
    make_client: MakeClient, lines: LogLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a wait for each new word. It is neither an error nor the end."""
    words = iter(["polishing", "polishing", "Lip-Sync", "polishing", "completed"])
    monkeypatch.setattr(scenario_module.Life, "status_at", lambda self, elapsed: next(words))

    job = make_client(timeout=100).wait()

    assert (job.checks, str(job.status)) == (5, "completed")
    assert [line["raw_status"] for line in lines.of("unknown_status")] == ["polishing", "Lip-Sync"]
    assert {line["status"] for line in lines.of("status_checked")} == {"pending", "completed"}


class Stderr:
    """The text written to standard error so far."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture
        self._read = ""

    def getvalue(self) -> str:
        self._read += self._capture.readouterr().err
        return self._read


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Stderr:
    """Capture standard error, with no handler on the root logger."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    return Stderr(capsys)


def write_one(logger: Any = None) -> None:
    EventLog(wrap_logger(logger), "w", "j").write("unknown_status", raw_status="x")


@pytest.mark.usefixtures("stderr")
def test_without_any_configuration_a_line_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output is left to the program."""
    write_one()

    written = capsys.readouterr()
    assert (json.loads(written.err)["event"], written.out) == ("unknown_status", "")


def test_a_handler_on_the_package_logger_gets_the_line_as_its_message(stderr: Stderr) -> None:
    """Nothing goes to standard error then."""
    stream = io.StringIO()
    logging.getLogger("translation_client").addHandler(logging.StreamHandler(stream))
    write_one()

    assert json.loads(stream.getvalue())["raw_status"] == "x"
    assert stderr.getvalue() == ""


def test_a_handler_on_the_root_logger_gets_info_lines(stderr: Stderr) -> None:
    """Its default level WARNING does not count: the package logs from INFO on until its own logger has a level."""
    stream = io.StringIO()
    logging.getLogger().addHandler(logging.StreamHandler(stream))
    EventLog(None, "w", "j").write("job_finished")

    assert json.loads(stream.getvalue())["event"] == "job_finished"


@pytest.mark.parametrize("with_handler", [False, True])
def test_the_level_of_the_package_logger_applies_to_every_destination(stderr: Stderr, with_handler: bool) -> None:
    """At WARNING, the info line is dropped and the error line is written."""
    ours = logging.getLogger("translation_client")
    stream = io.StringIO()
    if with_handler:
        ours.addHandler(logging.StreamHandler(stream))
    ours.setLevel(logging.WARNING)
    EventLog(None, "w", "j").write("job_finished")
    EventLog(None, "w", "j").write("gave_up")

    assert (stream.getvalue() + stderr.getvalue()).count("\n") == 1


def test_logging_disable_silences_the_package(stderr: Stderr) -> None:
    """By `logging.disable` of the standard library."""
    logging.disable(logging.CRITICAL)
    try:
        write_one()
    finally:
        logging.disable(logging.NOTSET)

    assert stderr.getvalue() == ""


def test_a_configured_structlog_gets_the_event_and_its_keys(stderr: Stderr) -> None:
    """The processors of the program format the line."""
    with structlog.testing.capture_logs() as captured:
        write_one()

    assert captured == [
        {
            "event": "unknown_status",
            "log_level": "warning",
            "logger": "translation_client",
            "wait_id": "w",
            "job_id": "j",
            "raw_status": "x",
        }
    ]


def test_the_callers_structlog_logger_gets_the_event(stderr: Stderr) -> None:
    """Nothing goes to standard error then."""
    capture = structlog.testing.LogCapture()
    write_one(structlog.wrap_logger(None, processors=[capture]))

    assert [entry["event"] for entry in capture.entries] == ["unknown_status"]
    assert stderr.getvalue() == ""


@pytest.mark.parametrize("adapted", [False, True])
def test_the_callers_standard_library_logger_gets_the_line(stderr: Stderr, adapted: bool) -> None:
    """Bare or in a `LoggerAdapter`."""
    stream = io.StringIO()
    logger = logging.Logger("somebodys")  # noqa: LOG001  # one that no other code can reach
    logger.addHandler(logging.StreamHandler(stream))
    write_one(logging.LoggerAdapter(logger, {}) if adapted else logger)

    assert json.loads(stream.getvalue())["event"] == "unknown_status"


def test_the_extra_of_a_logger_adapter_is_kept(stderr: Stderr) -> None:
    """Of two nested adapters, that of the inner one."""
    records: list[logging.LogRecord] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    logger = logging.Logger("somebodys")  # noqa: LOG001  # one that no other code can reach
    logger.addHandler(Collector())
    write_one(logging.LoggerAdapter(logger, {"tenant": "acme"}))
    write_one(logging.LoggerAdapter(logging.LoggerAdapter(logger, {"tenant": "inner"}), {"tenant": "outer"}))

    assert [vars(record)["tenant"] for record in records] == ["acme", "inner"]
    assert stderr.getvalue() == ""


def test_the_line_of_a_handler_that_raises_goes_to_stderr(stderr: Stderr) -> None:
    """The exception does not end the wait."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("the disk is full")

    logging.getLogger("translation_client").addHandler(Broken())
    write_one()

    assert json.loads(stderr.getvalue())["event"] == "unknown_status"


def test_the_line_goes_to_stderr_if_has_handlers_raises(stderr: Stderr, monkeypatch: pytest.MonkeyPatch) -> None:
    """A logger class of the program may raise so. The exception does not end the wait."""

    def broken(_: logging.Logger) -> bool:
        raise RuntimeError("no handlers here")

    monkeypatch.setattr(logging.Logger, "hasHandlers", broken)
    write_one()

    assert json.loads(stderr.getvalue())["event"] == "unknown_status"


def test_the_destination_is_chosen_for_each_line(stderr: Stderr) -> None:
    """A handler may be added after the client was created."""
    log = EventLog(None, "w", "j")
    log.write("gave_up")
    stream = io.StringIO()
    logging.getLogger("translation_client").addHandler(logging.StreamHandler(stream))
    log.write("gave_up")

    assert (stderr.getvalue().count("\n"), stream.getvalue().count("\n")) == (1, 1)


@pytest.mark.parametrize("stream", [None, "closed"])
def test_a_missing_or_closed_stderr_raises_nothing(
    stderr: Stderr, monkeypatch: pytest.MonkeyPatch, stream: Any
) -> None:
    """A job that was paid for is not lost to a log line."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", None if stream is None else closed)

    write_one()


def test_log_lines_truncate_texts_and_round_seconds(lines: LogLines) -> None:
    """Seconds are rounded to milliseconds, and infinity is null, as JSON has none."""
    log = EventLog(None, "w", None)
    log.write("unknown_status", raw_status="x" * 10_000)
    log.write("sleeping", sleep_seconds=float("inf"), elapsed_seconds=1.23456)

    assert len(lines[0]["raw_status"]) == MAX_TEXT_LENGTH + 1
    assert (lines[1]["sleep_seconds"], lines[1]["elapsed_seconds"], lines[1]["retry"]) == (None, 1.235, None)


def test_a_key_that_the_table_lacks_is_a_type_error() -> None:
    """The first test that logs it finds the mistake."""
    with pytest.raises(TypeError, match="gave_up has no key colour"):
        EventLog(None, "w", None).write("gave_up", colour="red")
