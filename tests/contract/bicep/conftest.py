"""The deployment as Microsoft's compiler sees it: what it accepts, what it refuses, and what it would make.

Most tests look at the resources that Resource Manager would make, not at the text of the Bicep files. They need the
compiler: `make bicep`, or `make test` where BICEP names it or the PATH has it. tests/unit/test_bicep.py has the tests
that need no compiler.
"""

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.compiled_bicep import AVAILABILITY, GROUP, LEAST, MAIN, MOST, Compiler, compiler

PROGRAM = compiler()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Skip the tests of this folder if there is no compiler. A mark makes the summary shorter than a fixture would."""
    if PROGRAM is None:
        reason = "Microsoft's Bicep compiler was not found: let BICEP name it, or put bicep on the PATH"
        item.add_marker(pytest.mark.skip(reason=reason))


class Shared:
    """What the processes of a run make once for all of them, in *folder*."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what *make* has returned to the process that asked first."""
        made = self.folder / f"{name}.json"
        with (self.folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                made.write_text(json.dumps(make()))
        return json.loads(made.read_text())


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "bicep-shared"
    folder.mkdir(exist_ok=True)
    return Shared(folder)


@pytest.fixture(scope="session")
def bicep(tmp_path_factory: pytest.TempPathFactory, shared: Shared) -> Compiler:
    assert PROGRAM
    return Compiler(PROGRAM, tmp_path_factory.mktemp("bicep"), shared.folder)


@pytest.fixture(scope="session")
def template(bicep: Compiler, shared: Shared) -> Any:
    return shared.get("template", lambda: bicep.template(MAIN))


@pytest.fixture(scope="session")
def least(bicep: Compiler, shared: Shared) -> Any:
    return shared.get("least", lambda: bicep.predict(MAIN, LEAST))


@pytest.fixture(scope="session")
def most(bicep: Compiler, shared: Shared) -> Any:
    return shared.get("most", lambda: bicep.predict(MAIN, MOST))


@pytest.fixture(scope="session")
def closed(bicep: Compiler, shared: Shared) -> Any:
    """A private network that no address of an operator may enter."""
    return shared.get("closed", lambda: bicep.predict(MAIN, LEAST | {"privateNetwork": "true"}))


@pytest.fixture(scope="session")
def availability(bicep: Compiler, shared: Shared) -> Any:
    names = {"functionName": "func", "applicationInsightsName": "appi", "actionGroupName": "ag"}
    return shared.get("availability", lambda: bicep.predict(AVAILABILITY, names, group=GROUP))
