"""Was this process forked? What is shared with the parent, sockets, threads and locks, must not be used after."""

from __future__ import annotations

import os
from collections.abc import Callable


class _Forks:
    count = 0


def fork_count() -> int:
    """A number that is another one in the child after a fork. Counted, as asking for the process id is a system call."""
    return _Forks.count


def after_fork(forget: Callable[[], None]) -> None:
    """Have `forget` called in every child, before anything else runs there; where there is no fork, never."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget)


def _forked() -> None:
    _Forks.count += 1


after_fork(_forked)
