"""`python -m infra.package`: make `dist/`, the tree that azd uploads as it is.

azd's default for Python is a build in Azure (`remoteBuild`), which ships no byte code: each cold start
then compiles every module again, since what is deployed cannot be written to. So it is built here:
wheels for the machines of Flex Consumption, our code beside them, and byte code that is never held
against its source (`unchecked-hash`), because unpacking an archive changes the times of files.

In a folder of its own, not where the code is: there such byte code would go on running after an edit.

Sources: what azd makes of `dist`, `remoteBuild` and .funcignore is in Azure/azure-dev, cli/azd/pkg/project
(project_utils.go, framework_service_python.go; read 2026-11-22). The worker's search path:
`.python_packages/lib/site-packages` (python/proxyV4/worker.py of Azure/azure-functions-python-worker).
"""

import argparse
import compileall
import shutil
import subprocess
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ".python_packages/lib/site-packages"
OUR_CODE = ("cancel_order", "shared")
OUR_FILES = ("host.json", "requirements.txt")

# Python 3.13 runs on Debian 12 there (glibc 2.36), but Azure's images differ between versions, and wheels for
# glibc 2.34 have failed on them (Azure/azure-functions-python-worker#1651). Every package has one for 2.28 or less.
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")

# azd leaves out every __pycache__ unless the folder has a .funcignore.
NOTHING_IGNORED = "# All of this folder ships. Without this file azd would leave out the byte code.\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.package", description="Make the tree that azd uploads.")
    parser.add_argument("directory", nargs="?", type=Path, help="new or empty (default: dist, which is made anew)")
    given: Path | None = parser.parse_args().directory
    if refusal := refused_python("{}.{}".format(*sys.version_info), (ROOT / ".python-version").read_text().strip()):
        sys.exit(f"infra.package: {refusal}")
    if given and given.exists() and any(given.iterdir()):
        sys.exit(f"infra.package: {given} is not empty")
    directory = (given or ROOT / "dist").resolve()
    if not given:
        shutil.rmtree(directory, ignore_errors=True)
    build(directory)
    files = [path for path in directory.rglob("*") if path.is_file()]
    print(f"{directory}: {len(files):,} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB")


def refused_python(running: str, wanted: str) -> str:
    """Return why *running*, a version such as 3.13, cannot build for *wanted*; nothing if it can."""
    if running == wanted:
        return ""
    return f"Python {wanted} is needed, for byte code runs on no other version; this is {running} ({sys.executable})"


def build(directory: Path) -> None:
    """Fill *directory* with the app, its packages and the byte code of both. Ends the process where that fails."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in OUR_CODE:
        shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in OUR_FILES:
        shutil.copy(ROOT / name, directory)
    (directory / ".funcignore").write_text(NOTHING_IGNORED)
    _install(directory / PACKAGES)
    if not compileall.compile_dir(
        directory,
        quiet=1,
        force=True,
        workers=0,
        stripdir=directory,  # where it was built is nobody's business, and makes no difference to what is built
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    ):
        sys.exit("infra.package: not every module compiles")


def _install(target: Path) -> None:
    """Unpack the wheels that requirements.txt pins, whatever machine this is."""
    platforms = [option for platform in PLATFORMS for option in ("--platform", platform)]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-compile", "--no-deps"]
    wheels = ["--only-binary=:all:", "--implementation=cp", *platforms, "--target", str(target)]
    done = subprocess.run([*pip, *wheels, "-r", str(ROOT / "requirements.txt")], check=False)  # noqa: S603
    if done.returncode:
        sys.exit("infra.package: pip failed")
    shutil.rmtree(target / "bin", ignore_errors=True)  # commands, each with this machine's path to Python


if __name__ == "__main__":
    main()
