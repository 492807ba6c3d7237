"""Prints the measurements of the long runs at the end of `make soak`."""

import pytest

REPORT = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REPORT] = []


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> list[str]:
    """Lines to print at the end of a run with --soak. A run in several processes (-n) prints none."""
    return pytestconfig.stash[REPORT]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--soak") and (lines := config.stash[REPORT]):
        terminalreporter.section("measured")
        terminalreporter.write_line("\n".join(lines))
