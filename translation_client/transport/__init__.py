"""How do bytes get there and back? One call at a time, within its limits, whatever the server does."""

from __future__ import annotations

from .guard import CallCancelled, CallCut, CallTimedOut, NotSent
from .receiving import Sink
from .transport import Transport

__all__ = ["CallCancelled", "CallCut", "CallTimedOut", "NotSent", "Sink", "Transport"]
