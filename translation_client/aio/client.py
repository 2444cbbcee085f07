"""The client for asyncio: what can be asked for is what `VideoTranslationClient` has, and it is awaited."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import aiohttp
from tenacity.stop import StopBaseT
from tenacity.wait import WaitBaseT

from ..assembly import Settings, tools_of
from ..credentials import ApiKey
from ..services.service import Service
from .line import async_line
from .orders import AsyncOrders

if TYPE_CHECKING:  # needed where a schedule learns alone, and so is not part of every import
    from ..history import DurationHistory


class AsyncVideoTranslationClient(AsyncOrders):
    """Waits for video translation jobs, from any number of tasks of one event loop; each wait has a state of its own.

    Arguments, defaults, events and errors are those of `VideoTranslationClient`. What differs: `session` is an
    `aiohttp.ClientSession`, `cancel` may be an `asyncio.Event`, and what `sleep` returns is awaited if it can be. And
    aiohttp reads the head of an answer more strictly: a line without a colon, say, is an `UnexpectedAnswer` there.

    Under freezegun the client needs `freeze_time(..., real_asyncio=True)`: without it no timer of an event loop runs, those of
    `asyncio.sleep` and of our deadlines included.
    """

    def __init__(
        self,
        base_url: str | None = None,
        max_retries: float | None = None,
        backoff_factor: float = 2,
        timeout: float | None = None,
        *,
        max_delay: float = 60,
        jitter: float = 0.0,
        request_timeout: float | None = None,
        max_faults: float | None = None,
        wait: WaitBaseT | None = None,
        stop: StopBaseT | None = None,
        sleep: Callable[[float], Any] | None = None,
        service: str | Service = "reference",
        api_key: ApiKey | None = None,
        session: aiohttp.ClientSession | None = None,
        headers: Mapping[str, str] | None = None,
        logger: Any = None,
        history: str | os.PathLike[str] | DurationHistory | bool | None = None,
        check_cost: float | None = None,
        target_lag: float | None = None,
        max_lag: float | None = None,
        spread_checks: bool = False,
    ) -> None:
        """Check the arguments, as `VideoTranslationClient` does; nothing is sent, and no event loop is needed yet."""
        given = Settings(
            base_url=base_url,
            max_retries=max_retries,
            backoff_factor=backoff_factor,
            timeout=timeout,
            max_delay=max_delay,
            jitter=jitter,
            request_timeout=request_timeout,
            max_faults=max_faults,
            wait=wait,
            stop=stop,
            sleep=sleep,
            service=service,
            api_key=api_key,
            session=session,
            headers=headers,
            logger=logger,
            history=history,
            check_cost=check_cost,
            target_lag=target_lag,
            max_lag=max_lag,
            spread_checks=spread_checks,
        )
        tools, self._line, _ = tools_of(given, async_line)
        super().__init__(tools)

    async def close(self) -> None:
        """Free the sockets and end every wait with `WaitCancelled`; so does any later call."""
        await self._line.close()

    async def __aenter__(self) -> AsyncVideoTranslationClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.shield(self.close())  # also where the task is being cancelled

    def __repr__(self) -> str:
        if "_tools" not in vars(self):  # its constructor raised, and a traceback shows it
            return "<AsyncVideoTranslationClient, not initialized>"
        return f"AsyncVideoTranslationClient({self._line.base_url!r}, service={self._tools.service.name!r})"
