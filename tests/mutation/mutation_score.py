"""Changes the code in thousands of places, one by one, and prints how many of these mutants fail a unit test.

`tox -e mutation` runs it. `[mutmut]` in setup.cfg says which modules are changed, and which tests are run. Arguments are
patterns of names of mutants, such as "translation_client._polling*"; without any, all are tested. With `--keep` before them,
what earlier runs found is kept: which tests call which functions, and the results. So a run that was stopped goes on, and
named mutants are tested again against new tests. A test that was there before counts for the functions that it called then.

mutmut makes the mutants, and forks a process for each, with all tests that call its function. It would start pytest in each,
which takes seconds for a function that a thousand tests call. So there is one pytest session here, in which mutmut runs.
"""

from __future__ import annotations

import difflib
import importlib
import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

MUTMUT: Any = importlib.import_module("mutmut.__main__")  # mypy runs where it is not installed
ISOLATION: Any = importlib.import_module("mutmut.workers.isolation")

FOLDER = Path("mutants")
"""Where mutmut keeps the changed code and its results."""

REASONS = Path(__file__).with_name("survivors.txt")
"""Survivors that no test need notice. Blocks of lines: the reason after `#`, then functions, each with its change."""

LEAST_SCORE = 0.9

ALL_CASES_SECONDS, CASES_SECONDS = 10.0, 0.05
"""If the tests that call a function take more than 10 s, only so many cases of each test are run as take 0.05 s, but at least
one. To run all would take three times as long, for a survivor."""

OUTCOMES = {0: "survived", 1: "killed", 33: "not tested", -24: "timed out", -9: "timed out"}
"""By the exit code of the process with the tests: the last two are the signals at its limits of time."""

NOTICED = {"killed", "timed out"}


class SessionRunner:
    """A runner in place of mutmut's `PytestRunner`: the tests of one session, as often as mutmut needs them."""

    def __init__(self, session: pytest.Session) -> None:
        self._session = session
        self._items = {item.nodeid: item for item in session.items}

    def prepare_main_test_run(self) -> None:
        """Do nothing: mutmut calls it first."""

    def list_all_tests(self) -> Any:
        """Return the names of the tests."""
        return ISOLATION.ListAllTestsResult(ids=set(self._items))

    def run_stats(self, *, tests: Iterable[str]) -> int:
        """Run tests, and record how long each one takes and which functions it calls. Return 1 if one failed."""
        state = ISOLATION.state()
        state._stats.clear()
        began = time.perf_counter()
        for name, is_passed in self._run(tests):
            if not is_passed:
                return 1
            state.duration_by_test[name] = time.perf_counter() - began
            for function in state._stats:
                state.tests_by_mangled_function_name[function].add(name)
            state._stats.clear()
            began = time.perf_counter()
        return 0

    def run_tests(self, *, mutant_name: str | None, tests: Iterable[str]) -> int:
        """Run some cases of each test up to the first one that fails. Return 1 if one did."""
        names = self._some_cases(tests)
        if mutant_name is None:
            return self._status(names)
        try:
            return self._status(self._own_first(names, mutant_name))
        except KeyboardInterrupt:  # of a test: this process, a copy of mutmut's, would stop the others, and go on
            return 1

    def _status(self, names: list[str]) -> int:
        return int(not all(is_passed for _, is_passed in self._run(names)))

    def _own_first(self, names: list[str], mutant_name: str) -> list[str]:
        """Return fast tests first, and those of the package of a mutant before others that are up to ten times as fast."""
        durations = ISOLATION.state().duration_by_test
        *packages, module = mutant_name.split(".")[1:-1]
        folder = "/".join(part.strip("_") for part in ["tests", *(packages or [module])])
        return sorted(names, key=lambda name: durations[name] * (0.1 if name.startswith(folder) else 1.0))

    def _some_cases(self, tests: Iterable[str]) -> list[str]:
        """Return all tests, or if they take long, the fastest cases of each one."""
        durations = ISOLATION.state().duration_by_test
        ordered = sorted(tests, key=durations.__getitem__)
        if sum(map(durations.__getitem__, ordered)) <= ALL_CASES_SECONDS:
            return ordered
        spent: dict[str, float] = {}
        chosen = []
        for name in ordered:
            test = name.partition("[")[0]
            if test not in spent or spent[test] + durations[name] <= CASES_SECONDS:
                spent[test] = spent.get(test, 0.0) + durations[name]
                chosen.append(name)
        return chosen

    def run_forced_fail(self) -> int:
        """Run the tests while every function raises. Return 1 if one failed."""
        return self.run_tests(mutant_name=None, tests=[])

    def _run(self, names: Iterable[str]) -> Iterator[tuple[str, bool]]:
        """Run tests, or all if none is named. Yield the name of each one, and if it passed."""
        items = [self._items[name] for name in names] or list(self._items.values())
        for item in items:
            failed = self._session.testsfailed
            os.chdir(FOLDER)
            # Without what several tests share, as any other test may follow in a child process.
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            os.chdir("..")
            yield item.nodeid, self._session.testsfailed == failed


class MutmutInSession:
    """A plugin of pytest that lets mutmut run in place of the tests.

    Args:
        patterns: The names of the mutants that are tested; all if there are none.
    """

    def __init__(self, patterns: list[str]) -> None:
        self._patterns = patterns

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Test the mutants."""
        ISOLATION.PytestRunner = lambda: SessionRunner(session)
        os.chdir("..")
        MUTMUT._run(tuple(self._patterns), len(os.sched_getaffinity(0)))
        reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
        reporter.stats.clear()  # mutmut lets a test fail on purpose
        session.testsfailed = 0
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str]:
        """Print nothing for a test, as each mutant has many. One that fails without a mutant is reported at the end."""
        return "failed" if report.failed else "", "", ""


def run_mutmut(patterns: list[str]) -> None:
    """Make the mutants, and test those whose names match one of the patterns."""
    FOLDER.mkdir(exist_ok=True)
    drop_torn_results()
    MUTMUT.copy_src_dir()
    MUTMUT.copy_also_copy_files()
    MUTMUT.setup_source_paths()
    MUTMUT.create_mutants(len(os.sched_getaffinity(0)))
    config = MUTMUT.config()
    root = Path.cwd()
    os.chdir(FOLDER)
    options = ["--rootdir=.", "--quiet", "--capture=no", *config.pytest_add_cli_args]
    status = pytest.main([*options, *config.pytest_add_cli_args_test_selection], [MutmutInSession(patterns)])
    os.chdir(root)
    if status:
        sys.exit(f"pytest ended with {status!r}")


def drop_torn_results() -> None:
    """Remove the results of a module that a run was writing when it was killed, so that they are made anew."""
    for path in FOLDER.rglob("*.meta"):
        if is_torn(path):
            path.unlink()
            path.with_suffix("").unlink()


def is_torn(path: Path) -> bool:
    """Return True if a file is only a part of its JSON."""
    try:
        json.loads(path.read_text())
    except ValueError:
        return True
    return False


class Mutant(NamedTuple):
    """A change of one function.

    Attributes:
        name: As mutmut calls it, and as arguments of the command do.
        path: The path of the module.
        outcome: What came of it.
    """

    name: str
    path: str
    outcome: str

    @property
    def module(self) -> str:
        """The name of the module without that of the package."""
        return self.path.removesuffix(".py").replace("/", ".").split(".", 1)[1]


def tested_mutants() -> Iterator[Mutant]:
    """Yield the mutants that were tested."""
    for path in sorted(FOLDER.rglob("*.meta")):
        source = str(path.relative_to(FOLDER).with_suffix(""))
        for name, exit_code in json.loads(path.read_text())["exit_code_by_key"].items():
            if exit_code is not None:
                yield Mutant(name, source, OUTCOMES.get(exit_code, f"exit code {exit_code}"))


def change_of(mutant: Mutant) -> str:
    """Return the function of a mutant, and the lines that it removes and adds, without their indentation."""
    path = FOLDER / f"{mutant.path}.spans"
    spans = json.loads(path.read_text())["spans"]
    lines = path.with_suffix("").read_text().splitlines()
    changed = mutant.name.rpartition(".")[2]
    original = changed.partition("__mutmut_")[0] + "__mutmut_orig"
    before, after = (
        [line.replace(f" {name}(", " f(") for line in lines[spans[name][0] - 1 : spans[name][1]]]
        for name in (original, changed)
    )
    compared = list(difflib.unified_diff(before, after, n=0, lineterm=""))[2:]
    function = original.removesuffix("__mutmut_orig").removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
    shown = [f"{line[0]} {line[1:].strip()}" for line in compared if line[0] in "-+"]
    return "\n".join([f"{mutant.module}.{function}", *shown])


def known_reasons() -> dict[str, str]:
    """Return the reasons of `survivors.txt` by the changes that they are about."""
    reasons = {}
    for block in REASONS.read_text().split("\n\n"):
        lines = block.strip().splitlines()
        reason = " ".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))
        change: list[str] = []
        for line in [*(line for line in lines if not line.startswith("#")), ""]:
            if change and line[:2] not in ("- ", "+ "):
                reasons["\n".join(change)] = reason
                change = []
            change.append(line)
    return reasons


def print_survivors(mutants: list[Mutant]) -> None:
    """Print the change and the reason of each mutant that no test noticed; those without a reason first."""
    reasons = known_reasons()
    no_reason = f"without a reason in {REASONS.name}"
    by_reason: dict[str, list[str]] = {no_reason: []}
    for mutant in mutants:
        if mutant.outcome not in NOTICED:
            change = change_of(mutant)
            by_reason.setdefault(reasons.get(change, no_reason), []).append(f"{change}\n  {mutant.name}")
    for reason, changes in by_reason.items():
        print(f"\n{len(changes)} survivors: {reason}", *changes, sep="\n")


def print_scores(mutants: list[Mutant]) -> float:
    """Print the score of each module. Return that of all."""
    by_module: dict[str, Counter[str]] = {}
    for mutant in mutants:
        by_module.setdefault(mutant.module, Counter())[mutant.outcome] += 1
    total = sum(by_module.values(), Counter[str]())
    for module, outcomes in [*by_module.items(), ("all", total)]:
        counts = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.most_common())
        print(f"{score_of(outcomes):7.1%} {module}: {counts}")
    return score_of(total)


def score_of(outcomes: Mapping[str, int]) -> float:
    """Return the part of the mutants that a test noticed."""
    return sum(number for outcome, number in outcomes.items() if outcome in NOTICED) / sum(outcomes.values())


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["--keep"]:
        arguments = arguments[1:]
    else:
        shutil.rmtree(FOLDER, ignore_errors=True)
    run_mutmut(arguments)
    tested = list(tested_mutants())
    print_survivors(tested)
    print()
    sys.exit(int(print_scores(tested) < LEAST_SCORE))
