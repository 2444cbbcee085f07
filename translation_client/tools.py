"""What do all errands of a client share?"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .policy import WaitPolicy
from .redaction import Secrets
from .services.service import Service
from .strategies import StopStrategy, WaitStrategy
from .transport import Transport

if TYPE_CHECKING:  # needed where a schedule learns alone
    from .learning import Learning


@dataclass(frozen=True)
class Tools:
    """The parts of a client; none of them changes."""

    service: Service
    transport: Transport
    policy: WaitPolicy
    secrets: Secrets
    logger: object
    schedule: WaitStrategy | None
    stop: StopStrategy | None
    sleep: Callable[[float], object] | None
    closed: threading.Event
    learning: Learning | None
