"""The deployment as Microsoft's compiler sees it: what it accepts, what it refuses, and what it would make.

Most tests look at the resources that Resource Manager would make, not at the text of the Bicep files. They need the
compiler: `make bicep`, or `make test` where BICEP names it or the PATH has it. tests/unit/test_bicep.py has the tests
that need no compiler.
"""

import os

import pytest

from tests.support.compiled_bicep import AVAILABILITY, GROUP, LEAST, MAIN, MOST, Compiler, compiler
from tests.support.local_cloud import Json

PROGRAM = compiler()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Skip the tests of this folder if there is no compiler. A mark makes the summary shorter than a fixture would."""
    if PROGRAM is None:
        reason = "Microsoft's Bicep compiler was not found: let BICEP name it, or put bicep on the PATH"
        item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def bicep(tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    assert PROGRAM
    folder = tmp_path_factory.getbasetemp()
    home = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "bicep-home"  # of all processes
    home.mkdir(exist_ok=True)
    return Compiler(PROGRAM, tmp_path_factory.mktemp("bicep"), home)


@pytest.fixture(scope="session")
def template(bicep: Compiler) -> Json:
    return bicep.template(MAIN)


@pytest.fixture(scope="session")
def least(bicep: Compiler) -> list[Json]:
    return bicep.predict(MAIN, LEAST)


@pytest.fixture(scope="session")
def most(bicep: Compiler) -> list[Json]:
    return bicep.predict(MAIN, MOST)


@pytest.fixture(scope="session")
def closed(bicep: Compiler) -> list[Json]:
    """A private network that no address of an operator may enter."""
    return bicep.predict(MAIN, LEAST | {"privateNetwork": "true"})


@pytest.fixture(scope="session")
def availability(bicep: Compiler) -> list[Json]:
    names = {"functionName": "func", "applicationInsightsName": "appi", "actionGroupName": "ag"}
    return bicep.predict(AVAILABILITY, names, group=GROUP)
