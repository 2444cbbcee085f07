"""A failure on a busy machine is tried again, and one on a quiet machine counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from busy_machine import is_busy, on_a_fair_machine


@pytest.mark.parametrize(
    ("outcomes", "busy", "passed", "runs"),
    [
        ("P", True, True, 1),
        ("FP", True, True, 2),
        ("FFP", True, True, 3),
        ("FFFP", True, False, 3),
        ("FP", False, False, 1),
    ],
)
def test_only_a_busy_machine_has_another_attempt(outcomes: str, busy: bool, passed: bool, runs: int) -> None:
    """Three at most."""
    left = list(outcomes)

    result = on_a_fair_machine(lambda: left.pop(0) == "P", lambda has_passed: not has_passed, lambda: busy)

    assert (result, len(outcomes) - len(left)) == (passed, runs)


@pytest.mark.parametrize(("share", "busy"), [("0.00", False), ("29.99", False), ("30.00", True), ("100.00", True)])
def test_the_pressure_of_linux(tmp_path: Path, share: str, busy: bool) -> None:
    """In percent of the last ten seconds."""
    pressure = tmp_path / "cpu"
    pressure.write_text(
        f"some avg10={share} avg60=99.00 avg300=99.00 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"
    )

    assert is_busy(pressure) is busy


def test_a_machine_without_such_information_is_not_busy(tmp_path: Path) -> None:
    """There the first failure counts."""
    assert not is_busy(tmp_path / "missing")
    (tmp_path / "cpu").write_text("another format\n")
    assert not is_busy(tmp_path / "cpu")
