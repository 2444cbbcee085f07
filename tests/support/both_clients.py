"""Both clients with the same arguments, behind one interface."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import requests

from fake_server import InProcessAdapter, Lab, Scenario, create_app
from support.fixtures import Clock
from support.in_process_service import HOST, KEY, LANGUAGE, PATH, VIDEO
from translation_client import (
    AsyncVideoTranslationClient,
    VideoTranslationClient,
)
from translation_client._transports.requests import RequestsTransport

CLIENTS: tuple[type[Any], ...] = (VideoTranslationClient, AsyncVideoTranslationClient)


def over_the_adapter(client: AsyncVideoTranslationClient, session: requests.Session) -> None:
    """Have the calls of a client made by the blocking transport, in process: there is no socket on frozen time."""
    ours = client._transport
    beneath = RequestsTransport(client._transport_config._replace(session=session))

    async def send(*positional: Any, **more: Any) -> Any:
        await asyncio.sleep(0)  # a call that suspends nobody would hide who cannot be suspended
        return await beneath.send(*positional, **more)

    vars(ours)["send"] = send


@dataclass
class Side:
    """A service in process, a client of one kind, and all that it logged."""

    client: Any
    lab: Lab
    service: str
    clock: Clock

    async def call(self, name: str, *positional: Any, **more: Any) -> Any:
        """Call a method of either client, and have all that it returns."""
        returned = getattr(self.client, name)(*positional, **more)
        if isinstance(returned, AsyncIterator):
            return [one async for one in returned]
        if isinstance(returned, Iterator):
            return list(returned)
        return await returned if inspect.isawaitable(returned) else returned

    async def submit(self, **more: Any) -> Any:
        return await self.call("submit", VIDEO, LANGUAGE[self.service], **more)


def side_of(kind: type[Any], scenario: Scenario, service: str, clock: Clock, **more: Any) -> Side:
    lab = Lab(scenario)
    session = requests.Session()
    session.mount("http://", InProcessAdapter(create_app(lab, service=service), sleep=clock.tick))
    usual = {"service": service, "api_key": KEY, "sleep": clock.tick, "timeout": 600, "max_retries": 100, **more}
    url = HOST + PATH.get(service, "")
    if kind is VideoTranslationClient:
        return Side(VideoTranslationClient(url, session=session, **usual), lab, service, clock)
    client = AsyncVideoTranslationClient(url, **usual)
    over_the_adapter(client, session)
    return Side(client, lab, service, clock)
