"""`python -m infra.local demo`, which a newcomer runs first."""

import os
import re
import subprocess
import sys

from tests.support.local_cloud import ROOT, START_LIMIT_S


def run_demo(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra.local", "demo"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * START_LIMIT_S,
    )


def test_the_tour_shows_a_preview_a_licence_a_look_the_end_of_a_term_and_what_tickets_are_told() -> None:
    """It ends with status 1 if a step has another outcome than its title says."""
    done = run_demo()

    errors = [line for line in done.stderr.splitlines() if not line.startswith("ready ")]  # of another Functions host
    assert (done.returncode, errors) == (0, [])
    assert re.search(r"holds \d+ orders, \d+ subscriptions", done.stdout)
    assert '"cancellation_window_passed"' in done.stdout
    assert '"code": "more_than_the_order"' in done.stdout
    assert '"outcome": "scheduled"' in done.stdout
    assert "paid extended term" in " ".join(done.stdout.split())
    assert "in two requests" in done.stdout
    assert '"customerDomain": "wingtip.example"' in done.stdout
    states = re.findall(r"\[cancel-order [0-9a-f]{16}\s+(\S+)\s", done.stdout)
    assert states == ["cancelled", "refused:cancellation_window_passed", "cancelled"]
    assert "ask for it not to renew" in " ".join(done.stdout.split())
    assert "Zendesk got no answer" in done.stdout


def test_it_needs_callers_of_its_own() -> None:
    done = run_demo(CALLERS="{}")

    assert (done.returncode, done.stderr) == (1, "")
    assert "without CALLERS" in done.stdout
