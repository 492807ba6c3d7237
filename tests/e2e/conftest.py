"""What the long tests found, printed at the end of the run."""

from typing import Any

import pytest

REPORT = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REPORT] = []
    config.pluginmanager.register(_Collector(config.stash[REPORT]))


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> list[str]:
    """Lines to print at the end of the run."""
    return pytestconfig.stash[REPORT]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where the tests run in several processes, hand the lines to the one that prints."""
    if output := getattr(session.config, "workeroutput", None):
        output["report"] = session.config.stash[REPORT]


class _Collector:
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self._lines += getattr(node, "workeroutput", {}).get("report", [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if lines := config.stash[REPORT]:
        terminalreporter.section("what the function said")
        terminalreporter.write_line("\n".join(lines))
