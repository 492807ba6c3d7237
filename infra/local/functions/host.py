"""The Functions host: an ASGI app in front of the runtime that Azure loads on Python 3.13.

The runtime is Microsoft's (`worker`). This module does the work of the .NET host: before the worker sees a request
(routes, keys, rules for headers and query, limit of the body) and after its answer. It follows the host's source
of October 2024 (GrpcMessageConversionExtensions, HttpRequestBodySizeMiddleware, HttpMethodRouteConstraint) and
the documentation of host.json and the HTTP trigger. Nobody compared it with a running host.

Left out: bindings other than HTTP, cookies, route constraints, throttling (429), the load balancer's 230 s, and
functionTimeout except in the one case that would otherwise never end.

One key stands for every kind of key in Azure: function, host and master. If the environment turns it on, App
Service Authentication (`app_service_auth`) comes before everything.
"""

import argparse
import asyncio
import hmac
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
from urllib.parse import parse_qsl, urlunsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from infra.local.functions.app_service_auth import TrustedIssuer, with_authentication
from infra.local.functions.worker import Function, FunctionRaised, LoadFailed, Worker
from infra.local.serving import read_body, server_for
from infra.local.values import HttpAnswer

BODY_LIMIT = 104_857_600  # bytes (ScriptConstants.DefaultMaxRequestBodySize)
FUNCTION_TIMEOUT = "00:30:00"  # host.json's default on every plan but Consumption
READY_PATH = "/admin/host/ping"  # the real host has the same path
TRACE_PARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})")  # W3C Trace Context

log = logging.getLogger("functions_host")


def host_app(worker: Worker, *, function_key: str, body_limit: int = BODY_LIMIT) -> ASGIApp:
    """Return the host in front of *worker*. *body_limit* is in bytes."""
    common_headers = _common_headers(worker.http)
    timeout_s = _seconds(worker.host_json.get("functionTimeout", FUNCTION_TIMEOUT))

    async def respond(scope: Scope, receive: Receive) -> HttpAnswer | None:
        """Return the answer, or None if the caller disconnected before the request was whole."""
        if scope["path"] == READY_PATH:
            return HttpAnswer(200, {}, b"")
        match = _find_function(worker, scope["method"], scope["path"])
        if match is None:
            return HttpAnswer(404, {}, b"")  # also for a wrong method, because the method is part of the route
        function, params = match
        headers = _join_repeats(
            (name.decode("ascii"), value.decode("utf-8", "replace")) for name, value in scope["headers"]
        )
        query_string = scope["query_string"].decode("latin-1")
        query = _join_repeats(parse_qsl(query_string))  # drops empty values, as the host does
        key = headers.get("x-functions-key", query.get("code", ""))
        if not function.is_anonymous and not hmac.compare_digest(key.encode(), function_key.encode()):
            return HttpAnswer(401, {}, b"")
        # The host copies a body only if it has a Content-Length (GrpcMessageConversionExtensions).
        length = 0 if "transfer-encoding" in headers else int(headers.get("content-length", "0"))
        if length > body_limit:
            return HttpAnswer(413, {"connection": "close"}, b"")  # otherwise the server reads on to the end of the body
        body = await read_body(receive) if length else b""
        if body is None:
            return None
        invocation = worker.invoke(
            function.name,
            method=scope["method"],
            url=urlunsplit((scope["scheme"], headers.get("host", ""), scope["raw_path"].decode(), query_string, "")),
            headers=headers,  # with the key: Azure does not remove it either
            query=query,
            params=params,
            body=body,
            trace_parent=_trace_parent(headers.get("traceparent", "")),
        )
        return await _finish(invocation, function.name, timeout_s)

    async def host(scope: Scope, receive: Receive, send: Send) -> None:
        answer = await respond(scope, receive)
        if answer is not None:
            headers = common_headers | {name.lower(): value for name, value in answer.headers.items()}
            await _send(send, HttpAnswer(answer.status, headers, answer.body))

    return host


async def _finish(invocation: Awaitable[HttpAnswer], name: str, timeout_s: float) -> HttpAnswer:
    try:
        return await invocation
    except FunctionRaised as error:
        log.error("%s raised\n%s", name, error)  # noqa: TRY400  (the text is the function's traceback)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task and task.cancelling():
            raise  # the server is stopping
        # The worker then sends the host no answer, so in Azure the caller hangs until functionTimeout ends
        # the invocation. An immediate answer would hide this bug.
        log.exception("%s let a CancelledError escape: in Azure the caller gets no answer", name)
        await asyncio.sleep(timeout_s)
    return HttpAnswer(500, {}, b"")


def _find_function(worker: Worker, method: str, path: str) -> tuple[Function, dict[str, str]] | None:
    for function in worker.functions.values():
        match = function.route.fullmatch(path)
        if match and (not function.methods or method in function.methods):
            return function, match.groupdict()
    return None


def _join_repeats(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return one value for each name. Repeated values are joined as by StringValues.ToString."""
    values: dict[str, str] = {}
    for name, value in pairs:
        values[name] = f"{values[name]},{value}" if name in values else value
    return values


def _trace_parent(header: str) -> str:
    """Return a new span in the trace of *header*, or in a new trace, as ASP.NET Core starts one for each request."""
    match = TRACE_PARENT.fullmatch(header)
    trace_id, flags = match.groups() if match else (secrets.token_hex(16), "00")
    return f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"


def _common_headers(http: Mapping[str, Any]) -> dict[str, str]:
    """Return host.json's customHeaders and hsts, whose maxAge is in days.

    ASP.NET omits hsts on loopback and without TLS. It is sent here, so that answers look as in Azure.
    """
    headers = {name.lower(): value for name, value in http.get("customHeaders", {}).items()}
    hsts = http.get("hsts", {})
    if hsts.get("isEnabled"):
        headers["strict-transport-security"] = f"max-age={int(hsts.get('maxAge', 30)) * 86_400}"
    return headers


def _seconds(timespan: str) -> float:
    hours, minutes, seconds = map(int, timespan.split(":"))
    return hours * 3600 + minutes * 60 + seconds


async def _send(send: Send, answer: HttpAnswer) -> None:
    status, headers, body = answer
    if status not in {204, 304}:
        headers = {**headers, "content-length": str(len(body))}
    raw_headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw_headers})
    await send({"type": "http.response.body", "body": body})


async def _serve(
    app_root: Path, listener: socket.socket, function_key: str, body_limit: int, trusted: TrustedIssuer | None
) -> None:
    worker = await Worker.start(app_root)
    app = host_app(worker, function_key=function_key, body_limit=body_limit)
    server = server_for(with_authentication(app, trusted) if trusted else app)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, setattr, server, "should_exit", True)
    await server.serve(sockets=[listener])
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
    body_limit = int(os.environ.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT") or BODY_LIMIT)
    trusted_json = os.environ.pop("LOCAL_AUTH", "")  # in Azure this is not an app setting either
    is_auth_on = os.environ.get("WEBSITE_AUTH_ENABLED") == "True"
    trusted = TrustedIssuer.model_validate_json(trusted_json) if is_auth_on else None

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger().handlers[0].setLevel(os.environ.pop("LOCAL_LOG_LEVEL", "INFO"))
    for name in (
        "azure.functions",
        "azure_functions_runtime_v1",
    ):  # the runtime's loggers, which are system logs in Azure
        logging.getLogger(name).setLevel(logging.WARNING)
    # `python -m` puts the working directory first. The worker does not have it; it has the app root last.
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != Path.cwd()]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        asyncio.run(_serve(arguments.app_root, socket.socket(fileno=arguments.fd), function_key, body_limit, trusted))
    except LoadFailed as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
