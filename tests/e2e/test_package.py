"""The package as azd ships it: built, put through azd's rules into an archive, unpacked elsewhere, and run.

It runs in the local cloud's Functions host. Python itself says where each module came from and whether
it was compiled again (PYTHONVERBOSE; importlib's `_bootstrap_external.SourceLoader.get_code`).
"""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pathspec
import pytest

from infra.package import PACKAGES, refused_python
from tests.conftest import CUSTOMER
from tests.support.local_cloud import ROOT, LocalCloud

BUILD_LIMIT_S = 300  # pip may have to download 12 MB
ANSWER_LIMIT_S = 60
KEY = {"x-functions-key": "right"}
# Packages of the local host; google is protobuf, which Azure's worker brings too, the last comes with setuptools' .pth.
HOSTS_OWN = {"click", "google", "starlette", "uvicorn", "_distutils_hack"}


def make_package(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  (our own module)
        [sys.executable, "-m", "infra.package", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_LIMIT_S,
    )


def zip_as_azd(root: Path, archive: Path) -> None:
    """Put into *archive* what azd takes of *root*.

    Source: createDeployableZip in Azure/azure-dev, cli/azd/pkg/project/project_utils.go (read 2026-11-22).
    """
    rules = root / ".funcignore"
    ignored = pathspec.GitIgnoreSpec.from_lines(rules.read_text().splitlines()) if rules.exists() else None
    with zipfile.ZipFile(archive, "w") as out:  # stored, not deflated: nobody sends it anywhere
        for path in sorted(root.rglob("*")):
            name = path.relative_to(root)
            if path.is_dir() or ".azure" in name.parts or path.name in {".funcignore", "local.settings.json"}:
                continue
            if ignored.match_file(name.as_posix()) if ignored else "__pycache__" in name.parts:
                continue
            out.write(path, name)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that azd finds, and what was said while it was built."""
    folder = tmp_path_factory.mktemp("built") / "dist"
    made = make_package(str(folder))
    assert made.returncode == 0, made.stdout + made.stderr
    return folder, made.stdout


@pytest.fixture(scope="module")
def shipped(built: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that Azure has. Unpacking gave each file a new time, as it may there."""
    archive, folder = tmp_path_factory.mktemp("archive") / "api.zip", tmp_path_factory.mktemp("wwwroot")
    zip_as_azd(built[0], archive)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    archive.unlink()
    return folder


@dataclass(frozen=True)
class Run:
    """A cancellation by the shipped function, and what Python said about its modules, by their files."""

    answer: dict[str, Any]
    order: dict[str, Any]
    loaded: set[Path]
    compiled: set[Path]
    changed: set[Path]


@pytest.fixture(scope="module")
def run(
    shipped: Path, whole_cloud: LocalCloud, _order_ids: Iterator[str], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    order_id, log = next(_order_ids), tmp_path_factory.mktemp("run") / "log.txt"
    before = files_of(shipped)
    with host(shipped, log, PYTHONVERBOSE="1", **whole_cloud.description["environment"]) as (_, url):
        request = {"customerTenantId": CUSTOMER, "orderId": order_id}
        try:
            answer = httpx.post(url, headers=KEY, json=request, trust_env=False, timeout=ANSWER_LIMIT_S)
        except httpx.TransportError as error:
            raise AssertionError(f"the host is gone, its log ends:\n{log.read_text()[-3000:]}") from error
    said = log.read_text()
    assert answer.status_code == 200, answer.text
    from_byte_code = {
        importlib.util.source_from_cache(name) for name in re.findall(r"code object from '([^']+\.pyc)'", said)
    }
    return Run(
        answer=answer.json(),
        order=whole_cloud.order(order_id),
        loaded={Path(name) for name in from_byte_code | set(re.findall(r"loaded from '([^']+)'", said))},
        compiled={Path(name) for name in re.findall(r"code object from (/\S+\.py)\b", said)},
        changed={path for path, _ in before ^ files_of(shipped)},
    )


@contextmanager
def host(app_root: Path, log: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Serve *app_root* as the 3.13 worker does, its own packages first; yield the process and the function's URL."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    given = {"LOCAL_FUNCTION_KEY": KEY["x-functions-key"], "PYTHONPATH": str(app_root / PACKAGES)}
    with socket.create_server(("127.0.0.1", 0)) as listener, log.open("wb") as output:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/cancel_order"
        process = subprocess.Popen(  # noqa: S603  (our own module)
            [sys.executable, "-m", "infra.local.functions.host", f"--app-root={app_root}", f"--fd={listener.fileno()}"],
            cwd=ROOT,
            env=inherited | environment | given,
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
        )
    with process:
        try:
            yield process, url
        finally:
            process.kill()


def files_of(folder: Path) -> set[tuple[Path, int]]:
    return {(path, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


# What is shipped.


def test_only_what_runs_is_shipped(shipped: Path) -> None:
    assert {path.name for path in shipped.iterdir()} == {
        *("cancel_order", "shared", "host.json", "requirements.txt", ".python_packages")
    }
    for folder in ("cancel_order", "shared"):
        sources = {name: path for name, path in below(ROOT / folder).items() if path.suffix in {".py", ".json"}}
        shipped_files = {name: path for name, path in below(shipped / folder).items() if path.suffix != ".pyc"}
        assert shipped_files.keys() == sources.keys()
        assert all(path.read_bytes() == sources[name].read_bytes() for name, path in shipped_files.items())


def below(folder: Path) -> dict[str, Path]:
    """Return the files in *folder* and its folders, by their names from there."""
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}


def test_the_packages_are_those_of_the_requirements(shipped: Path) -> None:
    """Neither more nor less: with --no-deps a dependency that is not pinned would be missing."""
    pinned = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    found = importlib.metadata.distributions(path=[str(shipped / PACKAGES)])

    assert sorted((canonical(one.name), one.version) for one in found) == sorted(
        (canonical(name), version) for name, version in pinned
    )
    assert not (shipped / PACKAGES / "bin").exists()


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_wheel_is_for_the_machines_of_flex_consumption(shipped: Path) -> None:
    tags = {
        line.removeprefix("Tag: ")
        for wheel in (shipped / PACKAGES).glob("*.dist-info/WHEEL")
        for line in wheel.read_text().splitlines()
        if line.startswith("Tag: ") and not line.endswith("py2-none-any")
    }
    allowed = re.compile(r"py3-none-any|(cp313-cp313|cp3\d+-abi3)-manylinux(2014|_2_17|_2_28)_x86_64")

    assert [tag for tag in tags if not allowed.fullmatch(tag)] == []
    assert any("x86_64" in tag for tag in tags)


def test_every_module_has_byte_code_that_is_never_held_against_its_source(shipped: Path) -> None:
    """Flags 0b01: by hash, unchecked (PEP 552). The hash is looked at here, once, instead of at each cold start."""
    sources = list(shipped.rglob("*.py"))

    for source in sources:
        code = Path(importlib.util.cache_from_source(str(source))).read_bytes()
        assert code[:4] == importlib.util.MAGIC_NUMBER
        assert int.from_bytes(code[4:8], "little") == 0b01, source
        assert code[8:16] == importlib.util.source_hash(source.read_bytes()), source
    assert len(sources) > 500


def test_it_does_not_tell_where_it_was_built(built: tuple[Path, str], shipped: Path) -> None:
    folder = str(built[0]).encode()

    assert [path for path in shipped.rglob("*") if path.is_file() and folder in path.read_bytes()] == []


def test_building_says_how_much_it_is(built: tuple[Path, str]) -> None:
    """Azure downloads it at each cold start, so growth should be noticed."""
    folder, said = built
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]

    assert f"{len(sizes):,} files, {sum(sizes) / 1e6:.1f} MB" in said
    assert sum(sizes) < 60e6


# What is shipped runs.


def test_it_cancels_an_order(run: Run) -> None:
    assert run.answer["outcome"] == "cancelled"
    assert run.order["status"] == "cancelled"


def test_nothing_is_compiled_again(run: Run, shipped: Path) -> None:
    ours = {path for path in run.loaded if path.is_relative_to(shipped)}

    assert {path for path in run.compiled if path.is_relative_to(shipped)} == set()
    assert run.changed == set()
    assert {shipped / "cancel_order/__init__.py", shipped / "shared/cancelling/order.py"} <= ours
    packages = {path.relative_to(shipped / PACKAGES).parts[0] for path in ours if PACKAGES in str(path)}
    assert packages >= {"azure", "azure_functions_runtime_v1", "cryptography", "httpx", "msal", "pydantic_core"}


def test_every_package_comes_with_it(run: Run, shipped: Path) -> None:
    """A package of the development environment that helped out here would be missed in Azure."""
    others = {path for path in run.loaded | run.compiled if not path.is_relative_to(shipped)}
    installed = [path.parts[path.parts.index("site-packages") + 1] for path in others if "site-packages" in path.parts]

    assert {name.partition(".")[0] for name in installed} - HOSTS_OWN == set()
    assert not any(path.is_relative_to(ROOT / name) for path in others for name in ("cancel_order", "shared"))


def test_what_does_not_come_with_it_is_not_found(shipped: Path, tmp_path: Path) -> None:
    """Also what would be imported by a call that no test makes. pytest is installed where the host runs."""
    (tmp_path / ".python_packages").symlink_to(shipped / ".python_packages")
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "cancel_order").mkdir()
    (tmp_path / "cancel_order/__init__.py").write_text("import pytest\ndef main(req): ...")
    shutil.copy(ROOT / "cancel_order/function.json", tmp_path / "cancel_order")

    with host(tmp_path, tmp_path / "log.txt") as (process, _):
        assert process.wait(ANSWER_LIMIT_S) == 1

    assert "No module named 'pytest'" in (tmp_path / "log.txt").read_text()


# What is refused.


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")

    made = make_package(str(tmp_path))

    assert (made.returncode, made.stdout) == (1, "")
    assert made.stderr.strip() == f"infra.package: {tmp_path} is not empty"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_another_python_is_refused() -> None:
    """It would build without a word, and each module would be compiled again at each cold start."""
    assert refused_python("3.13", "3.13") == ""
    assert refused_python("3.14", "3.13").startswith("Python 3.13 is needed")
