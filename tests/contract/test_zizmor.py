"""zizmor reads the workflows on GitHub."""

import subprocess
import sys
from pathlib import Path

from tests.support.local_cloud import ROOT


def test_zizmor_finds_nothing() -> None:
    """It knows what makes workflows unsafe: injection by templates, moved tags, tokens left behind …"""
    found = subprocess.run(  # noqa: S603  (pinned, of this environment)
        [Path(sys.executable).with_name("zizmor"), "--offline", "--no-progress", "--color=never", ROOT / ".github"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert found.returncode == 0, found.stdout + found.stderr
    assert "No findings to report" in found.stdout
