"""The demo: a fake server as a child process, on a free port of loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .terminal import exit_in_order_on_sigterm

JOB_SECONDS = 3
"""How long the job of the demonstration takes."""


class ServerDidNotStartError(Exception):
    """The child ended before it listened; the text is what it said."""


@contextmanager
def running_fake_server() -> Iterator[str]:
    """Run the fake server for the length of a block, and give its URL.

    Raises:
        ServerDidNotStartError: Its extra is not installed, for instance.
    """
    exit_in_order_on_sigterm()
    os.environ["no_proxy"] = "127.0.0.1"  # a proxy of the environment has no business between us and the child
    command = [sys.executable, "-m", "fake_server", "--port", "0", "--duration", str(JOB_SECONDS)]
    with subprocess.Popen(  # noqa: S603  # our own module, by our own interpreter
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            url = child.stdout.readline().strip() if child.stdout else ""
            if not url:
                raise ServerDidNotStartError(f"the fake server did not start: {child.communicate()[1].strip()}")
            yield url
        finally:
            child.terminate()
            child.communicate()
