"""The pages that the host answers by itself, without a function: the home page, and those below /admin."""

import hmac
import json
import re
import time
from dataclasses import dataclass

from infra.local.values import HttpAnswer

HOME_PAGE = b"<!DOCTYPE html>\n<title>Functions host</title>\n<p>The stand-in for the Functions host runs.</p>\n"
HOME_PAGE_HEADERS = {"content-type": "text/html", "content-length": str(len(HOME_PAGE))}
OPEN_PAGES = {
    "/admin/host/ping": HttpAnswer(200, {"cache-control": "no-store,no-cache", "pragma": "no-cache"}, b""),
    "/admin/warmup": HttpAnswer(200, {}, b""),
}
ADMIN_PAGES = re.compile(
    r"GET /admin/(host/(status|keys)|functions(/[^/]+)?)/?|POST /admin/functions/[^/]+/?|[^ ]+ /runtime/webhooks/.+",
    re.IGNORECASE,
)
VERSION = "4.1037.0.0"  # of the real host, as recorded in tests/samples/functions-host.json


@dataclass(frozen=True)
class Keys:
    """The keys of the app. *function* and *host* open every function, *master* opens /admin as well.

    The host ignores upper and lower case.
    """

    function: str
    host: str
    master: str

    def level_of(self, key: str) -> str | None:
        """Return the name of the key that *key* is, or None."""
        given = key.lower().encode()
        return next((name for name, k in vars(self).items() if hmac.compare_digest(given, k.lower().encode())), None)


class OwnPages:
    """Answers the host's own pages. *has_home_page* is False with AzureWebJobsDisableHomepage=true."""

    def __init__(self, *, has_home_page: bool) -> None:
        self._home = HttpAnswer(200, HOME_PAGE_HEADERS, HOME_PAGE) if has_home_page else HttpAnswer(204, {}, b"")
        self._started_at = time.monotonic()

    def answer(self, method: str, path: str, level: str | None) -> HttpAnswer | None:
        """Return the answer, or None if no page of the host's own is at *path*. *level* names the caller's key."""
        if path == "/":
            return self._home
        where = path.lower().removesuffix("/")
        if method in {"GET", "POST"} and where in OPEN_PAGES:
            return OPEN_PAGES[where]
        if not ADMIN_PAGES.fullmatch(f"{method} {path}"):
            return None
        if level != "master":
            return HttpAnswer(403, {}, b"") if level == "host" else HttpAnswer(401, {"www-authenticate": "Bearer"}, b"")
        return self._status() if where == "/admin/host/status" else None

    def _status(self) -> HttpAnswer:
        uptime_ms = int((time.monotonic() - self._started_at) * 1000)
        members = {"id": "stand-in", "state": "Running", "version": VERSION, "processUptime": uptime_ms}
        body = json.dumps(members).encode()
        return HttpAnswer(
            200, {"content-type": "application/json; charset=utf-8", "content-length": str(len(body))}, body
        )
