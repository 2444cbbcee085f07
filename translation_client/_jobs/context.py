"""The context that all calls of a client share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._auth.redactor import Redactor
from .._config import PollingPolicy
from .._polling import StopStrategy, WaitStrategy
from .._transports.base import Transport
from ..services.service import Service

if TYPE_CHECKING:
    from ..schedule.learner import ScheduleLearner


@dataclass(frozen=True, eq=False, repr=False)
class ClientContext:
    """The context that all calls of a client share. It never changes.

    Attributes:
        service: How the service speaks.
        transport: Sends the requests.
        policy: The timeouts, the retries and the backoff.
        redactor: Redacts the secrets of the client.
        logger: The caller's logger, prepared by `wrap_logger`; None to choose one for each line.
        wait: The caller's wait strategy in place of the backoff, or None.
        stop: The caller's stop strategy, or None.
        learner: Creates the learned schedule of each wait; None without a history.
    """

    service: Service
    transport: Transport
    policy: PollingPolicy
    redactor: Redactor
    logger: object
    wait: WaitStrategy | None
    stop: StopStrategy | None
    learner: ScheduleLearner | None
