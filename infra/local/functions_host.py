"""The Functions host: an ASGI app in front of the runtime that Azure itself loads on Python 3.13.

Microsoft's: azure-functions-runtime-v1 and azure-functions, pinned in requirements.txt. They import
the function, check it against function.json and convert requests and answers. They run in this
process, called in the order in which the 3.13 worker calls them.

Ours: everything the .NET host does before the worker sees a request (routes, keys, header and query
rules, body limit) and after its answer. This follows the host's source of 2024-10
(GrpcMessageConversionExtensions, HttpRequestBodySizeMiddleware, HttpMethodRouteConstraint) and the
documentation of host.json and the HTTP trigger; it was never compared with a running host.

Not imitated: bindings other than HTTP, cookies, route constraints, throttling (429), the load
balancer's 230 s, and functionTimeout but for the one case that would otherwise never end.

One key stands for every kind of key that Azure has: function, host and master.
"""

import argparse
import asyncio
import hmac
import importlib
import importlib.metadata
import json
import logging
import os
import re
import secrets
import signal
import socket
import sys
import threading
import uuid
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Self
from urllib.parse import parse_qsl, urlunsplit

import azure_functions_runtime_v1 as runtime
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.local import wire

BODY_LIMIT = 104_857_600  # bytes (ScriptConstants.DefaultMaxRequestBodySize)
FUNCTION_TIMEOUT = "00:30:00"  # host.json's default on every plan but Consumption
READY_PATH = "/admin/host/ping"  # the real host has it too
TRACE_PARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})")  # W3C Trace Context

type Answer = tuple[int, dict[str, str], bytes]  # status, headers, body

log = logging.getLogger("functions_host")


class LoadFailed(Exception):
    """A function cannot be served; the text is the runtime's own traceback where it has one."""


class FunctionRaised(Exception):
    """An exception came out of main, or main returned what no answer can be made of; the text is its traceback."""


@dataclass(frozen=True)
class Function:
    """What the host needs to know of a function.json. No *methods* means every one."""

    name: str
    id: str
    parameter: str
    route: re.Pattern[str]
    methods: frozenset[str]
    is_anonymous: bool


class Worker:
    """The runtime with one app loaded.

    One per process: the runtime keeps functions in module globals and the app's code in sys.modules.
    """

    def __init__(self, app_root: Path) -> None:
        self.app_root = app_root.resolve()
        self.host_json: dict[str, Any] = json.loads((self.app_root / "host.json").read_bytes())
        self.http: dict[str, Any] = self.host_json.get("extensions", {}).get("http", {})
        self.functions: dict[str, Function] = {}
        self._rpc: Any = _load_rpc()

    @classmethod
    async def start(cls, app_root: Path) -> Self:
        """Load every function below *app_root*. Raises LoadFailed."""
        worker = cls(app_root)
        root = str(worker.app_root)
        sys.path.append(root)  # last, as the worker does: a folder of the app never hides a package
        os.environ["AzureWebJobsScriptRoot"] = root  # noqa: SIM112  (Azure's spelling)
        runtime.start_threadpool_executor()

        init = worker._rpc.WorkerInitRequest(host_version="4.0.0", function_app_directory=root)
        await runtime.worker_init_request(worker._request("WorkerInitRequest", worker_init_request=init))
        indexed = await runtime.functions_metadata_request(worker._request("WorkerMetadataRequest"))
        if not indexed.use_default_metadata_indexing:
            raise LoadFailed("the runtime wants to index the functions itself; this host reads function.json")
        for path in sorted(worker.app_root.glob("*/function.json")):
            await worker._load(path.parent, json.loads(path.read_bytes()))
        return worker

    async def invoke(
        self,
        name: str,
        *,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        body: bytes = b"",
        trace_parent: str = "",
    ) -> Answer:
        """Run function *name* once and return its answer. *params* are the route's.

        Raises FunctionRaised. A CancelledError out of main comes through: the runtime catches only Exception.
        """
        rpc = self._rpc
        function = self.functions[name]
        http = rpc.RpcHttp(method=method, url=url, headers=headers, query=query, params=params)
        if body:
            http.body.bytes = body
        invocation_id = str(uuid.uuid4())
        invocation = rpc.InvocationRequest(
            invocation_id=invocation_id,
            function_id=function.id,
            input_data=[rpc.ParameterBinding(name=function.parameter, data=rpc.TypedData(http=http))],
            trace_context=rpc.RpcTraceContext(trace_parent=trace_parent),
        )
        runtime.invocation_id_cv.set(invocation_id)

        request = self._request("FunctionInvocationRequest", invocation_request=invocation)
        reply = await runtime.invocation_request(request)

        if reply.result.status != rpc.StatusResult.Success:
            raise FunctionRaised(reply.result.exception.stack_trace)
        match reply.return_value.WhichOneof("data"):
            case "http":
                answer = reply.return_value.http
                return int(answer.status_code), dict(answer.headers), answer.body.bytes
            case "string":
                return 200, {"content-type": "text/plain; charset=utf-8"}, reply.return_value.string.encode()
            case _:  # no $return binding (functions-bindings-http-webhook-output: 204 since 2.x)
                return 204, {}, b""

    async def _load(self, folder: Path, definition: dict[str, Any]) -> None:
        rpc = self._rpc
        name, bindings = folder.name, definition["bindings"]
        trigger = next((binding for binding in bindings if binding["type"] == "httpTrigger"), None)
        if trigger is None:
            raise LoadFailed(f"{name}: function.json has no httpTrigger, the only trigger served here")
        function = Function(
            name=name,
            id=str(uuid.uuid4()),
            parameter=trigger["name"],
            route=_route(self.http.get("routePrefix", "api"), trigger.get("route") or name),
            methods=frozenset(map(str.upper, trigger.get("methods", []))),
            is_anonymous=trigger.get("authLevel", "function").lower() == "anonymous",
        )
        direction = rpc.BindingInfo.Direction.Value
        metadata = rpc.RpcFunctionMetadata(
            name=name,
            function_id=function.id,
            directory=str(folder),
            language="python",
            script_file=str(folder / definition.get("scriptFile", "__init__.py")),
            entry_point=definition.get("entryPoint", ""),
            bindings={
                b["name"]: rpc.BindingInfo(type=b["type"], direction=direction(b["direction"])) for b in bindings
            },
            raw_bindings=[json.dumps(b) for b in bindings],
        )
        load = rpc.FunctionLoadRequest(function_id=function.id, metadata=metadata)
        reply = await runtime.function_load_request(self._request("FunctionLoadRequest", function_load_request=load))
        if reply.result.status != rpc.StatusResult.Success:
            raise LoadFailed(f"{name} failed to load\n{reply.result.exception.stack_trace}")
        self.functions[name] = function

    def _request(self, name: str, **message: Any) -> SimpleNamespace:  # noqa: ANN401  (a protobuf message)
        properties = {"protos": self._rpc, "host": "127.0.0.1"}
        return SimpleNamespace(name=name, request=self._rpc.StreamingMessage(**message), properties=properties)


def _load_rpc() -> ModuleType:
    """Return the messages between host and worker, compiled from FunctionRpc.proto.

    They are nowhere but in the runtime's wheel, below a top-level `tests` package that would meet
    the project's own. So they load from their path under another name, and one by one: the
    package's __init__ imports grpc, which nothing here needs.
    """
    package = ModuleType("functions_rpc")
    package.__path__ = [str(importlib.metadata.distribution("azure-functions-runtime-v1").locate_file("tests/protos"))]
    sys.modules[package.__name__] = package
    return importlib.import_module("functions_rpc.FunctionRpc_pb2")


def _route(prefix: str, route: str) -> re.Pattern[str]:
    """Return a pattern for whole paths. ASP.NET's routes ignore case and a slash at the end."""
    template = "/".join(part for part in (prefix.strip("/"), route.strip("/")) if part)
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(template))
    if r"\{" in pattern:
        raise LoadFailed(f"route {route!r}: parameters with a constraint or a default are not served here")
    return re.compile(f"/{pattern}/?", re.IGNORECASE)


def app(worker: Worker, *, function_key: str, body_limit: int = BODY_LIMIT) -> ASGIApp:
    """Return the host in front of *worker*. *body_limit* is in bytes."""
    on_every_answer = _headers_on_every_answer(worker.http)
    timeout_s = _seconds(worker.host_json.get("functionTimeout", FUNCTION_TIMEOUT))

    async def respond(scope: Scope, receive: Receive) -> Answer | None:
        """Return the answer, or None where the caller left before the request was whole."""
        if scope["path"] == READY_PATH:
            return 200, {}, b""
        found = _find(worker, scope["method"], scope["path"])
        if found is None:
            return 404, {}, b""  # for a wrong method too, which is a constraint of the route
        function, params = found
        headers = _joined((name.decode("ascii"), value.decode("utf-8", "replace")) for name, value in scope["headers"])
        query_string = scope["query_string"].decode("latin-1")
        query = _joined(parse_qsl(query_string))  # leaves empty values out, as the host does
        key = headers.get("x-functions-key", query.get("code", ""))
        if not function.is_anonymous and not hmac.compare_digest(key.encode(), function_key.encode()):
            return 401, {}, b""
        # The host copies a body only where it has a Content-Length (GrpcMessageConversionExtensions).
        length = 0 if "transfer-encoding" in headers else int(headers.get("content-length", "0"))
        if length > body_limit:
            return 413, {"connection": "close"}, b""  # else the server reads on to the body's end
        body = await _read(receive) if length else b""
        if body is None:
            return None
        invocation = worker.invoke(
            function.name,
            method=scope["method"],
            url=urlunsplit((scope["scheme"], headers.get("host", ""), scope["raw_path"].decode(), query_string, "")),
            headers=headers,  # with the key, which Azure does not strip either
            query=query,
            params=params,
            body=body,
            trace_parent=_trace_parent(headers.get("traceparent", "")),
        )
        return await _outcome(invocation, function.name, timeout_s)

    async def host(scope: Scope, receive: Receive, send: Send) -> None:
        answer = await respond(scope, receive)
        if answer is not None:
            status, headers, body = answer
            await _send(send, status, on_every_answer | {name.lower(): value for name, value in headers.items()}, body)

    return host


async def _outcome(invocation: Awaitable[Answer], name: str, timeout_s: float) -> Answer:
    try:
        return await invocation
    except FunctionRaised as error:
        log.error("%s raised\n%s", name, error)  # noqa: TRY400  (its text is the traceback that matters)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task and task.cancelling():
            raise  # the server is stopping
        # The worker then sends the host nothing, so in Azure the caller hangs until functionTimeout
        # ends the invocation. To answer at once would hide that bug.
        log.exception("%s let a CancelledError escape: in Azure the caller gets no answer", name)
        await asyncio.sleep(timeout_s)
    return 500, {}, b""


def _find(worker: Worker, method: str, path: str) -> tuple[Function, dict[str, str]] | None:
    for function in worker.functions.values():
        match = function.route.fullmatch(path)
        if match and (not function.methods or method in function.methods):
            return function, match.groupdict()
    return None


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return one value per name, repeats joined as StringValues.ToString joins them."""
    values: dict[str, str] = {}
    for name, value in pairs:
        values[name] = f"{values[name]},{value}" if name in values else value
    return values


async def _read(receive: Receive) -> bytes | None:
    """Return the whole body, or None where the caller left before its end."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


def _trace_parent(given: str) -> str:
    """Return a new span in the trace of *given*, or in a new trace: ASP.NET Core starts one per request."""
    match = TRACE_PARENT.fullmatch(given)
    trace_id, flags = match.groups() if match else (secrets.token_hex(16), "00")
    return f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"


def _headers_on_every_answer(http: Mapping[str, Any]) -> dict[str, str]:
    """Return host.json's customHeaders and hsts, whose maxAge is in days.

    ASP.NET leaves hsts out on loopback and without TLS; here it is sent, to show what Azure answers.
    """
    headers = {name.lower(): value for name, value in http.get("customHeaders", {}).items()}
    hsts = http.get("hsts", {})
    if hsts.get("isEnabled"):
        headers["strict-transport-security"] = f"max-age={int(hsts.get('maxAge', 30)) * 86_400}"
    return headers


def _seconds(timespan: str) -> float:
    hours, minutes, seconds = map(int, timespan.split(":"))
    return hours * 3600 + minutes * 60 + seconds


async def _send(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    if status not in (204, 304):
        headers["content-length"] = str(len(body))
    raw_headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw_headers})
    await send({"type": "http.response.body", "body": body})


async def _serve(app_root: Path, listener: socket.socket, function_key: str, body_limit: int) -> None:
    worker = await Worker.start(app_root)
    server = wire.server(app(worker, function_key=function_key, body_limit=body_limit))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, setattr, server, "should_exit", True)
    await server.serve(sockets=[listener])
    _end()


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    _end()


def _end() -> None:
    """End without atexit or shutdown hooks: the host kills its worker too (WorkerProcess.Dispose).

    It also keeps a thread of the function that still runs from holding up the end.
    """
    sys.stdout.flush()
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="infra.local.functions_host", description="Serve a function app.")
    parser.add_argument("--app-root", type=Path, required=True, help="the folder with host.json")
    parser.add_argument("--fd", type=int, required=True, help="a listening socket, inherited; ends when stdin does")
    arguments = parser.parse_args()
    # Taken out of the environment because the function would not find its key there in Azure.
    function_key = os.environ.pop("LOCAL_FUNCTION_KEY", "")
    if not function_key:
        parser.error("LOCAL_FUNCTION_KEY is not set")
    body_limit = int(os.environ.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT") or BODY_LIMIT)

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for name in ("azure.functions", "azure_functions_runtime_v1"):  # the runtime's own: system logs in Azure
        logging.getLogger(name).setLevel(logging.WARNING)
    # `python -m` put the working directory first; the worker has the app root last and nothing of the kind.
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != Path.cwd()]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        asyncio.run(_serve(arguments.app_root, socket.socket(fileno=arguments.fd), function_key, body_limit))
    except LoadFailed as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
