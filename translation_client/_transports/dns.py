"""Name lookup in a helper thread, as the system's resolver cannot be interrupted, and safety after a fork.

What is shared with the parent process, such as sockets, threads and locks, must not be used after a fork.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, ClassVar

from .cancel_scope import CancelScope


class _ForkState:
    count = 0


def fork_count() -> int:
    """Return a number that changes in the child after a fork. A counter, as reading the process id is a system call."""
    return _ForkState.count


def after_fork(forget: Callable[[], None]) -> None:
    """Register a function to run in every child before anything else. Does nothing on systems without fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget)


def _forked() -> None:
    _ForkState.count += 1


after_fork(_forked)


SocketAddress = tuple[int, int, int, str, Any]
"""An item of `socket.getaddrinfo`: family, type, protocol, canonical name, address."""

_Key = tuple[str, int]


class _Lookup:
    """The lookups in progress in this process."""

    lock = threading.Lock()
    lookups: ClassVar[dict[_Key, Future[list[SocketAddress]]]] = {}


def _forget_all() -> None:
    _Lookup.lock = threading.Lock()  # the parent's may be held by a thread that a fork does not copy
    _Lookup.lookups = {}


after_fork(_forget_all)


def resolve(host: str, port: int, scope: CancelScope) -> list[SocketAddress]:
    """Return the addresses of a host name, within the limits of a call.

    At most one thread runs for each host and port, however many calls wait: a stuck resolver does not pile up threads.

    Raises:
        OSError: There is no such name.
        CallAborted: The call was ended first. The helper thread runs until the resolver returns.
    """
    if _is_number(host):
        return _addresses_of(host, port)
    lookup = shared_lookup(host, port)
    while not lookup.done():
        seconds = scope.next_slice()
        with scope.stopwatch.measure():
            wait([lookup], timeout=seconds)
    return lookup.result()


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _addresses_of(host: str, port: int) -> list[SocketAddress]:
    return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


def shared_lookup(host: str, port: int) -> Future[list[SocketAddress]]:
    """Start the lookup of a name in a helper thread, or return the one in progress."""
    key = (host, port)
    with _Lookup.lock:
        lookup = _Lookup.lookups.get(key)
        return _begin_lookup(key) if lookup is None else lookup


def _begin_lookup(key: _Key) -> Future[list[SocketAddress]]:
    lookup: Future[list[SocketAddress]] = Future()
    # A daemon, so that a stuck resolver does not delay the exit of the program.
    helper = threading.Thread(target=_look_up, args=(key, lookup), name=f"resolve {key[0]}", daemon=True)
    _Lookup.lookups[key] = lookup
    try:
        helper.start()
    except BaseException as error:
        del _Lookup.lookups[key]  # or this name could never be looked up again
        if isinstance(error, RuntimeError):
            raise OSError(errno.EAGAIN, "no thread could be started to look the name up") from error
        raise
    return lookup


def _look_up(key: _Key, lookup: Future[list[SocketAddress]]) -> None:
    try:
        addresses = _addresses_of(*key)
    except BaseException as error:  # noqa: BLE001  # the waiting calls need every exception
        _forget(key)
        lookup.set_exception(error)
    else:
        _forget(key)
        lookup.set_result(addresses)


def _forget(key: _Key) -> None:
    with _Lookup.lock:
        _Lookup.lookups.pop(key, None)


async def lookup_async(host: str, port: int) -> list[SocketAddress]:
    """Return the addresses of a host name, for a task that may be cancelled.

    The helper thread runs until the resolver returns.

    Raises:
        OSError: There is no such name.
    """
    import asyncio  # imported here, as only tasks need it

    lookup = asyncio.wrap_future(shared_lookup(host, port))
    lookup.add_done_callback(_mark_retrieved)  # retrieves the exception even if no task waits any more
    return await asyncio.shield(lookup)


def _mark_retrieved(lookup: Any) -> None:
    if not lookup.cancelled():
        lookup.exception()
