"""Who cancels an order here: the function, and what somebody would otherwise write or pick.

Each `call` is one cancellation, from the first byte of ours to an order that was understood, and
raises if it was not cancelled. All do the same on the wire: TLS checked against the same authorities,
the headers that Partner Center asks for with new ids for each call, the same body.
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
from tests.benchmarks.partner_center import CUSTOMER, ORDER, OtherEnd
from tests.support.local_cloud import ROOT

FAILURES = (RuntimeError, httpx.HTTPError, aiohttp.ClientError)
CANCEL = {"id": ORDER, "status": "cancelled"}
KEPT_ALIVE_S = 120.0  # as long as ours, so that no side connects anew after a pause of the other's

# What Azure's front end and a webhook's sender put on a request.
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


class Side(Protocol):
    @property
    def name(self) -> str: ...

    async def call(self) -> None: ...


class _Formatted(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        self.format(record)


class Ours:
    """The function, through the runtime that Azure loads."""

    name = "ours"

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        request = {"customerTenantId": CUSTOMER, "orderId": ORDER, "ticketId": "ZD-48151", "reason": "Wrong edition"}
        self.body = json.dumps(request).encode()

    @classmethod
    async def start(cls) -> "Ours":
        """Load the app, with the log that it writes in Azure: records are made and formatted, then dropped."""
        logging.basicConfig(level=logging.INFO, handlers=[_Formatted()])
        for name in ("azure.functions", "azure_functions_runtime_v1"):  # the runtime's own: system logs in Azure
            logging.getLogger(name).setLevel(logging.WARNING)
        return cls(await Worker.start(ROOT))

    async def send(self, body: bytes, **headers: str) -> tuple[int, bytes]:
        given = CALLER_HEADERS | {name.replace("_", "-"): value for name, value in headers.items()}
        url = "https://cancel.azurewebsites.net/api/cancel_order"
        status, _, answer = await self._worker.invoke(
            "cancel_order",
            method="POST",
            url=url,
            headers=given,
            body=body,
            trace_parent=f"00-{uuid.uuid4().hex}-00f067aa0ba902b7-01",
        )
        return status, answer

    async def call(self) -> None:
        status, answer = await self.send(self.body)
        if status != 200 or b'"outcome": "cancelled"' not in answer:
            raise RuntimeError(f"{status} {answer!r}")


class Httpx:
    """The bare request: one client, one PATCH, its JSON."""

    name = "httpx"

    def __init__(self, http: httpx.AsyncClient, end: OtherEnd, bearer: str) -> None:
        self.http = http
        self.url = end.order_url
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


class GetThenPatch(Httpx):
    """What Microsoft's SDKs do, without their weight: read the order, send it back whole."""

    name = "get-then-patch"

    async def call(self) -> None:
        read = await self.http.get(self.url, headers=self.headers())
        order = read.raise_for_status().json()
        response = await self.http.patch(self.url, json=order | {"status": "cancelled"}, headers=self.headers())
        _check(response.status_code, response.json())


class Aiohttp:
    """The same request by the client that people pick for speed."""

    name = "aiohttp"

    def __init__(self, session: aiohttp.ClientSession, bare: Httpx) -> None:
        self._session = session
        self._bare = bare

    async def call(self) -> None:
        async with self._session.patch(self._bare.url, json=CANCEL, headers=self._bare.headers()) as response:
            _check(response.status, await response.json())


class PartnerCenterServices:
    """The client of PyPI that is generated from Microsoft's description, used as Microsoft's SDKs are.

    It blocks, which is no matter to a call that is alone.
    """

    name = "partnercenterservices"

    def __init__(self, end: OtherEnd, bearer: str) -> None:
        with warnings.catch_warnings():
            # These packages are from the days of setuptools' namespace packages.
            warnings.simplefilter("ignore")
            from microsoft.store.partnercenterservices import MicrosoftPartnerStoreApis  # noqa: PLC0415
            from msrest.authentication import BasicTokenAuthentication  # noqa: PLC0415
        credential = BasicTokenAuthentication({"access_token": bearer})
        self._client: Any = MicrosoftPartnerStoreApis(credential, end.description["partnerCenterUrl"])
        self._client.config.connection.verify = os.environ["REQUESTS_CA_BUNDLE"]
        self._client.config.keep_alive = True  # else it connects anew for each request

    async def call(self) -> None:
        order = self._client.getvversioncustomerscustomer.id5(CUSTOMER, ORDER, version="1")
        order.status = "cancelled"
        answer = self._client.patchvversioncustomerscustomer.id3(CUSTOMER, ORDER, order, version="1")
        _check(200, {"status": answer.status})


@asynccontextmanager
async def sides(end: OtherEnd) -> AsyncIterator[dict[str, Side]]:
    """Open every side, by name."""
    bearer = end.bearer()
    async with AsyncExitStack() as stack:
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=KEPT_ALIVE_S)
        http = await stack.enter_async_context(httpx.AsyncClient(limits=limits))
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(), keepalive_timeout=KEPT_ALIVE_S)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        bare = Httpx(http, end, bearer)
        others = (bare, GetThenPatch(http, end, bearer), Aiohttp(session, bare), PartnerCenterServices(end, bearer))
        yield {side.name: side for side in (await Ours.start(), *others)}


@contextmanager
def answered_in_process(body: bytes) -> Iterator[None]:
    """Answer without a socket: all that is left of a call is what it costs on our side.

    At httpcore's connection, which either side comes to in its own way. It must be open already; what was
    made ready for it is taken as a real one takes it.
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


async def timed(side: Side, calls: int) -> tuple[list[float], float]:
    """Return the milliseconds of each of *calls* made one after the other, and the processor's for one."""
    took_ms = []
    began_cpu = time.process_time()
    for _ in range(calls):
        began = time.perf_counter()
        await side.call()
        took_ms.append((time.perf_counter() - began) * 1000)
    return took_ms, (time.process_time() - began_cpu) * 1000 / calls


def _check(status: int, order: dict[str, Any]) -> None:
    if status != 200 or order["status"] != "cancelled":
        raise RuntimeError(f"{status} {order}")
