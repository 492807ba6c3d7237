"""`make pictures`: take the two pictures of the page for README.md, from a local cloud of their own."""

import sys
import tempfile
from pathlib import Path

from tests.browser.console import Console, launched
from tests.support.local_cloud import ROOT, running

FOLDER = ROOT / "docs" / "pictures"
SIZE = (1280, 800)
CALLS = "#calls"


def main(program: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as directory,
        running(Path(directory), "--callers") as cloud,
        launched(program) as browser,
    ):
        light = Console.open(browser, cloud, size=SIZE)
        light.press("Be refused")
        light.send()
        light.sees("#order-list > li[aria-current]", "cancellation_window_passed")
        light.page.evaluate("window.scrollTo(0, 0)")
        light.page.screenshot(path=FOLDER / "refused.png")
        light.close()

        dark = Console.open(browser, cloud, size=SIZE, scheme="dark")
        dark.press("Survive a lost answer")
        dark.send()
        dark.page.locator(CALLS).screenshot(path=FOLDER / "lost-answer.png")
        dark.close()


if __name__ == "__main__":
    main(sys.argv[1])
