"""Sockets that obey the cancel scope of the call that uses them.

They block for one slice of time at most. They replace those of urllib3 for all it reads or writes: status line,
headers, chunk sizes, body, TLS handshake, a proxy's reply to CONNECT. No thread is needed. Outside a call of ours they
behave as any socket does.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any, TypeVar

from .._clock import real_monotonic
from .cancel_scope import CURRENT, CancelScope

T = TypeVar("T")


class GuardedSocket(socket.socket):
    """A socket that obeys the cancel scope of the call that uses it. It blocks for one slice of time at most."""

    def settimeout(self, value: float | None) -> None:
        """Set the timeout, except during a call: its cancel scope sets it, and each change costs a system call."""
        if CURRENT.scope is None:
            super().settimeout(value)

    def recv(self, *args: Any, **kwargs: Any) -> bytes:
        scope = CURRENT.scope
        if scope is None:
            return super().recv(*args, **kwargs)
        data = _in_slices(self, scope, super().recv, *args, **kwargs)
        scope.record_received()
        return data

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        scope = CURRENT.scope
        if scope is None:
            return super().recv_into(*args, **kwargs)
        size = _in_slices(self, scope, super().recv_into, *args, **kwargs)
        scope.record_received()
        return size

    def send(self, *args: Any, **kwargs: Any) -> int:
        scope = CURRENT.scope
        if scope is None:
            return super().send(*args, **kwargs)
        scope.has_sent = True  # set first: if it fails, some bytes may have been sent
        count = _in_slices(self, scope, super().send, *args, **kwargs)
        scope.record_sent()
        return count

    def sendall(self, data: Any, flags: int = 0) -> None:
        if CURRENT.scope is None:
            return super().sendall(data, flags)
        rest = memoryview(data).cast("B")
        while rest:  # not the system's sendall: how much it sent is unknown after a timeout
            rest = rest[self.send(rest, flags) :]
        return None


IGNORE_UNEXPECTED_EOF = getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
"""The option of OpenSSL 3 that takes a connection's end for `close_notify`.

Python sets it, and we clear it to detect bodies that are cut off.
"""


class GuardedTLSSocket(GuardedSocket, ssl.SSLSocket):
    """A TLS socket that obeys the cancel scope of the call that uses it, during the handshake too."""

    def recv(self, *args: Any, **kwargs: Any) -> bytes:
        """Read decrypted bytes, or none at the end of TLS or of the connection. That is how urllib3 reads TLS within TLS."""
        try:
            return super().recv(*args, **kwargs)
        except ssl.SSLEOFError:
            return b""  # not recorded: the inner TLS may have ended before

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Read decrypted bytes, or 0 at the end of TLS or of the connection. The latter is recorded."""
        self.suppress_ragged_eofs = False
        try:
            return super().recv_into(*args, **kwargs)
        except ssl.SSLEOFError:
            _record_tls_cut_off()
            return 0

    def do_handshake(self, block: bool = False) -> None:
        """Do the TLS handshake in slices of time."""
        try:
            _in_slices(self, CURRENT.scope, super().do_handshake, block)
        except BaseException:  # older Pythons close the socket only for an OSError
            self.close()
            raise


class GuardedTLSObject(ssl.SSLObject):
    """TLS within TLS, through a proxy, whose end is recorded in the same way."""

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002  # the name that `ssl` gives it
        """Read decrypted bytes."""
        try:
            return super().read(len, buffer)
        except ssl.SSLEOFError:
            _record_tls_cut_off()
            raise


def _record_tls_cut_off() -> None:
    if CURRENT.scope is not None:
        CURRENT.scope.is_tls_cut_off = True


def _in_slices(
    sock: GuardedSocket, scope: CancelScope | None, operation: Callable[..., T], *args: Any, **kwargs: Any
) -> T:
    if scope is None:
        return operation(*args, **kwargs)
    while True:
        seconds = scope.next_slice()
        if sock.gettimeout() != seconds:
            socket.socket.settimeout(sock, seconds)  # ours does nothing during a call
        began_at = real_monotonic()
        try:
            return operation(*args, **kwargs)
        except TimeoutError:
            continue  # only the slice has ended; the scope raises when the call has
        finally:
            scope.stopwatch.add(real_monotonic() - began_at)


def guarded(kind: type[ssl.SSLSocket]) -> type[GuardedTLSSocket]:
    """Return the class of a TLS socket with the methods of `GuardedTLSSocket` before its own."""
    return GuardedTLSSocket if kind is ssl.SSLSocket else type(kind.__name__, (GuardedTLSSocket, kind), {})
