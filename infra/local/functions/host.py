"""The Functions host: an ASGI app in front of the runtime that Azure loads on Python 3.13, served by `kestrel`.

The runtime is Microsoft's (`worker`). This module does the work of the .NET host: before the worker sees a request
(routes, keys, rules for headers and query, limit of the body) and after its answer. tests/contract/
test_functions_wire.py compares it with the real host; the list of known differences is there.

Like Azure's host behind App Service, and unlike the real host on one machine, it takes the scheme from
X-Forwarded-Proto, and each call has a trace. If the environment turns it on, App Service Authentication
(`app_service_auth`) comes before everything.
"""

import argparse
import asyncio
import json
import logging
import os
import re
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Iterable, Mapping
from pathlib import Path
from typing import Any

from starlette.types import Receive, Scope, Send

from infra.local.functions.app_service_auth import TrustedIssuer, with_authentication
from infra.local.functions.kestrel import Kestrel
from infra.local.functions.own_pages import Keys, OwnPages
from infra.local.functions.request_head import decoded, encoded_path
from infra.local.functions.timers import Timers
from infra.local.functions.worker import RUNTIME_LOGGERS, HttpFunction, LoadFailed, Worker, finished, is_shown
from infra.local.values import HttpAnswer

BODY_LIMIT = 104_857_600  # bytes (ScriptConstants.DefaultMaxRequestBodySize)
FUNCTION_TIMEOUT = "00:30:00"  # host.json's default on every plan but Consumption
RUN_BY_HAND = re.compile(r"/admin/functions/([^/]+)/?", re.IGNORECASE)
JSON_TYPES = frozenset({b"application/json", b"text/json"})
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
TRACE_PARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})")  # W3C Trace Context

HOST_IN_URL = re.compile(r"([-\w]+(\.[-\w]+)*\.?|\[[^\]]*\])(:\d*)?", re.ASCII)  # less than Kestrel lets through
HEADER_NAME = re.compile("[-!#$%&'*+.^_`|~0-9A-Za-z]+")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")

log = logging.getLogger("functions_host")


class Host:
    """The host in front of *worker*, as an ASGI app. *body_limit* is in bytes."""

    def __init__(self, worker: Worker, *, keys: Keys, body_limit: int = BODY_LIMIT, has_home_page: bool = True) -> None:
        self._worker = worker
        self._keys = keys
        self._body_limit = body_limit
        self._own_pages = OwnPages(has_home_page=has_home_page)
        self._custom_headers = {name.lower(): value for name, value in worker.http.get("customHeaders", {}).items()}
        self._hsts = _hsts(worker.http.get("hsts", {}))
        self._timeout_s = _seconds(worker.host_json.get("functionTimeout", FUNCTION_TIMEOUT))
        self.timers = Timers(worker, self._timeout_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._respond(scope, receive)
        headers = self._custom_headers | {name.lower(): value for name, value in answer.headers.items()}
        if self._hsts and _is_public_https(scope):
            headers["strict-transport-security"] = self._hsts
        raw_headers = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw_headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _respond(self, scope: Scope, receive: Receive) -> HttpAnswer:
        method, path = scope["method"].upper(), scope["path"]
        query = _query_pairs(scope["query_string"].decode())
        given_keys = [value.decode() for name, value in scope["headers"] if name == b"x-functions-key"]
        given_keys += [value for name, value in query if name.lower() == "code"]
        level = self._keys.level_of(given_keys[0]) if given_keys else None  # the first counts, even an empty one

        if answer := self._own_pages.answer(method, path, level):
            return answer
        if method == "POST" and (by_hand := RUN_BY_HAND.fullmatch(path)):  # own_pages has checked the key
            return await self._run_by_hand(by_hand[1], scope, receive)
        match = _find_function(self._worker, method, path)
        if match is None:
            return HttpAnswer(404, {}, b"")  # also for a wrong method, because the method is part of the route
        function, params = match
        if not function.is_anonymous and level is None:
            return HttpAnswer(401, {}, b"")
        return await self._run(function, params, query, scope, receive)

    async def _run_by_hand(self, name: str, scope: Scope, receive: Receive) -> HttpAnswer:
        """Run a timer function and answer when it has ended; see the known differences in `timers`."""
        content_type = dict(scope["headers"]).get(b"content-type", b"").partition(b";")[0].strip().lower()
        if content_type not in JSON_TYPES:
            return HttpAnswer(415, {}, b"")
        try:
            body = json.loads((await receive())["body"])
        except ValueError:
            return HttpAnswer(400, {}, b"")
        if not isinstance(body, dict):
            return HttpAnswer(400, {}, b"")
        timer = next((timer for timer in self._worker.timers if timer.lower() == name.lower()), None)
        if timer is None:
            return HttpAnswer(404, {}, b"")
        await self.timers.run(timer)
        return HttpAnswer(202, {}, b"")

    async def _run(
        self,
        function: HttpFunction,
        params: dict[str, str],
        query: list[tuple[str, str]],
        scope: Scope,
        receive: Receive,
    ) -> HttpAnswer:
        headers = _join_repeats((name.decode(), value.decode()) for name, value in scope["headers"])
        # The host copies a body only if it has a Content-Length (GrpcMessageConversionExtensions).
        length = int(headers.get("content-length", "0"))
        if length > self._body_limit:
            log.error("%s raised\nThe request body is too large: over %d bytes", function.name, self._body_limit)
            return HttpAnswer(500, {"connection": "close"}, b"")
        if not HOST_IN_URL.fullmatch(headers.get("host", "")):
            log.error("%s raised\nThe request has no host that can be in a URL", function.name)
            return HttpAnswer(500, {}, b"")
        # `kestrel` gives the whole body at once. If the caller breaks off, its exception ends the connection.
        body = (await receive())["body"] if length else b""
        invocation = self._worker.invoke(
            function.name,
            method=scope["method"],
            url=_url(scope, headers),
            headers=headers,  # with the key: Azure does not remove it either
            query={name: value for name, value in _join_repeats(query).items() if value},
            params=params,
            body=body,
            trace_parent=_trace_parent(headers.get("traceparent", "")),
        )
        return await _finish(invocation, function.name, self._timeout_s)


async def _finish(invocation: Awaitable[HttpAnswer], name: str, timeout_s: float) -> HttpAnswer:
    answer = await finished(invocation, name, timeout_s)
    if answer is None:
        return HttpAnswer(500, {}, b"")
    if not all(_is_header(key, value) for key, value in answer.headers.items()):
        log.error("%s raised\nA header of its answer is not ASCII, or not a valid header", name)
        return HttpAnswer(500, {}, b"")
    return answer


def _is_header(name: str, value: str) -> bool:
    is_number = name.lower() != "content-length" or value.isdecimal()
    return bool(HEADER_NAME.fullmatch(name) and HEADER_VALUE.fullmatch(value) and is_number)


def _find_function(worker: Worker, method: str, path: str) -> tuple[HttpFunction, dict[str, str]] | None:
    for function in worker.functions.values():
        match = function.route.fullmatch(path)
        if match and (not function.methods or method in function.methods):
            return function, match.groupdict()
    return None


def _query_pairs(query: str) -> list[tuple[str, str]]:
    pairs = (pair.partition("=")[::2] for pair in query.split("&") if pair)
    return [(decoded(name.replace("+", " ")), decoded(value.replace("+", " "))) for name, value in pairs]


def _join_repeats(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return one value for each name, whose case does not count.

    Repeated values are joined as by StringValues.ToString, which skips empty ones. A name is spelled as where it is
    repeated first, as in ASP.NET's query.
    """
    spellings: dict[str, list[str]] = {}
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        spellings.setdefault(name.lower(), []).append(name)
        values.setdefault(name.lower(), []).append(value)
    return {spellings[name][:2][-1]: ",".join(filter(None, found)) for name, found in values.items()}


def _url(scope: Scope, headers: Mapping[str, str]) -> str:
    scheme = "https" if headers.get("x-forwarded-proto") == "https" else "http"
    query = "?" + scope["query_string"].decode().replace("#", "%23") if b"?" in scope["raw_path"] else ""
    return f"{scheme}://{headers['host']}{encoded_path(scope['path'])}{query}"


def _is_public_https(scope: Scope) -> bool:
    """Tell whether ASP.NET sends hsts: not without TLS, and not on loopback."""
    headers = dict(scope["headers"])
    host = headers.get(b"host", b"").decode()
    return headers.get(b"x-forwarded-proto") == b"https" and not LOOPBACK & {host, host.rpartition(":")[0]}


def _trace_parent(header: str) -> str:
    """Return a new span in the trace of *header*, or in a new trace, as ASP.NET Core starts one for each request."""
    match = TRACE_PARENT.fullmatch(header)
    trace_id, flags = match.groups() if match else (secrets.token_hex(16), "00")
    return f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"


def _hsts(settings: Mapping[str, Any]) -> str:
    """Return the value of the header for host.json's hsts, whose maxAge is in days; "" if it is off."""
    return f"max-age={int(settings.get('maxAge', 30)) * 86_400}" if settings.get("isEnabled") else ""


def _seconds(timespan: str) -> float:
    hours, minutes, seconds = map(int, timespan.split(":"))
    return hours * 3600 + minutes * 60 + seconds


async def _serve(
    app_root: Path, listener: socket.socket, keys: Keys, body_limit: int, trusted: TrustedIssuer | None
) -> None:
    worker = await Worker.start(app_root)
    has_home_page = os.environ.get("AzureWebJobsDisableHomepage", "").lower() != "true"  # noqa: SIM112  (Azure's spelling)
    app = Host(worker, keys=keys, body_limit=body_limit, has_home_page=has_home_page)
    kestrel = Kestrel(with_authentication(app, trusted) if trusted else app, body_limit=body_limit)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as tasks:  # a fault of `timers` ends the host, so that it does not stay unseen
        tasks.create_task(app.timers.keep_schedules(os.environ))
        await kestrel.serve(listener, stop)
        _end()


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    _end()


def _end() -> None:
    """End without atexit and shutdown hooks, as the host kills its worker (WorkerProcess.Dispose).

    A thread of the function that still runs cannot delay the end either.
    """
    sys.stdout.flush()
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="infra.local.functions.host", description="Serve a function app.")
    parser.add_argument("--app-root", type=Path, required=True, help="the folder with host.json")
    parser.add_argument(
        "--fd", type=int, required=True, help="an inherited listening socket; the host ends when its stdin closes"
    )
    arguments = parser.parse_args()
    # Removed from the environment, because in Azure the function does not find its key there.
    function_key = os.environ.pop("LOCAL_FUNCTION_KEY", "")
    if not function_key:
        parser.error("LOCAL_FUNCTION_KEY is not set")
    keys = Keys(function_key, host=f"host-{function_key}", master=f"master-{function_key}")
    body_limit = int(os.environ.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT") or BODY_LIMIT)
    trusted_json = os.environ.pop("LOCAL_AUTH", "")  # in Azure this is not an app setting either
    is_auth_on = os.environ.get("WEBSITE_AUTH_ENABLED", "").lower() == "true"  # as the product reads it
    trusted = TrustedIssuer.model_validate_json(trusted_json) if is_auth_on else None

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    [handler] = logging.getLogger().handlers
    handler.setLevel(os.environ.pop("LOCAL_LOG_LEVEL", "INFO"))
    handler.addFilter(is_shown)
    for name in RUNTIME_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    # `python -m` puts the working directory first. The worker does not have it; it has the app root last.
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != Path.cwd()]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        asyncio.run(_serve(arguments.app_root, socket.socket(fileno=arguments.fd), keys, body_limit, trusted))
    except LoadFailed as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
