"""Runs the runtime that Azure loads on Python 3.13, with one function app in it.

azure-functions-runtime-v1 and azure-functions, pinned in requirements.txt, import the function, check it against
function.json, and convert requests and answers. They run in this process. They are called in the same order as
the 3.13 worker calls them (python/proxyV4 of the worker's source).
"""

import asyncio
import importlib
import importlib.metadata
import json
import logging
import os
import re
import sys
import uuid
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Self

import azure_functions_runtime_v1 as runtime

from infra.local.functions.schedule import Schedule
from infra.local.values import HttpAnswer, Json

PACKAGES = ".python_packages/lib/site-packages"  # where a deployed app has its packages

RUNTIME_LOGGERS = ("azure.functions", "azure_functions_runtime_v1")  # their records are system logs in Azure
SYSTEM_LOGGERS = ("functions_host", *RUNTIME_LOGGERS)

log = logging.getLogger("functions_host")

_executing: set[str] = set()  # ids of the calls that run; a process has one worker


class LoadFailed(Exception):
    """A function cannot be served. The text is the runtime's traceback if there is one."""


class FunctionRaised(Exception):
    """main raised an exception, or returned a value that is no answer. The text is the traceback."""


@dataclass(frozen=True)
class Function:
    """The parts of a function.json that the host needs, whatever the trigger."""

    name: str
    id: str
    parameter: str


@dataclass(frozen=True)
class HttpFunction(Function):
    """A function with an httpTrigger. Empty *methods* mean every method."""

    route: re.Pattern[str]
    methods: frozenset[str]
    is_anonymous: bool


@dataclass(frozen=True)
class TimerFunction(Function):
    """A function with a timerTrigger. With a monitor the real host keeps the status of the schedule in storage."""

    schedule: Schedule
    has_monitor: bool


class Worker:
    """The runtime with one app loaded.

    A process can have only one: the runtime keeps the functions in module globals, and the app's code is in
    sys.modules.
    """

    def __init__(self, app_root: Path) -> None:
        self.app_root = app_root.resolve()
        self.host_json: Json = json.loads((self.app_root / "host.json").read_bytes())
        self.http: Json = self.host_json.get("extensions", {}).get("http", {})
        self.functions: dict[str, HttpFunction] = {}
        self.timers: dict[str, TimerFunction] = {}
        self._rpc: Any = _load_rpc()

    @classmethod
    async def start(cls, app_root: Path) -> Self:
        """Load every function below *app_root*. Raises LoadFailed."""
        worker = cls(app_root)
        root = str(worker.app_root)
        _hide_other_packages(worker.app_root / PACKAGES)
        sys.path.append(root)  # last, as in the worker: a folder of the app must not hide a package
        os.environ["AzureWebJobsScriptRoot"] = root  # noqa: SIM112  (Azure's spelling)
        runtime.start_threadpool_executor()

        init = worker._rpc.WorkerInitRequest(host_version="4.0.0", function_app_directory=root)
        await runtime.worker_init_request(worker._request("WorkerInitRequest", worker_init_request=init))
        indexed = await runtime.functions_metadata_request(worker._request("WorkerMetadataRequest"))
        if not indexed.use_default_metadata_indexing:
            raise LoadFailed("the runtime wants to index the functions itself, but this host reads function.json")
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
    ) -> HttpAnswer:
        """Run the HTTP function *name* once and return its answer. *params* are the parameters of the route.

        Raises FunctionRaised. Raises CancelledError if main does, because the runtime catches only Exception.
        """
        rpc = self._rpc
        http = rpc.RpcHttp(method=method, url=url, headers=headers, query=query, params=params)
        if body:
            http.body.bytes = body
        reply = await self._invoke(self.functions[name], rpc.TypedData(http=http), trace_parent)
        match reply.return_value.WhichOneof("data"):
            case "http":
                answer = reply.return_value.http
                return HttpAnswer(int(answer.status_code), dict(answer.headers), answer.body.bytes)
            case "string":
                text = reply.return_value.string.encode()
                return HttpAnswer(200, {"content-type": "text/plain; charset=utf-8"}, text)
            case _:  # no $return binding (functions-bindings-http-webhook-output: 204 since 2.x)
                return HttpAnswer(204, {}, b"")

    async def tick(self, name: str, request: Json) -> None:
        """Run the timer function *name* once with *request*. Raises as `invoke`."""
        await self._invoke(self.timers[name], self._rpc.TypedData(json=json.dumps(request)))

    async def _invoke(self, function: Function, trigger_data: Any, trace_parent: str = "") -> Any:  # noqa: ANN401
        """Return the runtime's reply, a protobuf message."""
        rpc = self._rpc
        invocation_id = str(uuid.uuid4())
        invocation = rpc.InvocationRequest(
            invocation_id=invocation_id,
            function_id=function.id,
            input_data=[rpc.ParameterBinding(name=function.parameter, data=trigger_data)],
            trace_context=rpc.RpcTraceContext(trace_parent=trace_parent),
        )
        runtime.invocation_id_cv.set(invocation_id)

        request = self._request("FunctionInvocationRequest", invocation_request=invocation)
        _executing.add(invocation_id)
        try:
            reply = await runtime.invocation_request(request)
        finally:
            _executing.discard(invocation_id)

        if reply.result.status != rpc.StatusResult.Success:
            raise FunctionRaised(reply.result.exception.stack_trace)
        return reply

    async def _load(self, folder: Path, definition: Json) -> None:
        rpc = self._rpc
        name, bindings = folder.name, definition["bindings"]
        function = self._read_function(name, bindings)
        direction = rpc.BindingInfo.Direction.Value
        metadata = rpc.RpcFunctionMetadata(
            name=name,
            function_id=function.id,
            directory=str(folder),
            language="python",
            script_file=str(folder / definition.get("scriptFile", "__init__.py")),
            entry_point=definition.get("entryPoint", ""),
            bindings={
                binding["name"]: rpc.BindingInfo(type=binding["type"], direction=direction(binding["direction"]))
                for binding in bindings
            },
            raw_bindings=[json.dumps(binding) for binding in bindings],
        )
        load = rpc.FunctionLoadRequest(function_id=function.id, metadata=metadata)
        reply = await runtime.function_load_request(self._request("FunctionLoadRequest", function_load_request=load))
        if reply.result.status != rpc.StatusResult.Success:
            raise LoadFailed(f"{name} failed to load\n{reply.result.exception.stack_trace}")
        if isinstance(function, TimerFunction):
            self.timers[name] = function
        else:
            self.functions[name] = function

    def _read_function(self, name: str, bindings: list[Json]) -> HttpFunction | TimerFunction:
        """Return the function with its trigger. Raises LoadFailed."""
        trigger = next((binding for binding in bindings if binding["type"] in {"httpTrigger", "timerTrigger"}), None)
        if trigger is None:
            raise LoadFailed(f"{name}: function.json has neither an httpTrigger nor a timerTrigger")
        members = {"name": name, "id": str(uuid.uuid4()), "parameter": trigger["name"]}
        if trigger["type"] == "httpTrigger":
            return HttpFunction(
                **members,
                route=_route(self.http.get("routePrefix", "api"), trigger.get("route") or name),
                methods=frozenset(map(str.upper, trigger.get("methods", []))),
                is_anonymous=trigger.get("authLevel", "function").lower() == "anonymous",
            )
        try:
            schedule = Schedule.read(trigger["schedule"])
        except ValueError as error:
            raise LoadFailed(f"{name}: {error}") from None
        has_monitor = trigger.get("useMonitor", True) and not schedule.is_below_a_minute
        return TimerFunction(**members, schedule=schedule, has_monitor=has_monitor)

    def _request(self, name: str, **message: Any) -> SimpleNamespace:  # noqa: ANN401  (a protobuf message)
        properties = {"protos": self._rpc, "host": "127.0.0.1"}
        return SimpleNamespace(name=name, request=self._rpc.StreamingMessage(**message), properties=properties)


async def finished[T](invocation: Awaitable[T], name: str, timeout_s: float) -> T | None:
    """Return the result of *invocation*, or None if it failed. The reason is logged, as the host does."""
    try:
        return await invocation
    except FunctionRaised as error:
        log.error("%s raised\n%s", name, error)  # noqa: TRY400  (the text is the function's traceback)
    except asyncio.CancelledError:
        # The worker then sends the host no answer, so in Azure the call hangs until functionTimeout ends it. A call
        # that ends at once would hide this bug.
        log.exception("%s let a CancelledError escape: in Azure the call does not end", name)
        await asyncio.sleep(timeout_s)
    except SystemExit as error:
        log.error("%s ended its worker with status %s", name, error.code)  # noqa: TRY400  (the traceback says no more)
    return None


def is_shown(record: logging.LogRecord) -> bool:
    """Return whether the host shows *record*.

    Azure's host drops what the app logs while no call runs, or without the call's context, as in a thread of the app's
    own (GrpcWorkerChannel.Log). Errors are shown here all the same, so that no bug stays unseen.
    """
    is_system = record.name.startswith(SYSTEM_LOGGERS)
    return is_system or record.levelno >= logging.ERROR or runtime.invocation_id_cv.get() in _executing


def _hide_other_packages(packages: Path) -> None:
    """If the app's *packages* are on PYTHONPATH, where the worker puts them, hide this machine's packages from the app.

    Otherwise the app would find a package that is not shipped with it, and miss it only in Azure. The host has
    imported its own packages before.
    """
    if str(packages) in sys.path:
        others = {"site-packages", "dist-packages"}
        sys.path[:] = [entry for entry in sys.path if entry == str(packages) or Path(entry).name not in others]


def _load_rpc() -> ModuleType:
    """Return the messages between host and worker, compiled from FunctionRpc.proto.

    Only the runtime's wheel has them, in a top-level package `tests` whose name collides with the project's own.
    So they are loaded from their path under another name. Their package's __init__ is not run, because it
    imports grpc, which nothing here needs.
    """
    package = ModuleType("functions_rpc")
    package.__path__ = [str(importlib.metadata.distribution("azure-functions-runtime-v1").locate_file("tests/protos"))]
    sys.modules[package.__name__] = package
    return importlib.import_module("functions_rpc.FunctionRpc_pb2")


def _route(prefix: str, route: str) -> re.Pattern[str]:
    """Return a pattern for whole paths. ASP.NET ignores upper and lower case and a slash at the end."""
    template = "/".join(part for part in (prefix.strip("/"), route.strip("/")) if part)
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(template))
    if r"\{" in pattern:
        raise LoadFailed(f"route {route!r}: parameters with a constraint or a default are not supported here")
    return re.compile(f"/{pattern}/?", re.IGNORECASE)
