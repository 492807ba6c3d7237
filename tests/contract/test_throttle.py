"""Partner Center answers 429: the worker's gate closes, and a call waits if its deadline allows, or ends."""

import asyncio

import pytest

from shared.runtime import Runtime
from shared.settings import Settings
from tests.conftest import CUSTOMER
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud
from tests.support.waiting import wait_for_request

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("wait", "retry_after"), [("57", "57"), ("3600", "59"), (None, "10")], ids=["57", "an-hour", "not-given"]
)
async def test_a_throttle_that_outlasts_the_deadline_is_passed_on_at_once(
    app: App, cloud: LocalCloud, order_id: str, wait: str | None, retry_after: str
) -> None:
    """An early repeat counts against the limit too."""
    headers = {} if wait is None else {"Retry-After": wait}
    cloud.fault(status=429, headers=headers, body={"statusCode": 429, "message": "Rate limit is exceeded."})

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.status == 429
    assert answer.code == "throttled"
    assert answer.headers["Retry-After"] == retry_after
    assert answer.body["partnerCenter"] == {"code": "429", "description": "Rate limit is exceeded."}
    assert cloud.methods() == ["PATCH"]


QUOTA = "Quota will be replenished in 00:00:12."
THROTTLES: dict[str, tuple[Json, str]] = {
    "quota-of-calls": (
        {"status": 403, "headers": {"Retry-After": "12"}, "body": f"Out of call volume quota. {QUOTA}"},
        "12",
    ),
    "quota-in-words": ({"status": 403, "body": f"Out of call volume quota. {QUOTA}"}, "12"),
    "quota-of-bytes": ({"status": 403, "body": f"Out of bandwidth quota. {QUOTA}"}, "12"),
    "quota-of-days": (
        {"status": 403, "body": "Out of call volume quota. Quota will be replenished in 6.23:59:59."},
        "59",
    ),
    "rate-in-words": ({"status": 429, "body": "Rate limit is exceeded. Try again in 57 seconds."}, "57"),
}


@pytest.mark.parametrize("name", THROTTLES)
async def test_api_management_throttles_in_several_forms(app: App, cloud: LocalCloud, order_id: str, name: str) -> None:
    fault, retry_after = THROTTLES[name]
    message = {"statusCode": fault["status"], "message": fault["body"]}
    cloud.fault(method="PATCH", **fault | {"body": message})
    body = {"customerTenantId": CUSTOMER, "orderId": order_id}

    first, second = await app.post(body), await app.post(body)

    assert (first.status, first.code, first.headers["Retry-After"]) == (429, "throttled", retry_after)
    assert (second.status, second.code) == (429, "throttled")
    assert cloud.methods() == ["PATCH"]


FORBIDDEN: dict[str, Json] = {
    "plain": {"statusCode": 403, "message": "Access denied."},
    "a-code": {"code": "900150", "description": "The role's quota exceeded."},
}


@pytest.mark.parametrize("name", FORBIDDEN)
async def test_another_403_closes_no_gate(app: App, cloud: LocalCloud, order_id: str, name: str) -> None:
    cloud.fault(method="PATCH", status=403, body=FORBIDDEN[name])
    body = {"customerTenantId": CUSTOMER, "orderId": order_id}

    first, second = await app.post(body), await app.post(body)

    assert first.status == 502
    assert second.outcome == "cancelled"


async def test_a_throttle_that_ends_before_the_deadline_is_waited_for(
    app: App, cloud: LocalCloud, order_id: str
) -> None:
    cloud.fault(status=429, headers={"Retry-After": "0"})

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.outcome == "cancelled"


async def test_when_the_gate_opens_one_call_goes_ahead_of_the_others(
    app: App, cloud: LocalCloud, order_id: str
) -> None:
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True}
    await app.post(body)
    cloud.forget()
    cloud.fault(status=429, headers={"Retry-After": "1"})
    throttled = await app.post(body, prefer="wait=1")
    cloud.forget_requests()
    cloud.fault(delay_s=60)  # holds the first request after the 429

    calls = [asyncio.create_task(app.post(body, prefer="wait=60")) for _ in range(11)]
    await wait_for_request(cloud, "partner_center")
    await asyncio.sleep(0.3)  # time for the others to pass too
    ahead = len(await asyncio.to_thread(cloud.requests, "partner_center"))
    await asyncio.to_thread(cloud.clear_faults)
    answers = await asyncio.gather(*calls)

    assert throttled.status == 429
    assert ahead == 1
    assert {answer.status for answer in answers} == {200}
    assert len(cloud.requests("partner_center")) == 22  # an order and the list of its subscriptions for each


async def test_behind_a_closed_gate_no_request_is_sent(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(status=429, headers={"Retry-After": "57"})
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True}

    codes = [(await app.post(body)).code for _ in range(3)]

    assert codes == ["throttled"] * 3
    assert [request["status"] for request in cloud.requests("partner_center")] == [429]


async def test_a_closed_gate_stops_one_partner_tenant_only(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(status=429, headers={"Retry-After": "57"})
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True}
    throttled = await app.post(body)

    other = await app.post(body | {"account": "rehearsal"})

    assert throttled.code == "throttled"
    assert other.status == 200
    assert [request["status"] for request in cloud.requests("partner_center")] == [429, 200, 200]


async def test_a_closed_gate_stops_each_account_of_a_partner_tenant(
    settings: Settings, cloud: LocalCloud, order_id: str
) -> None:
    """The limit is the tenant's: an account with another credential has no calls of its own."""
    default = settings.accounts["default"]
    twins = settings.model_copy(update={"accounts": {"default": default, "twin": default.model_copy()}})
    cloud.fault(status=429, headers={"Retry-After": "57"})
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True}

    async with Runtime(twins) as runtime:
        answers = [await App(runtime).post(body | {"account": account}) for account in ("default", "twin")]

    assert [answer.code for answer in answers] == ["throttled"] * 2
    assert len(cloud.requests("partner_center")) == 1


async def test_a_lost_answer_outweighs_a_closed_gate(app: App, cloud: LocalCloud, order_id: str) -> None:
    """The answer "throttled" would say that the order is unchanged."""
    cloud.fault(method="PATCH", hang_up="after")
    cloud.fault(method="PATCH", status=429, headers={"Retry-After": "57"})

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.status == 503
    assert answer.code == "outcome_unknown"
    assert answer.headers["Retry-After"] == "57"
    assert cloud.order(order_id)["status"] == "cancelled"


async def test_a_429_with_a_broken_body_closes_the_gate(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(status=429, headers={"Retry-After": "57"}, body="x" * 100, hang_up="halfway")
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True}

    codes = [(await app.post(body)).code for _ in range(2)]

    assert codes == ["throttled"] * 2
    assert len(cloud.requests("partner_center")) == 1
