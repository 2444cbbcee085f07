"""Downloads from a storage host that lies end with one complete version of the file, or an error and no new file."""

from __future__ import annotations

import os
import shutil
import tempfile
from itertools import count
from pathlib import Path
from random import Random

import pytest
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from support.lying_storage import LyingStorage, any_lies, any_version, version
from support.raw_responses import CLIENTS, downloaded

pytestmark = pytest.mark.exhaustive

SEEDS = st.integers(0, 2**64 - 1)
"""Seeds for `random.Random`: the draws of hypothesis are too similar, and few of them reach a second response."""


class Downloads(RuleBasedStateMachine):
    """One path, to which both clients download the file of one host repeatedly."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.numbers = count(1)
        self.current = version(next(self.numbers), 1000, "strong", is_packed=False)
        self.file: bytes | None = None

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def chance(self, seed: int) -> Random:
        """Return a generator for this step, as hypothesis often repeats a seed within an example."""
        return Random(f"{seed}/{next(self.numbers)}")

    @rule(seed=SEEDS)
    def download(self, seed: int) -> None:
        chance = self.chance(seed)
        if chance.random() < 0.5:
            self.current = any_version(chance, next(self.numbers))
        lies = any_lies(chance)
        note(f"{self.current}, then {lies}")
        for client in CLIENTS:
            self.prepare_target(chance)
            storage = LyingStorage(self.current, self.numbers, lies)
            outcome = downloaded(client, storage, self.folder, keeps_target=True, max_faults=4)
            if outcome.error is None:
                assert outcome.file in storage.files
            else:
                assert outcome.file == self.file
            assert outcome.left == []
            assert len(storage.requests) < 40
            self.file = outcome.file

    def prepare_target(self, chance: Random) -> None:
        """Remove the file in most cases, as replacing a file takes the disk longer than all the rest."""
        if self.file is not None and chance.random() < 0.8:
            (self.folder / "out.mp4").unlink()
            self.file = None

    @rule(client=st.sampled_from(CLIENTS))
    def download_in_peace(self, client: type[object]) -> None:
        storage = LyingStorage(self.current, self.numbers, [])
        outcome = downloaded(client, storage, self.folder, keeps_target=True)
        assert (outcome.error, outcome.file) == (None, self.current.body)
        assert len(storage.requests) == 1
        self.file = self.current.body


Downloads.TestCase.settings = settings(max_examples=60, stateful_step_count=15, derandomize=True)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip `fsync`, as thousands of files are written. Other tests cover the call."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


class TestDownloads(Downloads.TestCase):  # type: ignore[misc, valid-type]  # a class that hypothesis makes
    """The state machine as a test class of pytest, so that the fixture applies to it."""
