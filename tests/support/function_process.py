"""The process that runs the function, as /proc shows it."""

import re
from pathlib import Path


class FunctionProcess:
    """The function's process of the local cloud that was started in *directory*."""

    def __init__(self, directory: Path) -> None:
        clouds = _started_with(str(directory / "cloud.json"))
        [self._proc] = (proc for proc in _started_with("infra.local.functions.host") if _parent(proc) in clouds)

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
        return sum(_target(link).startswith("socket:") for link in (self._proc / "fd").iterdir())

    def _status(self, name: str) -> int:
        found = re.search(rf"^{name}:\s+(\d+)", (self._proc / "status").read_text(), re.MULTILINE)
        assert found
        return int(found[1])


def _started_with(argument: str) -> list[Path]:
    """Return the folders under /proc of the processes that have *argument* in their command line."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            if argument.encode() in (proc / "cmdline").read_bytes().split(b"\0"):
                found.append(proc)
        except OSError:
            pass  # the process has ended since
    return found


def _parent(proc: Path) -> Path:
    found = re.search(r"^PPid:\s+(\d+)", (proc / "status").read_text(), re.MULTILINE)
    assert found
    return proc.parent / found[1]


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""  # the socket was closed since
