"""What do all errands of a client share?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .lines import Line
from .policy import WaitPolicy
from .redaction import Secrets
from .services.service import Service
from .strategies import StopStrategy, WaitStrategy

if TYPE_CHECKING:  # needed where a schedule learns alone
    from .learning import Learning


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
