"""The parts of a client that all its calls share."""

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


@dataclass(frozen=True)
class ClientContext:
    """The parts of a client, which never change."""

    service: Service
    transport: Transport
    policy: PollingPolicy
    redactor: Redactor
    logger: object
    schedule: WaitStrategy | None
    stop: StopStrategy | None
    learner: ScheduleLearner | None
