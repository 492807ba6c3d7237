"""The pasted commands that handle keys and secrets keep them private, and lose none of them.

The commands run in a shell against stand-ins for `az`; tests/support/azure_cli.py has them.
"""

import json
import re
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from tests.support import azure_cli
from tests.support.bicep import ROOT


def block(page: str, part: str) -> str:
    """Return the one block of commands of *page* that has *part*."""
    fences = re.findall(r"^( *)```\w*\n(.*?)^\1```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    [text] = [textwrap.dedent(commands) for _, commands in fences if part in commands]
    return text


def test_the_file_with_the_keys_has_the_headers_and_is_private(tmp_path: Path) -> None:
    write = block("docs/operate.md", "> ~/keys.txt")
    keys = {"key": "the-function-key", "caller_key": "the-callers-key"}

    subprocess.run(  # noqa: S603
        [shutil.which("sh") or "", "-euc", write], env={"HOME": str(tmp_path)} | keys, check=True, timeout=60
    )

    file = tmp_path / "keys.txt"
    assert file.read_text() == "x-functions-key: the-function-key\nX-Caller-Key: the-callers-key\n"
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "page", ["docs/credentials.md", "infra/ticketing/zendesk/README.md", "infra/ticketing/README.md"]
)
@pytest.mark.parametrize(
    ("secret", "failures", "stored", "left"),
    [
        pytest.param("made", 0, "made", "", id="stored"),
        pytest.param("", 0, None, "", id="no-secret"),
        pytest.param("made", 1, None, "made", id="az-fails"),
    ],
)
def test_only_a_secret_that_was_stored_is_forgotten(
    tmp_path: Path, page: str, secret: str, failures: int, stored: str | None, left: str
) -> None:
    """The vault must not get an empty secret, and a failure must not lose the only copy of the secret."""
    store = block(page, "keyvault secret set")
    fail = json.dumps({"az keyvault secret set": failures})
    environment = azure_cli.install(tmp_path) | {"CLI_FAILURES": fail, "secret": secret}

    ran = subprocess.run(  # noqa: S603
        [shutil.which("sh") or "", "-c", f'{store}\necho "left: ${{secret-}}"'],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    calls = [call for call in azure_cli.calls(tmp_path / "calls.jsonl") if call["command"] == "az keyvault secret set"]
    assert [call["stdin"] for call in calls][failures:] == ([] if stored is None else [stored])
    assert ran.stdout.splitlines()[-1] == f"left: {left}"
    assert ("Nothing was stored." in ran.stdout) is (stored is None)
