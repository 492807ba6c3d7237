"""Pages of other origins that try to drive the control interface of the local cloud."""

import pytest
from starlette.datastructures import Headers

from infra.local.console.guard import refusal

HOST = "127.0.0.1:7072"
OWN = f"http://{HOST}"


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        pytest.param("POST", "/kill", {}, id="curl"),
        pytest.param("POST", "/kill", {"host": "localhost:7072"}, id="by-name"),
        pytest.param("POST", "/kill", {"host": "[::1]:7072"}, id="by-ipv6"),
        pytest.param("POST", "/kill", {"host": "127.0.0.1"}, id="without-a-port"),
        pytest.param("POST", "/kill", {"origin": OWN, "sec-fetch-site": "same-origin"}, id="the-console"),
        pytest.param("GET", "/", {"sec-fetch-site": "none", "sec-fetch-dest": "document"}, id="typed-in"),
        pytest.param("GET", "/", {"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"}, id="a-link"),
    ],
)
def test_programs_and_the_console_are_let_through(method: str, path: str, headers: dict[str, str]) -> None:
    assert refusal(method, path, Headers({"host": HOST} | headers)) is None


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        pytest.param("GET", "/requests", {"host": "attacker.example"}, id="a-name-that-points-here"),
        pytest.param("GET", "/requests", {"host": "127.0.0.1.attacker.example"}, id="a-name-that-begins-like-loopback"),
        pytest.param("GET", "/requests", {"host": "attacker.example:7072"}, id="a-name-with-the-port"),
        pytest.param("GET", "/requests", {"host": ""}, id="no-host"),
        pytest.param("POST", "/kill", {"origin": "https://attacker.example"}, id="another-origin"),
        pytest.param("POST", "/kill", {"origin": "null"}, id="a-sandboxed-frame"),
        pytest.param("POST", "/kill", {"origin": "http://127.0.0.1:3000"}, id="another-port"),
        pytest.param("POST", "/kill", {"origin": f"https://{HOST}"}, id="another-scheme"),
        pytest.param("POST", "/kill", {"origin": "http://localhost:7072"}, id="another-name-of-this-machine"),
        pytest.param("POST", "/kill", {"sec-fetch-site": "cross-site"}, id="another-site-without-origin"),
        pytest.param("GET", "/requests", {"sec-fetch-site": "cross-site"}, id="an-image"),
        pytest.param("GET", "/events", {"sec-fetch-site": "same-site"}, id="another-port-reads"),
        pytest.param(
            "GET", "/requests", {"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"}, id="a-link-to-data"
        ),
        pytest.param("POST", "/", {"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"}, id="a-form"),
        pytest.param("GET", "/", {"sec-fetch-site": "cross-site", "sec-fetch-dest": "iframe"}, id="a-frame"),
    ],
)
def test_other_pages_are_refused(method: str, path: str, headers: dict[str, str]) -> None:
    assert refusal(method, path, Headers({"host": HOST} | headers)) is not None


def test_a_second_origin_does_not_hide_behind_the_first() -> None:
    both = Headers(raw=[(b"host", HOST.encode()), (b"origin", OWN.encode()), (b"origin", b"https://attacker.example")])

    assert refusal("POST", "/kill", both) is not None
