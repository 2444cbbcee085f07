"""Real processes: the server, the seed's script, the command line, and one client that many threads share."""

from __future__ import annotations

import json
import multiprocessing
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from integration_test import running_server
from support.child_processes import running
from support.ends_soon import ENDS_SOON, LASTS_LONG
from support.example_errors import KINDS, error_of
from support.fixtures import LogLines
from support.hostile_server import answering, http, refusing_url, serving
from support.log_schema import validate

from translation_client import VideoTranslationClient

pytestmark = pytest.mark.covered

SCRIPT = """
from translation_client import VideoTranslationClient

client = VideoTranslationClient(
    base_url="{url}",  # Server base URL
    max_retries={max_retries},
    backoff_factor={backoff_factor},
    timeout={timeout}
)

try:
    status = client.get_status()
    print(f"Final status: {{status}}")
except TimeoutError as e:
    print(f"Timeout occurred: {{e}}")
except Exception as e:
    print(f"An error occurred: {{e}}")
"""

CLI = [sys.executable, "-m", "translation_client"]


def run_script(url: str, *, timeout: float = 30, backoff_factor: float = 0.2, max_retries: int = 10) -> tuple[str, str]:
    """Run the seed's script, with the import changed and shorter times, and return its stdout and stderr."""
    code = SCRIPT.format(url=url, timeout=timeout, backoff_factor=backoff_factor, max_retries=max_retries)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout, done.stderr


def test_the_seeds_script_prints_the_final_status_and_logs_each_attempt() -> None:
    """The status on stdout, and the log on stderr."""
    with running_server("--duration", "1") as url:
        out, err = run_script(url)

    events = [json.loads(line)["event"] for line in err.splitlines()]
    assert out == "Final status: completed\n"
    assert events[:2] == ["status_checked", "sleeping"]
    assert events[-1] == "job_finished"


def test_the_seeds_script_prints_a_final_status_of_error() -> None:
    """It is a result, and no exception."""
    with running_server("--duration", "0", "--outcome", "error") as url:
        assert run_script(url)[0] == "Final status: error\n"


def test_the_seeds_script_prints_the_timeout() -> None:
    """And that `client.wait()` may be called."""
    with running_server("--duration", "60") as url:
        out, _ = run_script(url, timeout=1)

    assert out.startswith("Timeout occurred: the job was still 'pending' after ")
    assert "client.wait()" in out


def test_the_seeds_script_prints_the_error_of_a_refused_connection() -> None:
    """After the retries that `max_faults` allows: sleeps of 0.5 + 1 + 2 + 4 s, a quarter more or less."""
    with refusing_url() as url:
        out, err = run_script(url)

    assert out.startswith("An error occurred: http://127.0.0.1:")
    assert "could not be reached, 5 attempts in a row; the last: Connection refused" in out
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["check_failed"] * 4 + ["gave_up"]


def test_the_integration_script_prints_the_seeds_two_lines() -> None:
    """And nothing else on stdout."""
    script = Path(__file__).with_name("integration_test.py")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == "Integration Test: Final status from server: completed\nIntegration Test: Completed\n"


def test_the_server_command_prints_its_url_and_responds_to_a_status_request() -> None:
    """And logs each request."""
    command = [sys.executable, "-m", "fake_server", "--port", "0", "--duration", "60"]
    with running(command) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        body = requests.get(f"{url}/status", timeout=60).text
        server.terminate()
        _, err = server.communicate(timeout=60)

    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
    assert body == '{"result": "pending"}\n'
    assert '"GET /status HTTP/1.1" 200' in err


def test_the_server_command_reports_a_port_in_use() -> None:
    """In one line, with exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "fake_server", "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"cannot listen on port {port}: ")
    assert done.stderr.count("\n") == 1


def test_a_wait_survives_the_faults_of_a_server_process() -> None:
    """An HTML page, a dropped connection, a truncated body, and a 429."""
    faults = ["--fault", "1:html", "--fault", "2:drop", "--fault", "3:truncate", "--fault", "4:429:Retry-After=1"]
    with running_server("--duration", "0", *faults) as url, VideoTranslationClient(url) as client:
        job_id = requests.post(f"{url}/jobs", timeout=60).json()["id"]

        assert client.get_status(job_id) == "completed"


def test_the_demo_prints_the_final_status_and_its_log() -> None:
    """Without any setup."""
    done = subprocess.run([*CLI, "demo"], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == "Final status: completed\n"
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()][-1] == "job_finished"


def test_a_terminated_demo_leaves_no_server_process() -> None:
    """Its server is its one child process."""
    with running([*CLI, "demo"]) as demo:
        assert demo.stderr is not None
        demo.stderr.readline()
        children = subprocess.run(
            ["pgrep", "-P", str(demo.pid)], capture_output=True, text=True, check=True
        ).stdout.split()
        demo.terminate()
        demo.communicate(timeout=60)

    assert len(children) == 1
    assert not Path(f"/proc/{children[0]}").exists()


def test_a_failed_write_to_stdout_exits_with_code_74() -> None:
    """Exit code 1 would mean that the job failed."""
    with running_server("--duration", "0") as url, Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*CLI, "wait", "--base-url", url], stdout=full, stderr=subprocess.DEVNULL, timeout=60, check=False
        )

    assert done.returncode == 74


def test_the_wait_command_prints_the_status_to_stdout_and_logs_to_stderr() -> None:
    """Each log line is valid by the schema."""
    with running_server("--duration", "1") as url:
        done = subprocess.run(
            [*CLI, "wait", "--base-url", url, "--backoff-factor", "0.3"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )

    assert done.stdout == "completed\n"
    logged = [json.loads(line) for line in done.stderr.splitlines()]
    for line in logged:
        validate(line)
    events = [line["event"] for line in logged]
    assert events == ["status_checked", "sleeping"] * (len(events) // 2 - 1) + ["status_checked", "job_finished"]


def test_ctrl_c_ends_the_wait_command_with_code_130() -> None:
    """In the middle of a sleep."""
    with (
        running_server("--duration", "60") as url,
        running([*CLI, "wait", "--base-url", url, "--backoff-factor", "60", "--timeout", "60"]) as command,
    ):
        assert command.stderr is not None
        assert "status_checked" in command.stderr.readline()
        assert "sleeping" in command.stderr.readline()
        command.send_signal(signal.SIGINT)
        command.wait(timeout=2 * ENDS_SOON)  # the sleep takes a minute

    assert command.returncode == 130


def test_the_demo_ignores_the_proxy_of_the_environment() -> None:
    """Its requests go to its own child process."""
    environment = {**os.environ, "http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    done = subprocess.run([*CLI, "demo"], capture_output=True, text=True, check=True, timeout=60, env=environment)

    assert done.stdout == "Final status: completed\n"


def test_the_wait_command_shows_a_status_line_on_a_terminal() -> None:
    """In place of the log lines of the attempts."""
    with running_server("--duration", "1") as url, terminal() as (ours, theirs):
        done = subprocess.run(
            [*CLI, "wait", "--base-url", url, "--backoff-factor", "0.4"],
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
            timeout=60,
            check=True,
        )
        shown = os.read(ours, 100_000).decode()

    assert done.stdout == "completed\n"
    assert "pending · 1 check · " in shown
    assert "status_checked" not in shown


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    try:
        yield ours, theirs
    finally:
        os.close(ours)
        os.close(theirs)


def test_32_threads_can_share_one_client(lines: LogLines) -> None:
    """Each wait has its own state: as many checks, requests and log lines for its job."""
    with (
        running_server(
            "--duration", "0.5-2", "--fault", "1:relapse"
        ) as url,  # so that each job is checked twice or more
        ThreadPoolExecutor(32) as pool,
    ):
        ids = [requests.post(f"{url}/jobs", timeout=60).json()["id"] for _ in range(32)]
        with VideoTranslationClient(url, backoff_factor=0.1, jitter=0.5, max_retries=1000) as client:
            jobs = list(pool.map(client.wait, ids))
        arrived = Counter(one["path"] for one in requests.get(f"{url}/_control/requests", timeout=60).json())
    logged = Counter(line["job_id"] for line in lines.of("status_checked"))

    assert [job.id for job in jobs] == ids
    assert {str(job.status) for job in jobs} == {"completed"}
    assert all(job.checks == arrived[f"/status/{job.id}"] == logged[job.id] >= 2 for job in jobs)


def test_waits_in_32_threads_do_not_share_the_retry_state_of_tenacity() -> None:
    """A decorated function that threads share would: tenacity keeps its statistics in one dict."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with (
            serving(answering(http(), close=False)) as server,
            VideoTranslationClient(server.url, wait=lambda _: 0.001, max_retries=20) as client,
            ThreadPoolExecutor(32) as pool,
        ):
            errors = list(pool.map(lambda _: type(wait_for_error(client)).__name__, range(64)))
    finally:
        sys.setswitchinterval(interval)

    assert set(errors) == {"RetriesExhausted"}


def wait_for_error(client: VideoTranslationClient) -> Exception:
    try:
        client.wait()
    except Exception as error:  # noqa: BLE001  # whatever it is, it is what the test looks at
        return error
    raise AssertionError("the job cannot finish")


def test_the_error_after_the_server_is_terminated_has_the_last_job() -> None:
    """`max_faults` attempts have failed by then."""
    asleep, terminated = threading.Event(), threading.Event()

    def sleep(_: float) -> None:
        asleep.set()
        terminated.wait(60)

    with ThreadPoolExecutor(1) as pool:
        with running_server("--duration", "600") as url:
            client = VideoTranslationClient(url, max_faults=2, sleep=sleep)
            waiting = pool.submit(client.wait)
            assert asleep.wait(60)
        terminated.set()
        error = waiting.exception(timeout=60)

    assert type(error).__name__ == "RequestFailed"
    assert str(error.job.status) == "pending"  # type: ignore[union-attr]  # an error of ours


@pytest.mark.parametrize("module", ["translation_client", "fake_server"])
def test_both_packages_run_as_modules(module: str) -> None:
    """`-h` prints the usage."""
    done = subprocess.run([sys.executable, "-m", module, "-h"], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.startswith("usage: ")


def commanded(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HEYGEN_API_KEY": "key-of-heygen"}
    return subprocess.run([*CLI, *arguments], capture_output=True, text=True, check=False, timeout=60, env=environment)


def test_the_commands_submit_wait_download_and_delete_handle_a_job(tmp_path: Path) -> None:
    """Each in a process of its own, against a process that imitates HeyGen. No output has the API key or the link."""
    flags = ("--service", "heygen", "--duration", "0.2", "--fault", "create/1:drop", "--fault", "result/1:truncate")
    with running_server(*flags) as url:
        at = ("--service", "heygen", "--base-url", url)
        submitted = commanded("submit", "https://example.com/talk.mp4", "Spanish (Spain)", *at)
        job_id = submitted.stdout.strip()
        waited = commanded("wait", job_id, *at, "--backoff-factor", "0.1")
        downloaded = commanded("download", job_id, str(tmp_path / "talk.es.mp4"), *at)
        deleted = commanded("delete", job_id, *at)
        submissions = requests.get(f"{url}/_control/submissions", timeout=60).json()

    assert [done.returncode for done in (submitted, waited, downloaded, deleted)] == [0] * 4, submitted.stderr
    assert (waited.stdout, deleted.stdout) == ("completed\n", "deleted\n")
    assert (tmp_path / "talk.es.mp4").stat().st_size == 65536
    assert [submission["job_id"] for submission in submissions] == [job_id]
    for done in (submitted, waited, downloaded, deleted):
        assert "key-of-heygen" not in done.stdout + done.stderr
        assert "signature=" not in done.stdout + done.stderr


def test_a_terminated_download_command_leaves_no_file(tmp_path: Path) -> None:
    """Nor a part of one under a temporary name."""
    with running_server("--service", "heygen", "--duration", "0", "--fault", "result/1:drip-body@0.05") as url:
        at = ("--service", "heygen", "--base-url", url)
        job_id = commanded("submit", "https://example.com/talk.mp4", "French (France)", *at).stdout.strip()
        command = [*CLI, "download", job_id, str(tmp_path / "out.mp4"), *at]
        with running(command, {"HEYGEN_API_KEY": "key-of-heygen"}) as child:
            until = time.monotonic() + LASTS_LONG
            while not list(tmp_path.iterdir()) and time.monotonic() < until:
                time.sleep(0.02)
            assert list(tmp_path.iterdir())
            child.terminate()
            child.communicate(timeout=60)

    assert child.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


def raise_an_error_of(number: int) -> None:
    """Raise the error of a kind, in a worker."""
    raise error_of(KINDS[number])


def test_errors_raised_in_worker_processes_keep_their_attributes() -> None:
    """Through `ProcessPoolExecutor` and `multiprocessing.Pool`."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as futures, context.Pool(1) as pool:
        for number, kind in enumerate(KINDS):
            for call in (
                futures.submit(raise_an_error_of, number).result,
                pool.apply_async(raise_an_error_of, [number]).get,
            ):
                with pytest.raises(kind) as caught:
                    call(timeout=60)
                assert type(caught.value) is kind
                assert caught.value.args == error_of(kind).args
                assert vars(caught.value) == vars(error_of(kind))
        pool.close()
        pool.join()
