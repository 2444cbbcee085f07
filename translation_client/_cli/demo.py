"""The demo: a fake server as a child process, on a free loopback port."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .terminal import exit_in_order_on_sigterm

JOB_SECONDS = 3
"""The duration of the demo job."""


class ServerDidNotStartError(Exception):
    """The child process ended before it listened. The message has its stderr."""


@contextmanager
def running_fake_server() -> Iterator[str]:
    """Run the fake server for the length of a block, and yield its URL.

    Raises:
        ServerDidNotStartError: The server did not start, for instance because its extra is not installed.
    """
    exit_in_order_on_sigterm()
    os.environ["no_proxy"] = "127.0.0.1"  # no proxy of the environment between this process and the child
    command = [sys.executable, "-m", "fake_server", "--port", "0", "--duration", str(JOB_SECONDS)]
    with subprocess.Popen(  # noqa: S603  # a module of this package, run by this interpreter
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
