"""Azure loads the function in a new process, while the first caller waits."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.local_cloud import ROOT

# The first thread holds the import lock of azure.core, and pauses. Unless they take turns, the second takes that of
# azure.core.pipeline and waits for azure.core; the first then wants azure.core.pipeline, and gets a _DeadlockError.
AT_ONCE = """
import json, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from shared.credentials.azure_sdk import SdkCall, open_identity, sdk_options
from shared.settings import Settings

values = json.load(open("local.settings.example.json"))["Values"]
settings = Settings.from_environ(values | {"IDENTITY_ENDPOINT": "http://127.0.0.1:9", "IDENTITY_HEADER": "x"})
is_inside = threading.Event()

class Pause:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("azure.core.") and "azure.core" in sys.modules and not is_inside.is_set():
            is_inside.set()
            time.sleep(0.5)

sys.meta_path.insert(0, Pause())
with ThreadPoolExecutor() as threads:
    first = threads.submit(open_identity, settings, SdkCall())
    assert is_inside.wait(30)
    sdk_options(SdkCall())
    first.result()
"""
SLOW_TO_LOAD = ("azure.core", "azure.identity", "azure.keyvault", "msal", "requests", "aiohttp", "cryptography")


def modules_after(code: str, **environment: str) -> list[str]:
    """Return the modules that a new process has loaded after *code*."""
    command = [sys.executable, "-c", f"import sys; {code}; print(*sorted(sys.modules), sep='\\n')"]
    return subprocess.run(  # noqa: S603  (our own interpreter and code)
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()


def is_one_of(name: str, packages: tuple[str, ...]) -> bool:
    """True if the module *name* is one of *packages*, or in one of them."""
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


def test_loading_the_function_loads_no_sdk() -> None:
    """Importing the SDKs is most of a cold start, and a refused call needs none of them."""
    loaded = modules_after("import cancel_order")

    assert "shared.runtime" in loaded
    assert [name for name in loaded if is_one_of(name, SLOW_TO_LOAD)] == []


FOR_FINDING = ("find_orders", "shared.finding", "shared.customers")


def test_loading_the_function_loads_nothing_of_finding() -> None:
    """Most requests name an order and a tenant, and the first one of a worker waits for each import."""
    loaded = modules_after("import cancel_order")

    assert [name for name in loaded if is_one_of(name, FOR_FINDING)] == []


def test_loading_both_functions_adds_the_entry_alone() -> None:
    """Azure loads all functions of an app into one process."""
    assert set(modules_after("import cancel_order, find_orders")) - set(modules_after("import cancel_order")) == {
        "find_orders"
    }


def test_a_domain_of_ascii_needs_no_tables_of_characters() -> None:
    code = "from shared.ids import check_domain; check_domain('contoso.com')"

    assert [name for name in modules_after(code) if is_one_of(name, ("idna",))] == []


@pytest.mark.parametrize(
    ("code", "is_loaded"),
    [("import pydantic; pydantic.create_model('Model')", True), ("import cancel_order", False)],
    ids=["pydantic", "function"],
)
def test_the_function_loads_no_plugin_of_pydantic(tmp_path: Path, code: str, is_loaded: bool) -> None:
    """It would see the texts of requests, and the search for it reads the metadata of every package.

    By itself pydantic imports the module that is named, and warns that it has no plugin.
    """
    metadata = tmp_path / "installed-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: installed\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[pydantic]\ninstalled = json.tool:missing\n")

    loaded = modules_after(code, PYTHONPATH=str(tmp_path), PYDANTIC_DISABLE_PLUGINS="of_others")

    assert ("json.tool" in loaded) == is_loaded


def test_threads_can_import_the_sdks_at_once() -> None:
    """A cold start fetches several secrets and tokens, each in a thread of its own."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", AT_ONCE], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stderr
