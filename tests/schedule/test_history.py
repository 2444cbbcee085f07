"""The history of durations, in memory or in a file that processes share: its limits, and its errors for other files."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.interleaving import at_every_opcode

from translation_client import DurationHistory, VideoTranslationClient, wait_learned
from translation_client.schedule import history as module
from translation_client.schedule import store
from translation_client.schedule.censoring import Observation
from translation_client.schedule.history import HistoryFailed

PROCESSES, JOBS = 8, 40


def gave_up(number: int, kind: str = "film") -> Observation:
    """Return an observation of job `number` whose wait ended before the job."""
    return Observation(began_at=float(number), entered=1.0, pending_until=2.0, finished_by=None, kind=kind)


WRITER = """
import sys
from translation_client import DurationHistory

path, name, jobs = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
history = DurationHistory(path)
for number in range(int(jobs)):
    history.record(10 + number, service="heygen", kind=name)
"""


def took(history: DurationHistory, service: str = "reference", kind: str | None = None) -> list[float | None]:
    return [job.finished_by for job in history.jobs(service, kind)]


@pytest.fixture(params=["file", "memory"])
def history(request: pytest.FixtureRequest, tmp_path: Path) -> DurationHistory:
    return DurationHistory(tmp_path / "durations.sqlite" if request.param == "file" else None)


def test_recorded_jobs_are_returned_oldest_first(history: DurationHistory) -> None:
    """With all their fields, and only those of the service."""
    history.record(61.5, service="heygen", kind="es/precision", video_seconds=95)
    history.record(70, service="reference")
    seen = Observation(10.0, 20.0, 5.0, "es", 30.0, 40.0, began_at=7.5)
    history.add("heygen", seen)

    first, last = history.jobs("heygen")
    assert first._replace(began_at=0.0) == Observation(61.5, 61.5, 0.0, "es/precision", 95.0, None, 1)
    assert last == seen._replace(number=3)
    assert took(history) == [70]


def test_a_history_file_is_read_by_a_later_history(tmp_path: Path) -> None:
    """The path may be a `Path` or a str."""
    path = tmp_path / "durations.sqlite"
    DurationHistory(path).record(60, service="reference")

    assert took(DurationHistory(str(path))) == [60]


def test_a_history_in_memory_is_not_shared() -> None:
    """Another history in memory is empty."""
    DurationHistory().record(60, service="reference")

    assert took(DurationHistory()) == []


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["copy", "pickle"])
@pytest.mark.parametrize("recorded", [(), (60.0, 70.0)], ids=["empty", "two jobs"])
def test_a_copy_of_a_history_in_memory_has_its_jobs_and_takes_more(recorded: tuple[float, ...], copied: Any) -> None:
    history = DurationHistory()
    for seconds in recorded:
        history.record(seconds, service="reference")

    copy_of_it = copied(history)
    copy_of_it.record(80, service="reference")

    assert [job.finished_by for job in copy_of_it.jobs("reference")] == [*recorded, 80]
    assert [job.finished_by for job in history.jobs("reference")] == [*recorded]


def test_eight_processes_write_to_one_file_without_loss(tmp_path: Path) -> None:
    """They create the file at the same time, and all write at once."""
    path = tmp_path / "durations.sqlite"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), f"kind-{number}", str(JOBS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:  # start all of them before waiting for any
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=120)

    assert [writer.returncode for writer in writers] == [0] * PROCESSES
    history = DurationHistory(path)
    for number in range(PROCESSES):
        own = [job.finished_by for job in history.jobs("heygen", f"kind-{number}") if job.kind == f"kind-{number}"]
        assert own == [10 + job for job in range(JOBS)]


def test_threads_can_share_a_history(history: DurationHistory) -> None:
    """No recorded job is lost."""

    def add_some() -> None:
        for _ in range(10):
            history.record(60, service="reference")

    threads = [threading.Thread(target=add_some) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(took(history)) == 80


def test_only_the_latest_jobs_of_a_kind_are_kept(history: DurationHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No job of another kind or service is dropped for them."""
    monkeypatch.setattr(module, "MAX_JOBS_PER_KIND", 5)
    history.record(1, kind="b", service="reference")
    history.record(2, service="heygen", kind="a")
    for number in range(20):
        history.record(100 + number, kind="a", service="reference")

    assert took(history, kind="a") == [1, 115, 116, 117, 118, 119]
    assert took(history, "heygen") == [2]


def test_the_limit_per_kind_holds_for_jobs_without_a_kind(
    history: DurationHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NULL equals nothing in SQL: compared with `=`, no old job would be found, and the file would grow."""
    monkeypatch.setattr(module, "MAX_JOBS_PER_KIND", 5)
    for number in range(20):
        history.record(number, service="reference")

    assert took(history) == [15, 16, 17, 18, 19]


def test_the_total_number_of_jobs_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if each job has another kind. In memory, the number of kinds is limited."""
    monkeypatch.setattr(module, "MAX_JOBS", 10)
    monkeypatch.setattr(module, "MAX_KINDS", 10)
    for history in (DurationHistory(tmp_path / "durations.sqlite"), DurationHistory()):
        for number in range(30):
            history.record(number, kind=f"kind-{number}", service="reference")

        assert took(history) == list(range(20, 30))


def test_a_kind_is_limited_to_200_characters(history: DurationHistory) -> None:
    """So that the size of the file is bounded, and not only the number of its rows."""
    with pytest.raises(ValueError, match="kind must be printable, and of 1 to 200 characters"):
        history.record(60, kind="x" * 201, service="reference")


@pytest.mark.parametrize("service", [None, 3, "", "own\ud800", "x" * 201])
def test_an_invalid_name_of_a_service_is_rejected(history: DurationHistory, service: Any) -> None:
    """The job could not be found again."""
    with pytest.raises((TypeError, ValueError), match="service"):
        history.record(60, service=service)


def test_a_second_wait_replaces_the_unfinished_observation_of_its_job(history: DurationHistory) -> None:
    """`began_at` identifies the job. The entry of the first wait is kept."""
    gave_up = Observation(30, None, 5, "es", began_at=1000.5)
    history.add("heygen", gave_up)
    history.add("heygen", Observation(60, None, 30, "es", began_at=1000.5))
    history.add("heygen", Observation(60, None, 30, "es", began_at=2000.5))
    history.add("heygen", Observation(80, 90, 60, "es", began_at=1000.5))

    first, second = history.jobs("heygen", "es")
    assert (first.began_at, first.finished_by) == (2000.5, None)
    assert (second.pending_until, second.finished_by, second.entered) == (80, 90, 5)


def test_jobs_returns_the_latest_of_all_kinds_and_of_the_requested_one(
    history: DurationHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs of a rare kind are not lost among the others, and no job is returned twice."""
    monkeypatch.setattr(module, "MAX_JOBS_IN_FORECAST", 3)
    history.record(1, kind="seldom", service="reference")
    for number in range(10):
        history.record(100 + number, kind="often", service="reference")
    history.record(2, kind="seldom", service="reference")

    assert took(history, kind="seldom") == [1, 108, 109, 2]


def test_a_full_history_file_is_smaller_than_4_megabytes(tmp_path: Path) -> None:
    """It has `MAX_JOBS` rows."""
    path = tmp_path / "durations.sqlite"
    history = DurationHistory(path)
    with sqlite3.connect(path) as connection:
        rows = [
            ("heygen", f"es/precision/{number % 100}", 1.5, 2.5, 0, 3.5, 4.5, 1e9) for number in range(module.MAX_JOBS)
        ]
        connection.executemany(store._INSERT, rows)
    connection.close()
    history.record(60, service="reference")

    assert path.stat().st_size < 4_000_000


def test_a_history_file_holds_no_ids_urls_or_secrets(tmp_path: Path) -> None:
    """Only durations, a kind, a length, the service and the time."""
    path = tmp_path / "durations.sqlite"
    DurationHistory(path).record(60, service="reference")
    with sqlite3.connect(path) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(jobs)")]
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    connection.close()

    assert set(tables) == {"jobs", "sqlite_sequence"}
    assert columns == [
        "number",
        "service",
        "kind",
        "video_seconds",
        "expected_seconds",
        "entered_seconds",
        "pending_until_seconds",
        "finished_by_seconds",
        "began_at",
    ]


def test_the_version_changes_when_a_job_is_added_and_not_when_jobs_are_read(history: DurationHistory) -> None:
    """Schedules are cached until it changes."""
    history.record(60, service="reference")
    before = history.version()
    history.jobs("reference")
    assert history.version() == before

    history.record(60, service="reference")
    assert history.version() != before


def test_jobs_added_by_another_process_are_seen(tmp_path: Path) -> None:
    """By `version` and by `jobs`."""
    path = tmp_path / "durations.sqlite"
    ours = DurationHistory(path)
    before = ours.version()
    subprocess.run([sys.executable, "-c", WRITER, path, "theirs", "1"], input="go\n", text=True, check=True)

    assert ours.version() != before
    assert took(ours, "heygen") == [10]


def of_text(path: Path) -> None:
    path.write_text("duration\n60\n70\n" * 200)


def of_one_byte(path: Path) -> None:
    path.write_bytes(b"x")


def of_something_else(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE jobs (id, name)")
    connection.close()


def of_another_version(path: Path) -> None:
    DurationHistory(path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()


def damaged(path: Path) -> None:
    history = DurationHistory(path)
    for _ in range(100):
        history.record(60, service="reference")
    content = bytearray(path.read_bytes())
    content[4096 : 4096 + 2000] = b"\xff" * 2000
    path.write_bytes(content)


def cut_off(path: Path) -> None:
    DurationHistory(path).record(60, service="reference")
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (of_text, "not a database"),
        (of_one_byte, "not a database"),
        (of_something_else, "another program"),
        (of_another_version, "version 2"),
        (damaged, "damaged|malformed"),
        (cut_off, "damaged|malformed"),
    ],
)
def test_a_file_that_is_no_history_is_an_error_and_is_left_unchanged(make: Any, message: str, tmp_path: Path) -> None:
    """The error is raised when the client is created, and names the file."""
    path = tmp_path / "durations.sqlite"
    make(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message) as caught:
        VideoTranslationClient("http://fake.test", history=path, check_cost=3)

    assert str(path) in str(caught.value)
    assert "left unchanged" in str(caught.value)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_file_is_a_new_history(tmp_path: Path) -> None:
    """`mktemp` creates such a file."""
    path = tmp_path / "durations.sqlite"
    path.touch()
    DurationHistory(path).record(60, service="reference")

    assert took(DurationHistory(path)) == [60]


@pytest.mark.parametrize("where", ["no/such/folder/file", ".", ""])
def test_a_path_that_cannot_be_a_file_is_an_error(where: str, tmp_path: Path) -> None:
    """It is raised when the client is created."""
    with pytest.raises(ValueError, match="history"):
        VideoTranslationClient("http://fake.test", history=where and tmp_path / where, check_cost=3)


def test_the_name_of_a_service_and_an_observation_are_checked() -> None:
    """Any other value would fail later, or never be found again."""
    service: Any = 5
    observation: Any = 60.0
    with pytest.raises(TypeError, match="service must be the name of a service, got 5"):
        wait_learned(check_cost=1, service=service)
    with pytest.raises(TypeError, match="job must be an Observation, got 60"):
        DurationHistory().add("heygen", observation)


@pytest.mark.parametrize("path", [3, b"durations", object(), 1.5])
def test_a_history_argument_that_is_no_path_is_a_type_error(path: Any) -> None:
    """Besides a path, it may be True or a `DurationHistory`."""
    with pytest.raises(TypeError, match="history must be the path of a file"):
        VideoTranslationClient("http://fake.test", history=path, check_cost=3)


def test_a_read_only_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite reports it on opening for writing. The test opens the file for reading, as root may write any file."""
    path = tmp_path / "durations.sqlite"
    DurationHistory(path)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda name, **more: connect(name.replace("mode=rwc", "mode=ro"), **more))

    with pytest.raises(ValueError, match="readonly"):
        DurationHistory(path)


def test_a_path_named_memory_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To SQLite, `:memory:` is a special name. A relative path is resolved when the history is opened."""
    monkeypatch.chdir(tmp_path)
    history = DurationHistory(":memory:")
    monkeypatch.chdir("/")
    history.record(60, service="reference")

    assert (tmp_path / ":memory:").is_file()


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, 1e10])
def test_an_invalid_duration_is_rejected(history: DurationHistory, seconds: float) -> None:
    """Nothing is recorded."""
    with pytest.raises(ValueError, match="durations"):
        history.record(seconds, service="reference")

    assert took(history) == []


@pytest.mark.parametrize(
    ("features", "error"),
    [({"kind": 3}, TypeError), ({"kind": "a\x00b"}, ValueError), ({"kind": "\ud800"}, ValueError)]
    + [({"video_seconds": bad}, ValueError) for bad in (0, -1, math.nan, math.inf)],
)
def test_an_invalid_kind_or_video_length_is_rejected(
    history: DurationHistory, features: Any, error: type[Exception]
) -> None:
    """Nothing is recorded."""
    with pytest.raises(error, match=next(iter(features))):
        history.record(60, service="reference", **features)

    assert took(history) == []


@pytest.mark.parametrize("replace", [of_something_else, of_another_version])
def test_a_file_replaced_by_another_database_is_left_unchanged(replace: Any, tmp_path: Path) -> None:
    """`add` and `jobs` of the open history raise `HistoryFailed`."""
    path = tmp_path / "durations.sqlite"
    history = DurationHistory(path)
    path.unlink()
    replace(path)
    before = path.read_bytes()

    for action in (lambda: history.add("heygen", Observation.exact(60)), lambda: history.jobs("heygen")):
        with pytest.raises(HistoryFailed, match=r"another program|version 2"):
            action()
    assert path.read_bytes() == before


def test_a_history_whose_file_was_deleted_starts_again_empty(tmp_path: Path) -> None:
    """Deleting the file is the way to forget past jobs."""
    path = tmp_path / "durations.sqlite"
    history = DurationHistory(path)
    history.record(60, service="reference")
    path.unlink()
    assert took(history) == []
    history.record(70, service="reference")

    assert took(history) == [70]


def test_a_read_only_history_does_not_change_its_file(tmp_path: Path) -> None:
    """The command that prints a schedule opens it so."""
    path = tmp_path / "durations.sqlite"
    DurationHistory(path).record(60, service="reference")
    before = path.read_bytes()

    assert took(DurationHistory(path, read_only=True)) == [60]
    assert path.read_bytes() == before


def test_a_history_can_be_written_by_a_finalizer_at_any_time(history: DurationHistory) -> None:
    """Python collects an abandoned iterator at any time, also in a thread that is using the history."""

    class Abandoned:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            with suppress(HistoryFailed):  # a file that this thread is writing is locked
                history.add("reference", Observation.exact(60), lock_timeout=0.0)

    thresholds = gc.get_threshold()
    gc.set_threshold(5)
    try:
        for _ in range(100):
            Abandoned()
            history.add("reference", Observation.exact(61))
            history.jobs("reference")
    finally:
        gc.set_threshold(*thresholds)

    assert len(took(history)) >= 100


def test_a_history_whose_folder_was_deleted_raises(tmp_path: Path) -> None:
    """`version` and `jobs` raise the internal `HistoryFailed`, `record` raises an `OSError`."""
    path = tmp_path / "folder" / "durations.sqlite"
    path.parent.mkdir()
    history = DurationHistory(path)
    path.unlink()
    path.parent.rmdir()

    with pytest.raises(HistoryFailed, match=r"durations\.sqlite"):
        history.version()
    with pytest.raises(HistoryFailed, match="unable to open"):
        history.jobs("heygen")
    with pytest.raises(OSError, match="unable to open"):
        history.record(60, service="reference")


def test_a_locked_file_is_waited_for_no_longer_than_lock_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wait that records its job has a deadline."""
    path = tmp_path / "durations.sqlite"
    history = DurationHistory(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    slept: list[float] = []
    monkeypatch.setattr(store, "time", SimpleNamespace(sleep=slept.append))
    try:
        for patience in (0.0, 0.5):
            with pytest.raises(HistoryFailed, match="locked"):
                history.add("heygen", Observation.exact(60), lock_timeout=patience)
            assert sum(slept) == pytest.approx(patience)
    finally:
        other.close()


def test_the_repr_of_a_history_shows_only_its_path() -> None:
    """It is None in memory."""
    assert repr(DurationHistory()) == "DurationHistory(None)"


def test_the_schema_version_and_application_id_are_those_of_version_1() -> None:
    """Another layout needs another number, so that an older library does not write into the file."""
    assert (store.SCHEMA_VERSION, store.APPLICATION_ID) == (1, 0x54434A44)


@pytest.mark.parametrize("kinds", [1, 3])
@pytest.mark.parametrize("jobs", [1, 3])
def test_a_history_in_memory_can_change_during_any_operation(
    kinds: int, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another thread, or by a finalizer in the same one: nothing fails, and no other job is lost."""
    monkeypatch.setattr(module, "MAX_JOBS_PER_KIND", 3)
    monkeypatch.setattr(module, "MAX_KINDS", 3)
    history, came = DurationHistory(None), set[int]()

    def build() -> tuple[Callable[[], object], Callable[[], object]]:
        nonlocal history
        history = DurationHistory(None)
        came.clear()
        for number in range(kinds):
            history.add("reference", gave_up(-1, f"kind-{number}"))
        for number in range(jobs):
            history.add("reference", gave_up(number))
        return change, change_too

    def change() -> None:
        history.add("reference", gave_up(jobs - 1))
        history.jobs("reference", "film")

    def change_too() -> None:
        history.add("reference", gave_up(jobs - 1))
        history.add("reference", gave_up(jobs))
        history.add("reference", gave_up(-1, "new kind"))
        came.add(jobs)

    for opcode in at_every_opcode(build):
        kept = {job.began_at for job in history.jobs("reference", "film") if job.kind == "film"}
        assert {jobs - 1, *came} <= kept, f"opcode {opcode}"
