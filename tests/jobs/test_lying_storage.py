"""Whatever a storage host does: a download is one whole version, or an error that leaves nothing behind."""

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

SEEDS = st.integers(0, 2**64 - 1)
"""Scripts are made of random numbers of Python's: those of hypothesis are much alike, and few get to a second response."""


class Downloads(RuleBasedStateMachine):
    """One target, to which one host's file is downloaded again and again by both clients."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.numbers = count(1)
        self.current = version(next(self.numbers), 1000, "strong", is_packed=False)
        self.file: bytes | None = None

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def chance(self, seed: int) -> Random:
        """Hypothesis likes to repeat a seed within an example: its place there makes another one of it."""
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
        """Remove the file mostly: to replace one takes the disk longer than all the rest."""
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
    """Thousands of files are written; that they are synchronized is tested elsewhere."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


class TestDownloads(Downloads.TestCase):  # type: ignore[misc, valid-type]  # a class that hypothesis makes
    """As a class of pytest, which knows fixtures."""
