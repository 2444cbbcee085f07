"""Time that a thread waited for a processor counts for no bound, and other time does."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_delay import Timer, run_delays


def write(tasks: Path, **seconds: float) -> None:
    """As Linux has it: nanoseconds on a processor, nanoseconds ready without one, and the number of slices."""
    for thread, delay in seconds.items():
        (tasks / thread).mkdir(exist_ok=True)
        (tasks / thread / "schedstat").write_text(f"5000000 {round(delay * 1e9)} 12\n")


def test_the_delays_of_all_threads_since_the_start_are_taken_off(tmp_path: Path) -> None:
    """Those of one that began meanwhile, too."""
    write(tmp_path, one=7.0, other=1.0)
    timer = Timer(tmp_path)
    write(tmp_path, one=7.5, other=1.0, later=0.25)

    assert timer.run_delay() == pytest.approx(0.75)
    undelayed, elapsed = timer.undelayed(), timer.elapsed()
    assert undelayed <= elapsed - 0.75


def test_a_thread_that_has_ended_takes_nothing_off(tmp_path: Path) -> None:
    """Nor does it add anything."""
    write(tmp_path, one=7.0, other=5.0)
    timer = Timer(tmp_path)
    (tmp_path / "other" / "schedstat").unlink()

    assert timer.run_delay() == 0.0


def test_a_kernel_that_does_not_say_takes_nothing_off(tmp_path: Path) -> None:
    """An empty file, a file that is no such thing, and another system."""
    for thread, text in {"1": "", "2": "what\n", "3": "5 x 7\n"}.items():
        (tmp_path / thread).mkdir()
        (tmp_path / thread / "schedstat").write_text(text)

    assert run_delays(tmp_path) == {}
    assert run_delays(tmp_path / "missing") == {}
