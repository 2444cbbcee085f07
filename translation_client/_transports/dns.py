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
    """A number that is another one in the child after a fork. Counted, as asking for the process id is a system call."""
    return _ForkState.count


def after_fork(forget: Callable[[], None]) -> None:
    """Have `forget` called in every child, before anything else runs there; where there is no fork, never."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget)


def _forked() -> None:
    _ForkState.count += 1


after_fork(_forked)


SocketAddress = tuple[int, int, int, str, Any]
"""What `socket.getaddrinfo` gives: family, type, protocol, canonical name, address."""

_Key = tuple[str, int]


class _Lookup:
    """The lookups of this process that have not been answered yet."""

    lock = threading.Lock()
    lookups: ClassVar[dict[_Key, Future[list[SocketAddress]]]] = {}


def _forget_all() -> None:
    _Lookup.lock = threading.Lock()  # the parent's may be held, by a thread that does not live on in a fork
    _Lookup.lookups = {}


after_fork(_forget_all)


def resolve(host: str, port: int, guard: CancelScope) -> list[SocketAddress]:
    """Look up a host name, within the limits of a call.

    One thread for a host and port at any time, however many calls ask: a resolver that is stuck does not pile up threads.

    Raises:
        OSError: There is no such name.
        CallCut: The call was ended first. The helper goes on until the resolver answers.
    """
    if _is_number(host):
        return _addresses_of(host, port)
    lookup = shared_lookup(host, port)
    while not lookup.done():
        seconds = guard.slice()
        with guard.stopwatch.measure():
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
    """Look a name up in a helper thread, the one that is at it already if there is one."""
    key = (host, port)
    with _Lookup.lock:
        lookup = _Lookup.lookups.get(key)
        return _begin_lookup(key) if lookup is None else lookup


def _begin_lookup(key: _Key) -> Future[list[SocketAddress]]:
    lookup: Future[list[SocketAddress]] = Future()
    # A daemon, so that a stuck resolver does not hold up the exit of the program.
    helper = threading.Thread(target=_look_up, args=(key, lookup), name=f"resolve {key[0]}", daemon=True)
    _Lookup.lookups[key] = lookup
    try:
        helper.start()
    except BaseException as error:
        del _Lookup.lookups[key]  # or nobody would ever look this name up again
        if isinstance(error, RuntimeError):
            raise OSError(errno.EAGAIN, "no thread could be started to look the name up") from error
        raise
    return lookup


def _look_up(key: _Key, lookup: Future[list[SocketAddress]]) -> None:
    try:
        addresses = _addresses_of(*key)
    except BaseException as error:  # noqa: BLE001  # whatever it is, the waiting calls have to hear of it
        _forget(key)
        lookup.set_exception(error)
    else:
        _forget(key)
        lookup.set_result(addresses)


def _forget(key: _Key) -> None:
    with _Lookup.lock:
        _Lookup.lookups.pop(key, None)


async def lookup_async(host: str, port: int) -> list[SocketAddress]:
    """Look up a host name, for a task that waits for it and may be cancelled. The helper goes on until it is answered.

    Raises:
        OSError: There is no such name.
    """
    import asyncio  # needed by tasks alone

    lookup = asyncio.wrap_future(shared_lookup(host, port))
    lookup.add_done_callback(_set_addresses)  # also where nobody waits for it any more
    return await asyncio.shield(lookup)


def _set_addresses(lookup: Any) -> None:
    if not lookup.cancelled():
        lookup.exception()
