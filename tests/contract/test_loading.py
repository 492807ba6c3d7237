"""Azure loads the function in a new process, while the first caller waits."""

import subprocess
import sys

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


def test_loading_the_function_loads_no_sdk() -> None:
    """Importing the SDKs is most of a cold start, and a refused call needs none of them."""
    code = "import sys, cancel_order; print(*sorted(sys.modules), sep='\\n')"

    loaded = subprocess.run(  # noqa: S603  (our own interpreter and code)
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()

    assert "shared.runtime" in loaded
    assert [name for name in loaded if any(f"{name}.".startswith(f"{slow}.") for slow in SLOW_TO_LOAD)] == []


def test_threads_can_import_the_sdks_at_once() -> None:
    """A cold start fetches several secrets and tokens, each in a thread of its own."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", AT_ONCE], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stderr
