"""A status server that costs little and keeps many connections: run as a child, prints its URL.

`fast_server.py pending` returns every job as pending, for ever. `fast_server.py timed SECONDS SPREAD` finishes a
job SECONDS, and a part of SPREAD that follows from its id, after it was first checked. `GET /status/ID` is about one
job, `GET /status?ids=A,B` about many, and `GET /_count` returns how many requests came so far, itself not counted.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import zlib
from collections.abc import Callable
from urllib.parse import unquote

END_OF_HEAD = b"\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
BACKLOG = 1000

Words = Callable[[str], str]
"""What is said of a job, by its id."""


class TimedJobs:
    """Jobs that are finished some time after they were first asked for."""

    def __init__(self, seconds: float, spread: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._spread = spread
        self._clock = clock
        self._finish_at: dict[str, float] = {}

    def __call__(self, job_id: str) -> str:
        """Say how the job stands."""
        now = self._clock()
        finish_at = self._finish_at.get(job_id)
        if finish_at is None:
            finish_at = self._finish_at[job_id] = now + self.length_of(job_id)
        return "completed" if now >= finish_at else "pending"

    def length_of(self, job_id: str) -> float:
        """How long the job takes: always the same for the same id."""
        return self._seconds + self._spread * zlib.crc32(job_id.encode()) / 2**32


def always_pending(_: str) -> str:
    """Say that it is pending."""
    return "pending"


class Responder:
    """FunctionAdapter requests, and counts them."""

    def __init__(self, words: Words) -> None:
        self.count = 0
        self._words = words
        self._responses = {word: response_of({"result": word}) for word in ("pending", "completed")}

    def respond(self, head: bytes) -> bytes:
        """Answer one request, by the first line of its head."""
        target = head.split(b" ", 2)[1].decode("ascii")
        if target == "/_count":
            return response_of(self.count)
        self.count += 1
        _, is_of_many, ids = target.partition("?ids=")
        if is_of_many:
            names = [unquote(one) for one in ids.split(",")]
            return response_of({"results": [{"id": one, "result": self._words(one)} for one in names]})
        return self._responses[self._words(target.rpartition("/")[2])]


class Connection(asyncio.Protocol):
    """One connection: requests without bodies, as many as come, in parts or several at once."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete, in their order."""
        *heads, self._rest = (self._rest + data).split(END_OF_HEAD)
        if heads and self._transport is not None:
            self._transport.write(b"".join(self._responder.respond(head) for head in heads))


def response_of(body: object) -> bytes:
    """A whole response with a JSON body."""
    content = json.dumps(body).encode()
    return HEAD % (len(content), content)


def words_of(arguments: list[str]) -> Words:
    """What the command line asks for."""
    match arguments:
        case ["timed", seconds, spread]:
            return TimedJobs(float(seconds), float(spread))
        case ["pending"]:
            return always_pending
    raise SystemExit(__doc__)


async def main() -> None:
    """Serve until the parent ends us."""
    responder = Responder(words_of(sys.argv[1:]))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(responder), "127.0.0.1", 0, backlog=BACKLOG)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
