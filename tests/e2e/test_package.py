"""The package that azd uploads: built, packed by azd's rules, unpacked in another folder, and run there.

With PYTHONVERBOSE Python itself reports the file of each module and whether it compiled the module again
(importlib's `_bootstrap_external.SourceLoader.get_code`). For that it runs in the stand-in for the Functions host,
which hides the packages that are not shipped.
"""

import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pathspec
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from infra.audit import canonical
from infra.package import PACKAGES, refused_python
from infra.sbom import bill_of_materials
from tests.conftest import CUSTOMER
from tests.support.functions_host import function_host
from tests.support.local_cloud import ROOT, LocalCloud
from tests.support.requirements import read_pins

BUILD_LIMIT_S = 300  # pip may have to download 12 MB
ANSWER_LIMIT_S = 60
KEY = {"x-functions-key": "right"}
STAND_IN = {"FUNCTIONS_HOST": ""}
# Packages of the local host. google is protobuf, which Azure's worker has too; setuptools' .pth loads the last one.
HOST_PACKAGES = {"google", "starlette", "_distutils_hack"}


def make_package(*arguments: str, repository: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  (our own module)
        [sys.executable, "-m", "infra.package", *arguments],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_LIMIT_S,
    )


def zip_as_azd(root: Path, archive: Path) -> None:
    """Pack into *archive* the files of *root* that azd packs.

    Source: createDeployableZip in Azure/azure-dev, cli/azd/pkg/project/project_utils.go (read 2026-11-22).
    """
    rules = root / ".funcignore"
    ignored = pathspec.GitIgnoreSpec.from_lines(rules.read_text().splitlines()) if rules.exists() else None
    with zipfile.ZipFile(archive, "w") as out:  # not compressed, because it is not sent anywhere
        for path in sorted(root.rglob("*")):
            name = path.relative_to(root)
            if path.is_dir() or ".azure" in name.parts or path.name in {".funcignore", "local.settings.json"}:
                continue
            if ignored.match_file(name.as_posix()) if ignored else "__pycache__" in name.parts:
                continue
            out.write(path, name)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The built folder and the output of the build."""
    folder = tmp_path_factory.mktemp("built") / "dist"
    made = make_package(str(folder))
    assert made.returncode == 0, made.stdout + made.stderr
    return folder, made.stdout


@pytest.fixture(scope="module")
def shipped(built: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in Azure. Unpacking gave each file a new time, as it may in Azure."""
    archive, folder = tmp_path_factory.mktemp("archive") / "api.zip", tmp_path_factory.mktemp("wwwroot")
    zip_as_azd(built[0], archive)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    archive.unlink()
    return folder


@dataclass(frozen=True)
class Run:
    """The files that Python reported for the modules of the shipped function while it cancelled an order."""

    loaded: set[Path]
    compiled: set[Path]
    changed: set[Path]


@pytest.fixture(scope="module")
def run(
    shipped: Path, whole_cloud: LocalCloud, _order_ids: Iterator[str], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    log = tmp_path_factory.mktemp("run") / "log.txt"
    before = file_times(shipped)
    cancel_by_package(shipped, log, whole_cloud, next(_order_ids), **STAND_IN, PYTHONVERBOSE="1")
    report = log.read_text()
    from_byte_code = {
        importlib.util.source_from_cache(name) for name in re.findall(r"code object from '([^']+\.pyc)'", report)
    }
    return Run(
        loaded={Path(name) for name in from_byte_code | set(re.findall(r"loaded from '([^']+)'", report))},
        compiled={Path(name) for name in re.findall(r"code object from (/\S+\.py)\b", report)},
        changed={path for path, _ in before ^ file_times(shipped)},
    )


def cancel_by_package(shipped: Path, log: Path, cloud: LocalCloud, order_id: str, **environment: str) -> None:
    """Let the function in *shipped* cancel an order of *cloud*."""
    with host(shipped, log, **cloud.description["environment"], **environment) as (_, port):
        url = f"http://127.0.0.1:{port}/api/cancel_order"
        request = {"customerTenantId": CUSTOMER, "orderId": order_id}
        try:
            answer = httpx.post(url, headers=KEY, json=request, trust_env=False, timeout=ANSWER_LIMIT_S)
        except httpx.TransportError as error:
            raise AssertionError(f"the host has ended; the end of its log:\n{log.read_text()[-3000:]}") from error
    assert (answer.status_code, answer.json().get("outcome")) == (200, "cancelled"), answer.text
    assert cloud.order(order_id)["status"] == "cancelled"


@contextmanager
def host(app_root: Path, log: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Serve *app_root* as the 3.13 worker does, with its packages first; yield the process and its port."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    packages_first = {"PYTHONPATH": str(app_root / PACKAGES)}
    with function_host(app_root, log, KEY["x-functions-key"], inherited | environment | packages_first) as running:
        yield running


def file_times(folder: Path) -> set[tuple[Path, int]]:
    return {(path, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


# The content.


def test_it_has_only_the_files_that_the_function_needs(shipped: Path) -> None:
    assert {path.name for path in shipped.iterdir()} == {
        *("cancel_order", "find_orders", "shared", "tell_ticket", "host.json", "requirements.txt", ".python_packages")
    }
    for folder in ("cancel_order", "find_orders", "shared", "tell_ticket"):
        sources = {name: path for name, path in files_in(ROOT / folder).items() if path.suffix in {".py", ".json"}}
        shipped_files = {name: path for name, path in files_in(shipped / folder).items() if path.suffix != ".pyc"}
        assert shipped_files.keys() == sources.keys()
        assert all(path.read_bytes() == sources[name].read_bytes() for name, path in shipped_files.items())


def files_in(folder: Path) -> dict[str, Path]:
    """Return the files in *folder* and below it by their relative names."""
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}


def test_it_has_exactly_the_packages_of_the_requirements(shipped: Path) -> None:
    """pip runs with --no-deps, so a dependency that is not pinned would be missing."""
    installed = importlib.metadata.distributions(path=[str(shipped / PACKAGES)])

    assert sorted((canonical(package.name), package.version) for package in installed) == sorted(
        (pin.canonical, pin.version) for pin in read_pins("requirements.txt")
    )
    assert not (shipped / PACKAGES / "bin").exists()


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


def test_every_module_has_byte_code_that_python_does_not_check(shipped: Path) -> None:
    """Flags 0b01 mean "by hash, unchecked" (PEP 552). This test compares the hash once, not each cold start."""
    sources = list(shipped.rglob("*.py"))

    for source in sources:
        code = Path(importlib.util.cache_from_source(str(source))).read_bytes()
        assert code[:4] == importlib.util.MAGIC_NUMBER
        assert int.from_bytes(code[4:8], "little") == 0b01, source
        assert code[8:16] == importlib.util.source_hash(source.read_bytes()), source
    assert len(sources) > 500


def test_it_does_not_contain_the_path_of_the_build(built: tuple[Path, str], shipped: Path) -> None:
    folder = str(built[0]).encode()

    assert [path for path in shipped.rglob("*") if path.is_file() and folder in path.read_bytes()] == []


def test_the_build_prints_the_size(built: tuple[Path, str]) -> None:
    """Azure downloads the package at each cold start, so its growth must be visible."""
    folder, output = built
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]

    assert f"{len(sizes):,} files, {sum(sizes) / 1e6:.1f} MB" in output
    assert sum(sizes) < 60e6, "the package grew; if that is intended, raise the limit"


# The list of the packages in it.


@pytest.fixture(scope="module")
def sbom(built: tuple[Path, str]) -> str:
    return built[0].with_name("dist.cdx.json").read_text()


def test_the_list_is_cyclonedx(sbom: str) -> None:
    """Strict: a member that the standard does not have is an error too."""
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sbom)

    assert error is None, str(error)[:1000]


def test_the_list_has_exactly_the_packages_that_are_shipped(sbom: str, shipped: Path) -> None:
    packages = json.loads(sbom)["components"]
    installed = importlib.metadata.distributions(path=[str(shipped / PACKAGES)])

    assert sorted((package["name"], package["version"]) for package in packages) == sorted(
        (package.name, package.version) for package in installed
    )
    assert [package["purl"] for package in packages] == sorted(
        f"pkg:pypi/{canonical(package['name'])}@{package['version']}" for package in packages
    )
    assert all(package["licenses"] for package in packages)


def test_the_list_has_the_hash_of_each_wheel(sbom: str) -> None:
    pins = {pin.canonical: pin.hashes for pin in read_pins("requirements.txt")}

    for package in json.loads(sbom)["components"]:
        [found] = package["hashes"]
        assert (found["alg"], found["content"] in pins[canonical(package["name"])]) == ("SHA-256", True)


def test_the_same_packages_make_the_same_list(sbom: str, shipped: Path) -> None:
    """No time, no number of its own, and no order of files: else two builds of a release could not be compared."""
    components = json.loads(sbom)["components"]
    hashes = {component["name"]: component["hashes"][0]["content"] for component in components}

    assert bill_of_materials(shipped / PACKAGES, hashes, json.loads(sbom)["metadata"]["component"]["version"]) == sbom
    assert not {"serialNumber", "timestamp"} & {*json.loads(sbom), *json.loads(sbom)["metadata"]}


# Running it.


def test_it_cancels_an_order(shipped: Path, cloud: LocalCloud, order_id: str, tmp_path: Path) -> None:
    cancel_by_package(shipped, tmp_path / "log.txt", cloud, order_id)


def test_no_module_is_compiled_again(run: Run, shipped: Path) -> None:
    ours = {path for path in run.loaded if path.is_relative_to(shipped)}

    assert {path for path in run.compiled if path.is_relative_to(shipped)} == set()
    assert run.changed == set()
    assert {shipped / "cancel_order/__init__.py", shipped / "shared/cancelling/order.py"} <= ours
    packages = {path.relative_to(shipped / PACKAGES).parts[0] for path in ours if PACKAGES in str(path)}
    assert packages >= {"azure", "azure_functions_runtime_v1", "cryptography", "httpx", "msal", "pydantic_core"}


def test_every_imported_package_is_in_it(run: Run, shipped: Path) -> None:
    """A package that was imported from the development environment would be missing in Azure."""
    others = {path for path in run.loaded | run.compiled if not path.is_relative_to(shipped)}
    installed = [path.parts[path.parts.index("site-packages") + 1] for path in others if "site-packages" in path.parts]

    assert {name.partition(".")[0] for name in installed} - HOST_PACKAGES == set()
    assert not any(
        path.is_relative_to(ROOT / name)
        for path in others
        for name in ("cancel_order", "find_orders", "shared", "tell_ticket")
    )


def test_a_package_that_is_not_in_it_cannot_be_imported(shipped: Path, tmp_path: Path) -> None:
    """This also covers imports that no test reaches. pytest is installed in the host's environment."""
    (tmp_path / ".python_packages").symlink_to(shipped / ".python_packages")
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "cancel_order").mkdir()
    (tmp_path / "cancel_order/__init__.py").write_text("import pytest\ndef main(req): ...")
    shutil.copy(ROOT / "cancel_order/function.json", tmp_path / "cancel_order")

    with host(tmp_path, tmp_path / "log.txt", **STAND_IN) as (process, _):
        assert process.wait(ANSWER_LIMIT_S) == 1

    assert "No module named 'pytest'" in (tmp_path / "log.txt").read_text()


# Refusals.


def test_a_folder_that_is_not_empty_is_refused_and_unchanged(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")

    made = make_package(str(tmp_path))

    assert (made.returncode, made.stdout) == (1, "")
    assert made.stderr.strip() == f"infra.package: {tmp_path} is not empty"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("pin", "refusal"),
    [
        pytest.param(f"sniffio==1.3.1 --hash=sha256:{'0' * 64}", "DO NOT MATCH THE HASHES", id="another file"),
        pytest.param("sniffio==1.3.1", "Hashes are required in --require-hashes mode", id="without a hash"),
    ],
)
def test_a_file_that_is_not_the_pinned_one_is_refused(tmp_path: Path, pin: str, refusal: str) -> None:
    """The hash decides, whichever index or cache the file comes from."""
    for name in ("infra", "cancel_order", "find_orders", "shared", "tell_ticket"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("host.json", ".python-version"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "requirements.txt").write_text(f"{pin}\n")

    made = make_package("dist", repository=tmp_path)

    assert (made.returncode, made.stdout) == (1, "")
    assert refusal in made.stderr
    assert made.stderr.strip().endswith("infra.package: pip failed")
    assert not (tmp_path / "dist.cdx.json").exists()


def test_another_python_is_refused() -> None:
    """The build would succeed, but Azure would compile each module again at each cold start."""
    assert refused_python("3.13", "3.13") == ""
    assert refused_python("3.14", "3.13").startswith("Python 3.13 is needed")
