"""What the long tests look at besides answers, and what they found, printed at the end of the run."""

import re
from pathlib import Path
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


class FunctionProcess:
    """The process that runs the function of the local cloud started in *directory*, as /proc shows it."""

    def __init__(self, directory: Path) -> None:
        clouds = _running(str(directory / "cloud.json"))
        [self._proc] = (one for one in _running("infra.local.functions.host") if _parent(one) in clouds)

    @property
    def memory_mib(self) -> float:
        return self._status("VmRSS") / 1024

    @property
    def peak_memory_mib(self) -> float:
        return self._status("VmHWM") / 1024

    @property
    def threads(self) -> int:
        return self._status("Threads")

    @property
    def sockets(self) -> int:
        return sum(_target(one).startswith("socket:") for one in (self._proc / "fd").iterdir())

    def _status(self, name: str) -> int:
        found = re.search(rf"^{name}:\s+(\d+)", (self._proc / "status").read_text(), re.MULTILINE)
        assert found
        return int(found[1])


def _running(argument: str) -> list[Path]:
    """Return the folders under /proc of the processes that were started with *argument*."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            if argument.encode() in (proc / "cmdline").read_bytes().split(b"\0"):
                found.append(proc)
        except OSError:
            pass  # it has ended since
    return found


def _parent(proc: Path) -> Path:
    found = re.search(r"^PPid:\s+(\d+)", (proc / "status").read_text(), re.MULTILINE)
    assert found
    return proc.parent / found[1]


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""  # closed since
