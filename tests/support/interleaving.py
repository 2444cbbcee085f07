"""Runs a function in the middle of another one, as if a thread ran there."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any


def at_every_opcode(build: Callable[[], tuple[Callable[[], object], Callable[[], object]]]) -> Iterator[int]:
    """Build two functions, and call the second one before an opcode of the first one: for each opcode once.

    Yields the number of the opcode after each call. In the last one nothing came in between.
    """
    for opcode in itertools.count():
        call, interruption = build()
        is_interrupted = _call_interrupted(call, interruption, opcode)
        yield opcode
        if not is_interrupted:
            assert opcode > 10, "nothing was traced"
            return


def _call_interrupted(call: Callable[[], object], interruption: Callable[[], object], opcode: int) -> bool:
    opcodes = itertools.count()

    def trace(frame: FrameType, event: str, _: object) -> Callable[[FrameType, str, object], Any]:
        frame.f_trace_opcodes = True
        if event == "opcode" and next(opcodes) == opcode:
            interruption()  # not traced: an interpreter traces nothing while it calls a trace function
        return trace

    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # CPython 3.12 traces opcodes if a frame had this before `settrace`
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return next(opcodes) > opcode
