"""The delivery of a response as steps, with its faults. A socket or the in-process adapter plays them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

from .faults import Fault
from .replies import Body, Reply

ENDLESS_PART = b" " * 65536

OF_THE_BODY = ("drip-body", "truncate", "truncate-chunked", "endless")
"""Faults of the body, which need one."""

PROCESSING_RESPONSES = 3
"""The number of interim responses of `processing`."""

HEADERS_FIRST_SECONDS = 0.02
"""The delay between the headers and a reset. Without it a slow client would see only the reset."""


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
    """Wait for the next request of the client, at most some seconds."""

    seconds: float


class End(Enum):
    """The last step."""

    KEEP = "the connection stays open for the next request"
    CLOSE = "the connection is closed in order"
    RESET = "the connection is reset"
    HANG = "nothing comes any more, until the client goes away"
    REFUSE = "all connections are closed, and new ones refused"


Step = Send | Pause | AwaitRequest | End


def steps(reply: Reply, fault: Fault | None, *, keep_alive: bool, is_head: bool = False) -> Iterator[Step]:
    """Yield the steps of a delivery.

    Args:
        reply: The response.
        fault: The fault. None, or a fault of the content, for an undisturbed delivery.
        keep_alive: True if the client wants to keep the connection.
        is_head: True if the request method was HEAD. No body is sent then, so it cannot have a fault either.
    """
    body = reply.body if _may_have_body(reply.status_code) and not is_head else b""
    if fault is not None and fault.action in _DELIVERIES and not (is_head and fault.action in OF_THE_BODY):
        yield from _DELIVERIES[fault.action](reply, body, fault)
        return
    whole = _whole(reply, body, keep_alive=keep_alive)
    yield from whole if fault is None or fault.action not in _MORE else _MORE[fault.action](whole, fault)


def _may_have_body(status_code: int) -> bool:
    return status_code >= 200 and status_code not in (204, 304)


def _whole(reply: Reply, body: Body, *, keep_alive: bool = False) -> Iterator[Step]:
    keeps = keep_alive and ("connection", "close") not in [(name.lower(), value) for name, value in reply.headers]
    yield from _sent(_head(reply, _length(reply), closes=not keeps), body)
    yield End.KEEP if keeps else End.CLOSE


def _sent(head: bytes, body: Body) -> Iterator[Step]:
    """Yield the head together with the first block of the body, so that a small response is one segment."""
    blocks = iter([body]) if isinstance(body, bytes) else body.blocks()
    yield Send(head + next(blocks, b""))
    yield from map(Send, blocks)


def _length(reply: Reply) -> tuple[str, str] | None:
    return ("Content-Length", str(len(reply.body))) if _may_have_body(reply.status_code) else None


def _head(reply: Reply, framing: tuple[str, str] | None, *, closes: bool = True) -> bytes:
    """Return the status line and the headers. Framing headers of a fault replace the correct ones."""
    names = {name.lower() for name, _ in reply.headers}
    own = [("Connection", "close")] if closes else []
    own += [framing] if framing and not names & {"content-length", "transfer-encoding"} else []
    lines = [f"HTTP/1.1 {reply.status_code} {_phrase(reply.status_code)}"]
    lines += [
        f"{name}: {value}" for name, value in (*reply.headers, *(one for one in own if one[0].lower() not in names))
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _phrase(status_code: int) -> str:
    try:
        return HTTPStatus(status_code).phrase
    except ValueError:
        return "Unknown"


def _late(reply: Reply, body: Body, fault: Fault) -> Iterator[Step]:
    yield Pause(fault.seconds)
    yield from _whole(reply, body)


def _reset_in_headers(reply: Reply, _: Body, __: Fault) -> Iterator[Step]:
    head = _head(reply, _length(reply))
    yield Send(head[: len(head) // 2])
    yield Pause(HEADERS_FIRST_SECONDS)
    yield End.RESET


def _reset_after_headers(reply: Reply, body: Body, _: Fault) -> Iterator[Step]:
    yield from _sent(_head(reply, _length(reply)), body[: len(body) // 2])
    yield Pause(HEADERS_FIRST_SECONDS)
    yield End.RESET


def _drip(data: Body, seconds: float) -> Iterator[Step]:
    for block in [data] if isinstance(data, bytes) else data.blocks():
        for number in range(len(block)):
            yield Pause(seconds)
            yield Send(block[number : number + 1])


def _drip_headers(reply: Reply, body: Body, fault: Fault) -> Iterator[Step]:
    yield from _drip(_head(reply, _length(reply)), fault.seconds)
    yield from _sent(b"", body)
    yield End.CLOSE


def _drip_body(reply: Reply, body: Body, fault: Fault) -> Iterator[Step]:
    yield Send(_head(reply, _length(reply)))
    yield from _drip(body, fault.seconds)
    yield End.CLOSE


def _truncate(reply: Reply, body: Body, _: Fault) -> Iterator[Step]:
    yield from _sent(_head(reply, _length(reply)), body[: len(body) // 2])
    yield End.CLOSE


def _chunked_head(reply: Reply) -> bytes:
    return _head(reply.without("Content-Length"), ("Transfer-Encoding", "chunked"))


def _truncate_chunked(reply: Reply, body: Body, _: Fault) -> Iterator[Step]:
    yield from _sent(_chunked_head(reply) + b"%x\r\n" % len(body), body[: len(body) // 2])
    yield End.CLOSE


def _endless(reply: Reply, body: Body, _: Fault) -> Iterator[Step]:
    yield Send(_chunked_head(reply) + _chunk(body))
    while True:
        yield Send(_chunk(ENDLESS_PART))


def _chunk(data: Body) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), bytes(data))


def _only(end: End) -> Callable[[Reply, Body, Fault], Iterator[Step]]:
    def deliver(_: Reply, __: Body, ___: Fault) -> Iterator[Step]:
        yield end

    return deliver


_DELIVERIES: dict[str, Callable[[Reply, Body, Fault], Iterator[Step]]] = {
    "late": _late,
    "mute": _only(End.HANG),
    "drop": _only(End.CLOSE),
    "refuse": _only(End.REFUSE),
    "reset": _only(End.RESET),
    "reset-in-headers": _reset_in_headers,
    "reset-after-headers": _reset_after_headers,
    "drip-headers": _drip_headers,
    "drip-body": _drip_body,
    "truncate": _truncate,
    "truncate-chunked": _truncate_chunked,
    "endless": _endless,
}


def _early_hints(whole: Iterator[Step], fault: Fault) -> Iterator[Step]:
    yield Send(b"HTTP/1.1 103 Early Hints\r\nLink: </>; rel=preconnect\r\n\r\n")
    yield Pause(fault.seconds)
    yield from whole


def _processing(whole: Iterator[Step], fault: Fault) -> Iterator[Step]:
    for _ in range(PROCESSING_RESPONSES):
        yield Send(b"HTTP/1.1 102 Processing\r\n\r\n")
        yield Pause(fault.seconds)
    yield from whole


def _doubled(whole: Iterator[Step], _: Fault) -> Iterator[Step]:
    data, end = _sent_and_end(whole)
    yield Send(data + data)
    yield end


def _repeated(whole: Iterator[Step], fault: Fault) -> Iterator[Step]:
    data, end = _sent_and_end(whole)
    yield Send(data)
    if end is End.KEEP:
        yield AwaitRequest(math.inf if fault.action == "repeated-late" else fault.seconds)
        yield Send(data)
    yield end


def _sent_and_end(whole: Iterator[Step]) -> tuple[bytes, Step]:
    *sent, end = whole
    return b"".join(step.data for step in sent if isinstance(step, Send)), end


_MORE: dict[str, Callable[[Iterator[Step], Fault], Iterator[Step]]] = {
    "early-hints": _early_hints,
    "processing": _processing,
    "doubled": _doubled,
    "repeated": _repeated,
    "repeated-late": _repeated,
}
"""Undisturbed deliveries with something before or after them. The connection is kept."""
