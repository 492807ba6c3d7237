"""Azure loads the function in a new process, while the first caller waits."""

import subprocess
import sys

from tests.support.local_cloud import ROOT

SLOW_TO_LOAD = ("azure.core", "azure.identity", "azure.keyvault", "msal", "requests", "aiohttp", "cryptography")


def test_loading_the_function_loads_no_sdk() -> None:
    """Importing the SDKs is most of a cold start, and a refused call needs none of them."""
    code = "import sys, cancel_order; print(*sorted(sys.modules), sep='\\n')"

    loaded = subprocess.run(  # noqa: S603  (our own interpreter and code)
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()

    assert "shared.runtime" in loaded
    assert [name for name in loaded if any(f"{name}.".startswith(f"{slow}.") for slow in SLOW_TO_LOAD)] == []
