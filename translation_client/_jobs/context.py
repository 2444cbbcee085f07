"""What all calls of a client share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._auth import Secrets
from .._config import WaitPolicy
from .._polling import StopStrategy, WaitStrategy
from .._transports.base import Line
from ..services.service import Service

if TYPE_CHECKING:
    from ..schedule.learner import Learning


@dataclass(frozen=True)
class Tools:
    """The parts of a client; none of them changes."""

    service: Service
    line: Line
    policy: WaitPolicy
    secrets: Secrets
    logger: object
    schedule: WaitStrategy | None
    stop: StopStrategy | None
    learning: Learning | None
