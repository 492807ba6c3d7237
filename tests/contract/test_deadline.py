"""The end of a call, at its deadline or because the host cancels it: the caller gets an answer."""

import asyncio
import gc
from uuid import uuid4

import pytest

from shared.call import Call, Target
from shared.connections.pool import Connections
from shared.contract import CancelRequest
from shared.credentials.tokens import Credentials
from shared.errors import Unavailable
from shared.partner_center.client import PartnerCenterClient
from shared.partner_center.throttle import Gate
from shared.runtime import Runtime
from shared.settings import Settings
from tests.conftest import CUSTOMER
from tests.support.in_process import App
from tests.support.local_cloud import LocalCloud
from tests.support.waiting import wait_for_request

pytestmark = pytest.mark.anyio


async def test_no_attempt_is_begun_that_could_only_time_out(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(service="entra", delay_s=60)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id}, prefer="wait=1")

    assert answer.code == "credentials_unavailable"
    assert cloud.requests("partner_center") == []


async def test_at_the_deadline_an_open_patch_leaves_the_outcome_unknown(
    app: App, cloud: LocalCloud, order_id: str
) -> None:
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})  # fetches the token
    cloud.fault(method="PATCH", delay_s=60)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id}, prefer="wait=1")

    assert answer.status == 503
    assert answer.code == "outcome_unknown"
    assert answer.headers["Preference-Applied"] == "wait=1"
    assert "a repeat is safe" in answer.body["detail"]


async def test_an_answer_after_the_deadline_comes_too_late(app: App, cloud: LocalCloud, order_id: str) -> None:
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})  # fetches the token
    cloud.fault(method="PATCH", delay_s=2)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id}, prefer="wait=1")

    assert answer.code == "outcome_unknown"


async def test_no_patch_leaves_if_the_gate_takes_the_time(
    settings: Settings, credentials: Credentials, cloud: LocalCloud, order_id: str
) -> None:
    """It could only time out, and leave the outcome unknown."""
    gate, connections = Gate(), Connections()
    await credentials.bearer("default", 30)
    call = Call(correlation_id=str(uuid4()), headers={}, allowed_s=0.5)
    gate.__dict__.update(_is_closed=True, _opens_at=call.started_at + call.allowed_s - 0.02)
    request = CancelRequest.model_validate({"customerTenantId": CUSTOMER, "orderId": order_id})
    account = settings.accounts["default"]
    target = Target("default", account.tenant_id, account.endpoints.api_root, request, dry_run=False)
    client = PartnerCenterClient(target, call, connections=connections, tokens=credentials, gate=gate)

    with pytest.raises(Unavailable):
        await client.patch_order(b"{}", call.new_patch())
    await connections.aclose()

    assert (call.attempts, call.patches_sent) == (0, 0)
    assert cloud.requests("partner_center") == []


@pytest.mark.parametrize(
    ("dry_run", "method", "code"),
    [
        pytest.param(False, "PATCH", "outcome_unknown", id="patch-sent"),
        pytest.param(True, "GET", "partner_center_unavailable", id="only-read"),
    ],
)
async def test_a_call_that_the_host_cancels_is_answered(
    app: App, cloud: LocalCloud, order_id: str, dry_run: bool, method: str, code: str
) -> None:
    """A CancelledError that escaped would leave the caller without any answer."""
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})  # fetches the token
    cloud.forget()
    cloud.fault(method=method, delay_s=60)

    call = asyncio.create_task(app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": dry_run}))
    await wait_for_request(cloud, "partner_center", method)
    call.cancel()

    assert (await call).code == code


async def test_a_call_that_the_host_cancels_after_its_patch_is_in_doubt(
    app: App, cloud: LocalCloud, order_id: str
) -> None:
    """The PATCH was accepted, and the look at the order is cut off: "nothing was changed" would be untrue."""
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})  # fetches the token
    cloud.forget()
    cloud.fault(method="PATCH", body="unreadable")
    cloud.fault(method="GET", delay_s=60)

    call = asyncio.create_task(app.post({"customerTenantId": CUSTOMER, "orderId": order_id}))
    await wait_for_request(cloud, "partner_center", "GET")
    call.cancel()

    assert (await call).code == "outcome_unknown"


async def test_a_handshake_that_never_ends_is_given_up_before_the_deadline(settings: Settings, order_id: str) -> None:
    """httpcore does not close a connection that is cancelled in its handshake; it would leave sockets open."""
    ends: list[asyncio.Event] = []  # an event for each connection, set at its end

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.append(end := asyncio.Event())
        await reader.read()
        writer.close()
        end.set()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        silent = {"api_root": f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"}
        accounts = {"default": settings.accounts["default"].model_copy(update=silent)}
        async with Runtime(settings.model_copy(update={"accounts": accounts})) as runtime:
            await runtime.health()  # fetches the token, so that both seconds are for Partner Center
            gc.disable()  # a collection would close the sockets too
            try:
                answer = await App(runtime).post({"customerTenantId": CUSTOMER, "orderId": order_id}, prefer="wait=2")
                async with asyncio.timeout(20):
                    await asyncio.gather(*(end.wait() for end in ends))
            finally:
                gc.enable()
                server.abort_clients()

    assert answer.code == "partner_center_unavailable"
    assert ends
