"""Lets no page but the console drive the control interface.

The interface has no key, since it listens on loopback alone. But a page from anywhere can send requests to loopback
from a reader's browser. Three checks stop it, each for what the others miss:

- `Host` must name loopback: a name that somebody else's DNS points at 127.0.0.1 is refused.
- `Origin`, which browsers send with every POST and with every request of another origin, must be the console's own.
- `Sec-Fetch-Site`, which browsers send with each request, must not tell of another site. A link to the page itself may
  be followed from anywhere, as the page does nothing by itself; in a frame it is refused.

curl and other programs send none of the last two. Sources: developer.mozilla.org/docs/Web/HTTP, the pages of the three
headers; w3.org/TR/fetch-metadata (read 2026-11-30).
"""

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE)
PAGE_PATH = "/"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Guard:
    """An ASGI middleware that refuses other pages' requests with 403, and adds HEADERS to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        reason = refusal(scope["method"], scope["path"], Headers(scope=scope))
        app = self._app if reason is None else JSONResponse({"error": reason}, 403)
        await app(scope, receive, send_with_headers)


def refusal(method: str, path: str, headers: Headers) -> str | None:
    """Return why a request with these *headers* is refused, or None if it is let through."""
    host = headers.get("host", "")
    if not LOOPBACK.fullmatch(host):
        return "the Host header must name this machine: 127.0.0.1, localhost or [::1]"
    origins = headers.getlist("origin")
    if any(origin.lower() != f"http://{host}".lower() for origin in origins):
        return "requests of other pages are refused"
    site = headers.get("sec-fetch-site", "none")
    is_link = method == "GET" and path == PAGE_PATH and headers.get("sec-fetch-dest") == "document"
    if site not in {"none", "same-origin"} and not is_link:
        return "requests of other pages are refused"
    return None
