"""Ends the function's process as a machine that fails does: at once, with every process below it.

The stand-in is one process. A program that starts the real host has it in a session of its own, and would leave the
host behind if it were killed alone. Its processes are found in /proc, so this needs Linux.
"""

import os
import re
import signal
from contextlib import suppress
from pathlib import Path


def kill(pid: int) -> None:
    """Kill what *pid* started, or *pid* itself if it started nothing.

    A program that starts the host ends by itself once the host has ended, and removes its temporary files.
    """
    for process_id in descendants(pid) or [pid]:
        with suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """Return the processes that *pid* started, and those that they started, parents first."""
    parents = {child: _parent(child) for child in process_ids()}
    found = [pid]
    for ancestor in found:
        found += [child for child, parent in parents.items() if parent == ancestor]
    return found[1:]


def process_ids() -> list[int]:
    return [int(proc.name) for proc in Path("/proc").glob("[0-9]*")]


def _parent(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0  # the process has ended since
    found = re.search(r"^PPid:\s+(\d+)", status, re.MULTILINE)
    return int(found[1]) if found else 0
