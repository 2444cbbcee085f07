"""How often was this process forked off? What is shared with the parent, sockets and threads, must not be used after."""

from __future__ import annotations

import os


class _Forks:
    count = 0


def fork_count() -> int:
    """A number that is another one in the child after a fork. Counted, as asking for the process id is a system call."""
    return _Forks.count


def _forked() -> None:
    _Forks.count += 1


if hasattr(os, "register_at_fork"):  # where there is no fork there is nothing to count
    os.register_at_fork(after_in_child=_forked)
