"""Runs the function in the process of the tests: calls its entry as Azure does, and reads the answer."""

import json
from collections.abc import Callable, Mapping

import azure.functions as func
import httpx
from azure_functions_runtime_v1.bindings.context import Context
from azure_functions_runtime_v1.bindings.retrycontext import RetryContext
from azure_functions_runtime_v1.bindings.tracecontext import TraceContext

import find_orders
from cancel_order import handle
from shared.runtime import Runtime
from tests.support.answers import Answer


class App:
    """The function as one worker runs it."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    async def post(self, body: object, *, trace_parent: str = "", **headers: str) -> Answer:
        """Return the answer to *body* (bytes are sent unchanged, everything else as JSON)."""
        return await post(lambda: self.runtime, body, trace_parent=trace_parent, **headers)

    async def get(self) -> Answer:
        """Return the health report."""
        return await get(lambda: self.runtime)

    async def find(self, query: Mapping[str, str], *, trace_parent: str = "", **headers: str) -> Answer:
        """Return the orders that *query* asks for."""
        return await find(lambda: self.runtime, query, trace_parent=trace_parent, **headers)


async def post(app: Callable[[], Runtime], body: object, *, trace_parent: str = "", **headers: str) -> Answer:
    return _read(await respond(app, body, trace_parent=trace_parent, **headers))


async def get(app: Callable[[], Runtime]) -> Answer:
    return _read(await respond(app, b"", method="GET"))


async def find(
    app: Callable[[], Runtime], query: Mapping[str, str], *, trace_parent: str = "", **headers: str
) -> Answer:
    """Return the answer of find_orders to *query*. A `_` in the name of a header stands for `-`."""
    request = func.HttpRequest(
        method="GET",
        url="https://function.example/api/find_orders",
        headers=_names(headers),
        params=dict(query),
        body=b"",
    )
    return _read(await find_orders.handle(request, _context("find_orders", trace_parent), app))


async def respond(
    app: Callable[[], Runtime], body: object, *, method: str = "POST", trace_parent: str = "", **headers: str
) -> func.HttpResponse:
    """Call the entry as the Functions worker does. A `_` in the name of a header stands for `-`."""
    request = func.HttpRequest(
        method=method,
        url="https://function.example/api/cancel_order",
        headers=_names(headers),
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
    )
    return await handle(request, _context("cancel_order", trace_parent), app)


def _names(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _context(function: str, trace_parent: str) -> Context:
    return Context(function, "", "", None, TraceContext(trace_parent, "", {}), RetryContext(0, 0, None))


def _read(response: func.HttpResponse) -> Answer:
    headers = httpx.Headers({**response.headers, "content-type": response.mimetype})  # as the host sends it
    return Answer(response.status_code, headers, json.loads(response.get_body()))
