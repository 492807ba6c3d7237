"""The page as a visitor uses it: by the names of its buttons and fields."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, Self

from tests.support.local_cloud import LocalCloud

LIMIT_MS = 30_000  # of each wait; the tests run on slow machines too
WIDE, NARROW = (1600, 1000), (360, 780)

type Scheme = Literal["light", "dark"]


@contextmanager
def launched(program: str) -> Iterator[Any]:
    """Yield *program*, a Chromium, without a window."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  (installed by `make browser-test` only)

    path = shutil.which(program)
    if path is None:
        raise RuntimeError(f"{program} was not found. Install Chromium, or name it: make browser-test BROWSER=PROGRAM.")
    with sync_playwright() as playwright:
        # Root has no sandbox in a container. The pages are the project's own.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield browser
        finally:
            browser.close()


class Console:
    """The page in a browser of its own state.

    Attributes:
        page: Playwright's.
        requested: the addresses that the page asked for.
        faults: the faults of its scripts, and what they or the browser wrote to its console, but for refused requests.
    """

    def __init__(self, context: Any) -> None:
        context.set_default_timeout(LIMIT_MS)
        self._context = context
        self.page = context.new_page()
        self.requested: list[str] = []
        self.faults: list[str] = []
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda message: self._take(message.text))

    @classmethod
    def open(cls, browser: Any, cloud: LocalCloud, *, size: tuple[int, int] = WIDE, scheme: Scheme = "light") -> Self:
        viewport = {"width": size[0], "height": size[1]}
        console = cls(browser.new_context(viewport=viewport, color_scheme=scheme, reduced_motion="reduce"))
        console.page.goto(f"{cloud.description['controlUrl']}/")
        console.sees("#connection", "Connected")
        console.sees("#found", "found, the newest first")
        return console

    def _take(self, message: str) -> None:
        if not message.startswith("Failed to load resource"):
            self.faults.append(message)

    def close(self) -> None:
        self._context.close()

    def sees(self, selector: str, text: str) -> None:
        """Return once the part of the page has *text*."""
        self.page.locator(selector).filter(has_text=text).first.wait_for()

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).inner_text())

    def texts(self, selector: str) -> list[str]:
        return [str(text) for text in self.page.locator(selector).all_inner_texts()]

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def choose(self, label: str, value: str) -> None:
        self.page.get_by_label(label, exact=True).select_option(value)

    def switch(self, name: str, *, on: bool) -> None:
        """Turn a fault on or off, and return once the local cloud has it so."""
        box = self.page.get_by_role("switch", name=name)
        if box.is_checked() != on:
            box.click()
        self.page.locator(".switch").filter(has_text=name).locator(".on-off").filter(
            has_text="on" if on else "off"
        ).wait_for()

    def ask_for(self, order_id: str, *, sender: str = "curl", customer: str | None = None) -> None:
        """Fill in the form for a whole order, as somebody types it."""
        self.choose("Sent by", sender)
        if customer:
            self.choose("Customer", customer)
        self.page.get_by_label("an order", exact=True).check()
        self.page.get_by_label("Its id", exact=True).fill(order_id)

    def send(self, button: str = "Send the request") -> str:
        """Send the request, and return the answer as the page shows it."""
        self.press(button)
        self.page.get_by_role("button", name="Send the same again", exact=True).wait_for()
        return self.text("#answer-content")

    def calls(self) -> list[str]:
        """Return the calls in the drawing, each as one line of text."""
        return [" ".join(text.split()) for text in self.page.locator("#call-list .call").all_text_contents()]
