"""How does a wait go that blocks a thread? By the loops of tenacity, around calls that are made there and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from . import polling
from .lines import run
from .models import Job
from .waiting import Wait


class BlockingWait(Wait):
    """One wait for one job, for one thread at a time."""

    def until_final_blocking(self) -> Job:
        """Ask until the job is final."""
        try:
            run(self._sleep_first())
            return polling.until_final(self._check_blocking(), self.rules(), self._sleep)()
        finally:
            self.learn()

    def each_blocking(self) -> Iterator[Job]:
        """Ask until the job is final, and hand out each answer."""
        return self._each_blocking(polling.each_answer(self._check_blocking(), self.rules(), self._sleep))

    def _each_blocking(self, answers: Iterator[Job]) -> Iterator[Job]:
        try:
            run(self._sleep_first())
            yield from answers
        finally:
            self.learn()

    def _check_blocking(self) -> Callable[[], Job]:
        return polling.despite_faults(lambda: run(self.ask()), self._calls.fault_rules, self._sleep)

    def _sleep(self, seconds: float) -> None:
        run(self._calls.sleep(seconds))
