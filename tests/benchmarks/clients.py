"""The clients that cancel an order: the function, and the clients that people would use without it.

Each `call` makes one cancellation, reads the order in the answer, and raises if the order was not cancelled. All
clients send the same: TLS with the same authorities, the headers of Partner Center with new ids for each call, the
same body.
"""

import json
import logging
import os
import ssl
import time
import uuid
import warnings
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Protocol

import aiohttp
import httpcore
import httpx

from infra.local.functions.worker import Worker
from tests.benchmarks.partner_center import CUSTOMER, ORDER, PartnerCenter
from tests.support.local_cloud import ROOT

FAILURES = (RuntimeError, httpx.HTTPError, aiohttp.ClientError)
CANCEL = {"id": ORDER, "status": "cancelled"}
KEPT_ALIVE_S = 120.0  # as in the function, so that no client connects again while another one is measured

# The headers that Azure's front end and the sender of a webhook add to a request.
CALLER_HEADERS = {
    "accept": "*/*",
    "accept-encoding": "gzip, deflate, br",
    "content-type": "application/json; charset=utf-8",
    "host": "cancel.azurewebsites.net",
    "user-agent": "Zendesk Webhook",
    "x-forwarded-for": "192.0.2.17:44312",
    "x-forwarded-proto": "https",
    "x-functions-key": "k" * 56,
    "x-zendesk-webhook-invocation-id": "01J9Z3V3T8Q8WZ3J2M0K5X7Y9A",
}


class Client(Protocol):
    @property
    def name(self) -> str: ...

    async def call(self) -> None: ...


class _FormatOnly(logging.Handler):
    """Formats each record and drops it."""

    def emit(self, record: logging.LogRecord) -> None:
        self.format(record)


class Function:
    """Calls the function through the runtime that Azure loads."""

    name = "ours"

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        request = {"customerTenantId": CUSTOMER, "orderId": ORDER, "ticketId": "ZD-48151", "reason": "Wrong edition"}
        self.body = json.dumps(request).encode()

    @classmethod
    async def start(cls) -> "Function":
        """Load the app. Its log records are formatted as in Azure, and then dropped."""
        logging.basicConfig(level=logging.INFO, handlers=[_FormatOnly()])
        for name in ("azure.functions", "azure_functions_runtime_v1"):  # the runtime's logs, system logs in Azure
            logging.getLogger(name).setLevel(logging.WARNING)
        return cls(await Worker.start(ROOT))

    async def send(self, body: bytes, **headers: str) -> tuple[int, bytes]:
        status, _, answer = await self._worker.invoke(
            "cancel_order",
            method="POST",
            url="https://cancel.azurewebsites.net/api/cancel_order",
            headers=CALLER_HEADERS | {name.replace("_", "-"): value for name, value in headers.items()},
            body=body,
            trace_parent=f"00-{uuid.uuid4().hex}-00f067aa0ba902b7-01",
        )
        return status, answer

    async def call(self) -> None:
        status, answer = await self.send(self.body)
        if status != 200 or b'"outcome": "cancelled"' not in answer:
            raise RuntimeError(f"{status} {answer!r}")


class BareHttpx:
    """Sends the bare request: one httpx client, one PATCH, the JSON of its answer."""

    name = "httpx"

    def __init__(self, http: httpx.AsyncClient, partner_center: PartnerCenter, bearer: str) -> None:
        self.http = http
        self.url = partner_center.order_url
        self._bearer = bearer

    def headers(self) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self._bearer}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "MS-Contract-Version": "v1",
            "MS-RequestId": str(uuid.uuid4()),
            "MS-CorrelationId": str(uuid.uuid4()),
        }

    async def call(self) -> None:
        response = await self.http.patch(self.url, json=CANCEL, headers=self.headers())
        _check(response.status_code, response.json())


class GetThenPatch(BareHttpx):
    """Does what Microsoft's SDKs do, with a light client: read the order, then send the whole order back."""

    name = "get-then-patch"

    async def call(self) -> None:
        read = await self.http.get(self.url, headers=self.headers())
        order = read.raise_for_status().json()
        response = await self.http.patch(self.url, json=order | {"status": "cancelled"}, headers=self.headers())
        _check(response.status_code, response.json())


class BareAiohttp:
    """Sends the bare request with aiohttp, which people choose for its speed."""

    name = "aiohttp"

    def __init__(self, session: aiohttp.ClientSession, bare: BareHttpx) -> None:
        self._session = session
        self._bare = bare

    async def call(self) -> None:
        async with self._session.patch(self._bare.url, json=CANCEL, headers=self._bare.headers()) as response:
            _check(response.status, await response.json())


class PartnerCenterServices:
    """Uses the client on PyPI that is generated from Microsoft's description, in the way of Microsoft's SDKs.

    It blocks the event loop, which does not matter while one call runs at a time.
    """

    name = "partnercenterservices"

    def __init__(self, partner_center: PartnerCenter, bearer: str) -> None:
        with warnings.catch_warnings():
            # These packages are old and use setuptools' namespace packages, which warn.
            warnings.simplefilter("ignore")
            from microsoft.store.partnercenterservices import MicrosoftPartnerStoreApis  # noqa: PLC0415
            from msrest.authentication import BasicTokenAuthentication  # noqa: PLC0415
        credential = BasicTokenAuthentication({"access_token": bearer})
        self._client: Any = MicrosoftPartnerStoreApis(credential, partner_center.description["partnerCenterUrl"])
        self._client.config.connection.verify = os.environ["REQUESTS_CA_BUNDLE"]
        self._client.config.keep_alive = True  # otherwise it connects again for each request

    async def call(self) -> None:
        order = self._client.getvversioncustomerscustomer.id5(CUSTOMER, ORDER, version="1")
        order.status = "cancelled"
        answer = self._client.patchvversioncustomerscustomer.id3(CUSTOMER, ORDER, order, version="1")
        _check(200, {"status": answer.status})


@asynccontextmanager
async def open_clients(partner_center: PartnerCenter) -> AsyncIterator[dict[str, Client]]:
    """Open every client, and yield them by name."""
    bearer = partner_center.bearer()
    async with AsyncExitStack() as stack:
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=KEPT_ALIVE_S)
        http = await stack.enter_async_context(httpx.AsyncClient(limits=limits))
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(), keepalive_timeout=KEPT_ALIVE_S)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        bare = BareHttpx(http, partner_center, bearer)
        clients: tuple[Client, ...] = (
            await Function.start(),
            bare,
            GetThenPatch(http, partner_center, bearer),
            BareAiohttp(session, bare),
            PartnerCenterServices(partner_center, bearer),
        )
        yield {client.name: client for client in clients}


@contextmanager
def answered_in_process(body: bytes) -> Iterator[None]:
    """Answer without a socket, so that a call costs only the client's own work.

    This replaces the request of httpcore's connection, which the function and bare httpx both use. The connection
    must be open. The body is read as a real connection reads it.
    """

    async def answer(_connection: httpcore.AsyncHTTPConnection, request: httpcore.Request) -> httpcore.Response:
        assert isinstance(request.stream, AsyncIterable)
        async for _piece in request.stream:
            pass
        return httpcore.Response(200, headers=[(b"content-type", b"application/json")], content=body)

    real: Callable[..., Any] = httpcore.AsyncHTTPConnection.handle_async_request
    httpcore.AsyncHTTPConnection.handle_async_request = answer  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        httpcore.AsyncHTTPConnection.handle_async_request = real  # type: ignore[method-assign]


async def timed(client: Client, calls: int) -> tuple[list[float], float]:
    """Make *calls* one after the other; return the milliseconds of each, and the mean processor time of one."""
    took_ms = []
    began_cpu = time.process_time()
    for _ in range(calls):
        began = time.perf_counter()
        await client.call()
        took_ms.append((time.perf_counter() - began) * 1000)
    return took_ms, (time.process_time() - began_cpu) * 1000 / calls


def _check(status: int, order: dict[str, Any]) -> None:
    if status != 200 or order["status"] != "cancelled":
        raise RuntimeError(f"{status} {order}")
