"""`python -m infra.package`: build `dist/`, the folder that azd uploads unchanged, and beside it `dist.cdx.json`.

By default azd builds Python apps in Azure (`remoteBuild`), without byte code. The deployed folder is read-only, so each
cold start would compile every module again. Therefore this command builds the package: wheels for the machines of Flex
Consumption, our code, and byte code that Python does not compare with its source (`unchecked-hash`), because unpacking
an archive changes the times of files.

The folder is separate from the sources: beside them, such byte code would still run after an edit. `dist.cdx.json`
lists the packages in it for scanners (infra/sbom.py); it is not uploaded.

Source: Azure/azure-dev, cli/azd/pkg/project (project_utils.go, framework_service_python.go; read 2026-11-22) for
azd's use of `dist`, `remoteBuild` and .funcignore; python/proxyV4/worker.py of Azure/azure-functions-python-worker for
the search path `.python_packages/lib/site-packages`.
"""

import argparse
import compileall
import json
import shutil
import subprocess
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

from infra.sbom import bill_of_materials

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ".python_packages/lib/site-packages"
OUR_CODE = ("cancel_order", "find_orders", "shared", "tell_ticket")
OUR_FILES = ("host.json", "requirements.txt")

# Azure runs Python 3.13 on Debian 12 (glibc 2.36). But its images differ between versions, and wheels for glibc 2.34
# have failed on them (Azure/azure-functions-python-worker#1651). Every package has a wheel for glibc 2.28 or older.
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")

# azd leaves out every __pycache__ unless the folder has a .funcignore.
FUNCIGNORE = "# Ignores nothing. Without this file azd would leave out the byte code.\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.package", description="Build the folder that azd uploads.")
    parser.add_argument("directory", nargs="?", type=Path, help="new or empty (default: dist, which is replaced)")
    chosen: Path | None = parser.parse_args().directory
    if refusal := refused_python("{}.{}".format(*sys.version_info), (ROOT / ".python-version").read_text().strip()):
        sys.exit(f"infra.package: {refusal}")
    if chosen and chosen.exists() and any(chosen.iterdir()):
        sys.exit(f"infra.package: {chosen} is not empty")
    directory = Path(chosen or ROOT / "dist").absolute()
    sbom = directory.with_name(f"{directory.name}.cdx.json")
    if directory.is_symlink():
        sys.exit(f"infra.package: {directory} is a link; remove it first")
    sbom.unlink(missing_ok=True)  # a build that fails must leave no list of another one
    if not chosen:
        shutil.rmtree(directory, ignore_errors=True)
    sbom.write_text(build(directory))
    files = [path for path in directory.rglob("*") if path.is_file()]
    print(f"{directory}: {len(files):,} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB")
    print(f"{sbom}: the packages in it")


def refused_python(running: str, wanted: str) -> str:
    """Return why Python *running* (such as 3.13) cannot build for *wanted*, or "" if it can."""
    if running == wanted:
        return ""
    return f"Python {wanted} is needed: byte code works only with its own version. This is {running} ({sys.executable})"


def build(directory: Path) -> str:
    """Fill *directory* with the app, its packages, and the byte code of both. End the process if that fails.

    Returns the list of the packages, as infra/sbom.py writes it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name in OUR_CODE:
        shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in OUR_FILES:
        shutil.copy(ROOT / name, directory)
    (directory / ".funcignore").write_text(FUNCIGNORE)
    hashes = _install(directory / PACKAGES)
    if not compileall.compile_dir(
        directory,
        quiet=1,
        force=True,
        workers=0,
        stripdir=directory,  # the byte code must not contain the path of the folder in which it was built
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    ):
        sys.exit("infra.package: not every module compiles")
    version: str = json.loads((ROOT / "infra/openapi.json").read_text())["info"]["version"]
    return bill_of_materials(directory / PACKAGES, hashes, version)


def _install(target: Path) -> dict[str, str]:
    """Unpack into *target* the wheels that requirements.txt pins, for Azure's machines and not for this one.

    Returns the SHA-256 of each wheel by its package's name. pip has found it in requirements.txt.
    """
    platforms = [option for platform in PLATFORMS for option in ("--platform", platform)]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-compile", "--no-deps"]
    wheels = ["--require-hashes", "--only-binary=:all:", "--implementation=cp", *platforms, "--target", str(target)]
    command = [*pip, *wheels, "--report", "-", "-r", str(ROOT / "requirements.txt")]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)  # noqa: S603
    if done.returncode:
        sys.exit("infra.package: pip failed")
    shutil.rmtree(target / "bin", ignore_errors=True)  # commands that contain the path of this machine's Python
    installed = json.loads(done.stdout)["install"]
    return {
        package["metadata"]["name"]: package["download_info"]["archive_info"]["hashes"]["sha256"]
        for package in installed
    }


if __name__ == "__main__":
    main()
