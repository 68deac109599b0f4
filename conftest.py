"""Rules of the whole suite, doctests included; builders of test data stand in tests/conftest.py."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

INSTALLED_IN_CI = ("browser", "model", "studio", "wordnet")
"""Markers of what `.ci/run` installs: there a missing tool fails the test, elsewhere it skips."""

# Two cores may be shared, and then a draw takes longer than any deadline.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.register_profile("unhurried-ci", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("unhurried-ci" if os.environ.get("CI") else "unhurried")


def pytest_configure() -> None:
    """Keep the processes that tests start from the net too."""
    guard = str(Path(__file__).parent / "tests" / "offline")
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join([guard, *(p for p in known if p and p != guard)])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make a skip a failure in CI where the tool is one that CI installs."""
    report = yield
    # The shared corpora cannot be installed, so what needs them too may skip.
    needed = () if item.get_closest_marker("data") else INSTALLED_IN_CI
    marked = [name for name in needed if item.get_closest_marker(name)]
    if os.environ.get("CI") and marked and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} ({marked[0]}) may not skip where CI is set: {reason}"
    return report
