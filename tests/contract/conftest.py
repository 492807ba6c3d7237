"""The product in this process, its real SDKs and sockets against the local cloud's stand-ins."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import azure.functions as func
import pytest
from azure.keyvault.secrets._shared import http_challenge_cache
from azure_functions_runtime_v1.bindings.context import Context
from azure_functions_runtime_v1.bindings.retrycontext import RetryContext
from azure_functions_runtime_v1.bindings.tracecontext import TraceContext

from cancel_order import handle
from shared.runtime import Runtime
from shared.settings import Settings
from shared.tls import tls_context
from tests.support.local_cloud import LocalCloud

type Answer = tuple[int, dict[str, Any], Mapping[str, str]]  # status, body, headers


class App:
    """The function as one worker has it; each call takes what a caller sends."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    async def post(self, body: object, *, trace_parent: str = "", **headers: str) -> Answer:
        """Return what the function answers to *body* (bytes as they are, all else as JSON)."""
        return await post(lambda: self.runtime, body, trace_parent=trace_parent, **headers)


async def post(app: Callable[[], Runtime], body: object, *, trace_parent: str = "", **headers: str) -> Answer:
    response = await respond(app, body, trace_parent=trace_parent, **headers)
    return response.status_code, json.loads(response.get_body()), response.headers


async def respond(
    app: Callable[[], Runtime], body: object, *, method: str = "POST", trace_parent: str = "", **headers: str
) -> func.HttpResponse:
    request = func.HttpRequest(
        method=method,
        url="https://function.example/api/cancel_order",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
    )
    context = Context("cancel_order", "", "", None, TraceContext(trace_parent, "", {}), RetryContext(0, 0, None))
    return await handle(request, context, app)


@pytest.fixture
def settings(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings that lead to the local cloud, its certificate trusted as on Azure: by environment."""
    environment = cloud.description["environment"]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    http_challenge_cache.clear()  # azure-keyvault-secrets keeps a vault's challenge for the whole process
    tls_context.cache_clear()  # it may have been made before the local cloud was there to trust
    return Settings.from_environ(environment)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[App]:
    """A worker that has just started: no token, no connection."""
    async with Runtime(settings) as runtime:
        yield App(runtime)
