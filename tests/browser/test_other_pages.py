"""Other pages in the same browser cannot drive the local cloud, and the page itself asks nobody else."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.browser.console import Console
from tests.support.local_cloud import LocalCloud

PAGE = "<!doctype html><title>another page</title><p>another page</p><form method=post enctype=text/plain></form>"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the library's name)
        pass


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of another page on this machine, as a developer's own project may have."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "index.html").write_text(PAGE)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(Path(folder)))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def other_page(browser: Any, elsewhere: str) -> Iterator[Console]:
    console = Console(browser.new_context())
    console.page.goto(elsewhere)
    yield console
    console.close()


@pytest.mark.parametrize(
    ("attempt", "end"),
    [
        pytest.param(
            "fetch(url, {method: 'POST', mode: 'no-cors', body: '{\"service\": \"partner_center\"}'})",
            "requestfailed",
            id="simple-request",
        ),
        pytest.param(
            "fetch(url, {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{}'})",
            "requestfailed",
            id="json",
        ),
        pytest.param('navigator.sendBeacon(url, \'{"service": "partner_center"}\')', "requestfailed", id="beacon"),
        pytest.param("Object.assign(document.forms[0], {action: url}).submit()", "requestfinished", id="form"),
    ],
)
def test_another_page_cannot_add_a_fault(other_page: Console, cloud: LocalCloud, attempt: str, end: Any) -> None:
    url = f"{cloud.description['controlUrl']}/faults"
    with other_page.page.expect_event(end, lambda request: request.url == url):
        other_page.page.evaluate(f"url => {{ Promise.resolve({attempt}).catch(() => null); }}", url)

    assert cloud.http.get(url).json() == []


@pytest.mark.parametrize("path", ["requests", "events", "secrets/zendesk-signing", "catalogue"])
def test_another_page_cannot_read(other_page: Console, cloud: LocalCloud, path: str) -> None:
    url = f"{cloud.description['controlUrl']}/{path}"

    read = other_page.page.evaluate("url => fetch(url).then(answer => answer.text(), error => 'refused')", url)

    assert read == "refused"


def test_another_page_cannot_show_the_page_in_a_frame(other_page: Console, cloud: LocalCloud) -> None:
    """A page in a frame could be made to be clicked unseen."""
    url = f"{cloud.description['controlUrl']}/"
    with other_page.page.expect_response(url) as answer:
        other_page.page.evaluate(
            "url => document.body.appendChild(Object.assign(document.createElement('iframe'), {src: url}))", url
        )

    assert answer.value.status == 403


def test_a_link_to_the_page_works(other_page: Console, cloud: LocalCloud) -> None:
    url = f"{cloud.description['controlUrl']}/"
    other_page.page.evaluate("url => { location.href = url; }", url)

    other_page.sees("#connection", "Connected")


def test_the_page_asks_nobody_else(console: Console, cloud: LocalCloud) -> None:
    console.press("Be refused")
    console.send()

    addresses = {url for url in console.requested if not url.startswith(f"{cloud.description['controlUrl']}/")}
    assert addresses == set()


def test_the_page_shows_no_secret_but_those_of_a_request(console: Console, cloud: LocalCloud) -> None:
    """They are made up at each start. A caller's own headers are shown in the command for a shell alone."""
    console.press("Tell the ticket")
    console.send()
    console.page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    shown = str(console.page.evaluate("document.documentElement.outerHTML"))

    description = cloud.description
    keys = [
        caller[member] for caller in description["callers"].values() for member in ("key", "secret") if member in caller
    ]
    client_secrets = [
        account["clientSecret"] for account in description["accounts"].values() if "clientSecret" in account
    ]
    assert [secret for secret in [*keys, *client_secrets] if secret in shown] == []
