"""Responses on the wire: the bytes to send, pauses and the end of the connection, with faults.

The steps are run by `http_handler.py` on a socket, and by `adapter.py` in process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

from .faults import Fault
from .replies import Body, Reply

ENDLESS_CHUNK = b" " * 65536

BODY_ACTIONS = ("drip-body", "truncate", "truncate-chunked", "endless")
"""Faults that need a body."""

PROCESSING_RESPONSES = 3
"""The number of interim responses of `processing`."""

RESET_DELAY_SECONDS = 0.02
"""The pause between the headers and a reset. Without it a slow client would see only the reset."""


@dataclass(frozen=True)
class Send:
    """Send bytes."""

    data: bytes


@dataclass(frozen=True)
class Pause:
    """Wait for some seconds."""

    seconds: float


@dataclass(frozen=True)
class AwaitRequest:
    """Wait for the next request of the client, but not longer than some seconds."""

    seconds: float


class End(Enum):
    """The last step: what happens to the connection."""

    KEEP = "the connection stays open for the next request"
    CLOSE = "the connection is closed"
    RESET = "the connection is reset"
    HANG = "nothing more is sent, until the client disconnects"
    REFUSE = "all connections are closed, and new ones refused"


Step = Send | Pause | AwaitRequest | End


def wire_steps(reply: Reply, fault: Fault | None, *, keep_alive: bool, is_head: bool = False) -> Iterator[Step]:
    """Yield the steps that send a response.

    Args:
        reply: The response.
        fault: The fault. With None, or a fault of the content, `reply` is sent as it is.
        keep_alive: True if the client wants to keep the connection.
        is_head: True if the request method was HEAD. No body is sent then, so that faults of the body do not apply.
    """
    body = reply.body if _may_have_body(reply.status_code) and not is_head else b""
    if fault is not None and fault.action in _REPLACEMENTS and not (is_head and fault.action in BODY_ACTIONS):
        yield from _REPLACEMENTS[fault.action](reply, body, fault)
        return
    steps = _normal_steps(reply, body, keep_alive=keep_alive)
    if fault is not None and fault.action in _ADDITIONS:
        steps = _ADDITIONS[fault.action](steps, fault)
    yield from steps


def _may_have_body(status_code: int) -> bool:
    return status_code >= 200 and status_code not in (204, 304)


def _normal_steps(reply: Reply, body: Body, *, keep_alive: bool = False) -> Iterator[Step]:
    keep = keep_alive and ("connection", "close") not in [(name.lower(), value) for name, value in reply.headers]
    yield from _head_and_body(_head(reply, _content_length(reply), close=not keep), body)
    yield End.KEEP if keep else End.CLOSE


def _head_and_body(head: bytes, body: Body) -> Iterator[Step]:
    """Yield the head together with the first block of the body, so that a small response is one TCP segment."""
    blocks = iter([body]) if isinstance(body, bytes) else body.blocks()
    yield Send(head + next(blocks, b""))
    yield from map(Send, blocks)


def _content_length(reply: Reply) -> tuple[str, str] | None:
    return ("Content-Length", str(len(reply.body))) if _may_have_body(reply.status_code) else None


def _head(reply: Reply, framing: tuple[str, str] | None, *, close: bool = True) -> bytes:
    """Return the status line and the headers. `Content-Length` or `Transfer-Encoding` of a fault replaces `framing`."""
    names = {name.lower() for name, _ in reply.headers}
    added = [("Connection", "close")] if close else []
    added += [framing] if framing and not names & {"content-length", "transfer-encoding"} else []
    headers = [*reply.headers, *((name, value) for name, value in added if name.lower() not in names)]
    lines = [f"HTTP/1.1 {reply.status_code} {_reason_phrase(reply.status_code)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _reason_phrase(status_code: int) -> str:
    try:
        return HTTPStatus(status_code).phrase
    except ValueError:
        return "Unknown"


def _late(reply: Reply, body: Body, fault: Fault) -> Iterator[Step]:
    yield Pause(fault.seconds)
    yield from _normal_steps(reply, body)


def _reset_in_headers(reply: Reply, _: Body, __: Fault) -> Iterator[Step]:
    head = _head(reply, _content_length(reply))
    yield Send(head[: len(head) // 2])
    yield Pause(RESET_DELAY_SECONDS)
    yield End.RESET


def _reset_after_headers(reply: Reply, body: Body, _: Fault) -> Iterator[Step]:
    yield from _head_and_body(_head(reply, _content_length(reply)), body[: len(body) // 2])
    yield Pause(RESET_DELAY_SECONDS)
    yield End.RESET


def _drip(data: Body, seconds: float) -> Iterator[Step]:
    for block in [data] if isinstance(data, bytes) else data.blocks():
        for number in range(len(block)):
            yield Pause(seconds)
            yield Send(block[number : number + 1])


def _drip_headers(reply: Reply, body: Body, fault: Fault) -> Iterator[Step]:
    yield from _drip(_head(reply, _content_length(reply)), fault.seconds)
    yield from _head_and_body(b"", body)
    yield End.CLOSE


def _drip_body(reply: Reply, body: Body, fault: Fault) -> Iterator[Step]:
    yield Send(_head(reply, _content_length(reply)))
    yield from _drip(body, fault.seconds)
    yield End.CLOSE


def _truncate(reply: Reply, body: Body, _: Fault) -> Iterator[Step]:
    yield from _head_and_body(_head(reply, _content_length(reply)), body[: len(body) // 2])
    yield End.CLOSE


def _chunked_head(reply: Reply) -> bytes:
    return _head(reply.without_headers("Content-Length"), ("Transfer-Encoding", "chunked"))


def _truncate_chunked(reply: Reply, body: Body, _: Fault) -> Iterator[Step]:
    yield from _head_and_body(_chunked_head(reply) + b"%x\r\n" % len(body), body[: len(body) // 2])
    yield End.CLOSE


def _endless(reply: Reply, body: Body, _: Fault) -> Iterator[Step]:
    yield Send(_chunked_head(reply) + (_chunk(body) if body else b""))  # an empty chunk would be the end
    while True:
        yield Send(_chunk(ENDLESS_CHUNK))


def _chunk(data: Body) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), bytes(data))


def _end_with(end: End) -> Callable[[Reply, Body, Fault], Iterator[Step]]:
    def end_connection(_: Reply, __: Body, ___: Fault) -> Iterator[Step]:
        yield end

    return end_connection


_REPLACEMENTS: dict[str, Callable[[Reply, Body, Fault], Iterator[Step]]] = {
    "late": _late,
    "mute": _end_with(End.HANG),
    "drop": _end_with(End.CLOSE),
    "refuse": _end_with(End.REFUSE),
    "reset": _end_with(End.RESET),
    "reset-in-headers": _reset_in_headers,
    "reset-after-headers": _reset_after_headers,
    "drip-headers": _drip_headers,
    "drip-body": _drip_body,
    "truncate": _truncate,
    "truncate-chunked": _truncate_chunked,
    "endless": _endless,
}
"""Functions that replace the normal steps, and do not keep the connection."""


def _early_hints(normal_steps: Iterator[Step], fault: Fault) -> Iterator[Step]:
    yield Send(b"HTTP/1.1 103 Early Hints\r\nLink: </>; rel=preconnect\r\n\r\n")
    yield Pause(fault.seconds)
    yield from normal_steps


def _processing(normal_steps: Iterator[Step], fault: Fault) -> Iterator[Step]:
    for _ in range(PROCESSING_RESPONSES):
        yield Send(b"HTTP/1.1 102 Processing\r\n\r\n")
        yield Pause(fault.seconds)
    yield from normal_steps


def _doubled(normal_steps: Iterator[Step], _: Fault) -> Iterator[Step]:
    data, end = _join(normal_steps)
    yield Send(data + data)
    yield end


def _repeated(normal_steps: Iterator[Step], fault: Fault) -> Iterator[Step]:
    data, end = _join(normal_steps)
    yield Send(data)
    if end is End.KEEP:
        yield AwaitRequest(math.inf if fault.action == "repeated-late" else fault.seconds)
        yield Send(data)
    yield end


def _join(normal_steps: Iterator[Step]) -> tuple[bytes, Step]:
    *steps, end = normal_steps
    return b"".join(step.data for step in steps if isinstance(step, Send)), end


_ADDITIONS: dict[str, Callable[[Iterator[Step], Fault], Iterator[Step]]] = {
    "early-hints": _early_hints,
    "processing": _processing,
    "doubled": _doubled,
    "repeated": _repeated,
    "repeated-late": _repeated,
}
"""Functions that add something before or after the normal steps. The connection is kept if the client wants it."""
