"""Servers that never finish a response, by the first part of the path: run as a child, prints their URL.

`/silent` sends nothing, `/drip` one byte of a body at a time, `/endless` a file without an end, 64 MB a second at most, and
`/refusal` a 401 whose body drips. `/pending` returns a pending job.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress

PENDING = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 21\r\n\r\n{"result": "pending"}'
HEADS = {
    "silent": b"",
    "drip": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n",
    "endless": b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n\r\n",
    "refusal": b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 100000\r\n\r\n",
}
PARTS = {"silent": (b"", 1.0), "drip": (b"x", 0.01), "endless": (b"\0" * 65536, 0.001), "refusal": (b"x", 0.01)}
"""What comes again and again after the head, and the seconds in between."""


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection until the client closes it."""
    with suppress(OSError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            place = head.split(b" ", 2)[1].decode("ascii").split("/")[1]
            if place != "pending":
                break
            writer.write(PENDING)
            await writer.drain()
        writer.write(HEADS[place])
        part, pause = PARTS[place]
        for _ in itertools.count():
            if reader.at_eof():
                break
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
    writer.close()


async def main() -> None:
    """Serve until the parent ends us."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
