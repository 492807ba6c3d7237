"""Runs the function in the process of the tests: calls its entry as Azure does, and reads the answer."""

import json
from collections.abc import Callable

import azure.functions as func
import httpx
from azure_functions_runtime_v1.bindings.context import Context
from azure_functions_runtime_v1.bindings.retrycontext import RetryContext
from azure_functions_runtime_v1.bindings.tracecontext import TraceContext

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


async def post(app: Callable[[], Runtime], body: object, *, trace_parent: str = "", **headers: str) -> Answer:
    return _read(await respond(app, body, trace_parent=trace_parent, **headers))


async def get(app: Callable[[], Runtime]) -> Answer:
    return _read(await respond(app, b"", method="GET"))


async def respond(
    app: Callable[[], Runtime], body: object, *, method: str = "POST", trace_parent: str = "", **headers: str
) -> func.HttpResponse:
    """Call the entry as the Functions worker does. A `_` in the name of a header stands for `-`."""
    request = func.HttpRequest(
        method=method,
        url="https://function.example/api/cancel_order",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
    )
    context = Context("cancel_order", "", "", None, TraceContext(trace_parent, "", {}), RetryContext(0, 0, None))
    return await handle(request, context, app)


def _read(response: func.HttpResponse) -> Answer:
    return Answer(response.status_code, httpx.Headers(dict(response.headers)), json.loads(response.get_body()))
