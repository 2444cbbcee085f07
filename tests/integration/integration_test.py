"""An integration test: the client polls a real server process, and the script prints the two lines of the seed.

Run it, `python tests/integration/integration_test.py`, or have pytest collect it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from translation_client import TranslationStatus, VideoTranslationClient


@contextmanager
def running_server(*options: str) -> Iterator[str]:
    """Run `python -m fake_server` on a free port for the length of a block, and give its URL."""
    command = [sys.executable, "-m", "fake_server", "--port", "0", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True
    ) as server:  # stderr is not captured: its log lines are shown
        try:
            url = server.stdout.readline().strip() if server.stdout else ""
            if not url:
                raise RuntimeError("the server did not start; it says why above")
            yield url
        finally:
            server.terminate()


def final_status() -> TranslationStatus:
    """Start the server, poll it until the job is final, and stop it."""
    with (
        running_server("--duration", "1") as url,
        VideoTranslationClient(base_url=url, max_retries=10, backoff_factor=0.4, timeout=30) as client,
    ):
        return client.get_status()


def test_the_client_polls_a_real_server_process_until_the_job_is_completed() -> None:
    """The same run as that of the script, without its output."""
    assert final_status() == "completed"


if __name__ == "__main__":
    print(f"Integration Test: Final status from server: {final_status()}")
    print("Integration Test: Completed")
