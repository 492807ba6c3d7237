"""The page can be read and used by everybody: by keyboard, on a phone, in dark and light, by a screen reader."""

import pytest

from tests.browser.console import NARROW, WIDE, Console, Scheme
from tests.support.local_cloud import LocalCloud


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_axe_finds_nothing_and_nothing_is_cut_off(
    browser: object, cloud: LocalCloud, size: tuple[int, int], scheme: Scheme
) -> None:
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415  (installed by `make browser-test` only)

    console = Console.open(browser, cloud, size=size, scheme=scheme)
    try:
        at_first = Axe().run(console.page)
        console.press("Be refused")
        console.send()
        console.press("Tell the ticket")
        console.send()
        console.page.get_by_text("The answer as it came").click()
        cloud.fault(path="/nowhere", status=500)
        console.sees("#other-faults", "1 more")

        found = Axe().run(console.page)

        assert at_first.violations_count == 0, at_first.generate_report()
        assert found.violations_count == 0, found.generate_report()
        assert console.page.evaluate("document.documentElement.scrollWidth") == size[0]
        assert console.page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light dark"
        assert console.faults == []
    finally:
        console.close()


def test_the_keyboard_is_enough(console: Console) -> None:
    """Each step goes by Tab, Space and Enter from where the focus is."""
    keyboard = console.page.keyboard
    focused = "document.activeElement.innerText || document.activeElement.id"

    keyboard.press("Tab")
    assert console.page.evaluate(focused) == "Cancel a licence"
    keyboard.press("Tab")
    assert console.page.evaluate(focused) == "Be refused"
    keyboard.press("Enter")
    console.page.locator("#send:focus").wait_for()
    keyboard.press("Space")

    console.sees("#answer-content", "cancellation_window_passed")
    console.page.locator("#answer-heading:focus").wait_for()
    keyboard.press("Tab")
    assert console.page.evaluate(focused) == "Send the same again"


def test_a_state_is_a_shape_and_a_word(console: Console) -> None:
    """Somebody who cannot tell the colours apart reads the same."""
    console.choose("Customer", "wingtip.example")
    console.sees("#order-list", "Microsoft 365 Business Basic")
    states = console.texts("#order-list .state")

    shapes: dict[str, set[str]] = {}
    for state in states:
        shape, _, word = state.partition(" ")
        shapes.setdefault(shape, set()).add(word.split(":")[0].split(" until")[0].split(",")[0])

    words = {
        "■": {"cancelled"},
        "✕": {"cannot be cancelled"},
        "●": {"can be cancelled"},
        "?": {"nobody can tell"},
    }
    assert shapes.items() <= words.items()
    assert len(shapes) > 1
