"""The threads and files that a process has open, to check that something leaves none behind."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import NamedTuple


class OpenResources(NamedTuple):
    """The number of living threads, and of open files of any kind, sockets too."""

    threads: int
    files: int


def open_resources() -> OpenResources:
    """Count what this process has open."""
    return OpenResources(threading.active_count(), len(list(Path("/proc/self/fd").iterdir())))


def is_nothing_more_open(before: OpenResources) -> bool:
    """Return True if no more is open than before.

    It may be less, as the garbage of earlier tests is closed at any time. What is left could be hidden by that.
    """
    now = open_resources()
    return now.threads <= before.threads and now.files <= before.files
