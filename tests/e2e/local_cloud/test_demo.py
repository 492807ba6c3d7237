"""`python -m infra.local demo`, which a newcomer runs first."""

import re
import subprocess
import sys

from tests.support.local_cloud import ROOT, START_LIMIT_S


def test_the_tour_shows_a_preview_a_licence_an_order_that_holds_more_and_the_end_of_a_term() -> None:
    """It ends with status 1 if a step has another outcome than its title says."""
    done = subprocess.run(
        [sys.executable, "-m", "infra.local", "demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * START_LIMIT_S,
    )

    errors = [line for line in done.stderr.splitlines() if not line.startswith("ready ")]  # of another Functions host
    assert (done.returncode, errors) == (0, [])
    assert re.search(r"holds \d+ orders, \d+ subscriptions", done.stdout)
    assert '"cancellation_window_passed"' in done.stdout
    assert '"code": "more_than_the_order"' in done.stdout
    assert '"outcome": "scheduled"' in done.stdout
    assert "paid extended term" in " ".join(done.stdout.split())
