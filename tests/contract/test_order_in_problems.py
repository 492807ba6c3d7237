"""The order in a problem: as it was read, and none that a PATCH may have changed since."""

import asyncio
from typing import Any

import pytest

from tests.conftest import CUSTOMER
from tests.support.built_in_orders import built_in
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud
from tests.support.waiting import wait_for_request

pytestmark = pytest.mark.anyio

LINE = [{"lineItemNumber": 0}]
LOST: Json = {"hang_up": "before", "times": 20}
REFUSED: Json = {"status": 400, "body": {"code": "800061", "description": "no"}}
THROTTLED: Json = {"status": 429, "headers": {"Retry-After": "30"}}


def whole(order_id: str, **more: Any) -> Json:
    return {"customerTenantId": CUSTOMER, "orderId": order_id} | more


def quantities(order: Json) -> list[int]:
    return [line["quantity"] for line in order["lineItems"]]


async def test_a_line_that_is_not_there_shows_the_lines_that_are(app: App, order_id: str) -> None:
    answer = await app.post(whole(order_id, lineItems=[{"lineItemNumber": 9}]))

    assert answer.code == "line_item_mismatch"
    order = answer.body["order"]
    assert [line["lineItemNumber"] for line in order["lineItems"]] == [0, 1, 2]
    assert (order["orderId"], order["customerTenantId"], order["cancelledLineItems"]) == (order_id, CUSTOMER, [])


async def test_a_refusal_shows_the_order_as_it_is_after_it(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(method="PATCH", **REFUSED)

    answer = await app.post(whole(order_id))

    assert answer.code == "not_cancellable"
    assert cloud.methods()[:2] == ["PATCH", "GET"]
    assert (answer.body["order"]["status"], quantities(answer.body["order"])) == ("completed", [1, 1, 1])


async def test_a_refusal_without_a_look_shows_the_order_that_was_read_before(
    app: App, cloud: LocalCloud, order_id: str
) -> None:
    cloud.fault(method="PATCH", **THROTTLED)

    answer = await app.post(whole(order_id, lineItems=LINE), prefer="wait=2")

    assert answer.code == "throttled"
    assert cloud.methods() == ["GET", "PATCH"]
    assert quantities(answer.body["order"]) == [1, 1, 1]


async def test_an_order_that_a_patch_may_have_changed_since_is_not_shown(
    app: App, cloud: LocalCloud, order_id: str
) -> None:
    """The line may be cancelled by now; an older reading would say that it is not."""
    cloud.fault(method="PATCH", hang_up="after", times=20)
    cloud.fault(method="GET", path=order_id)  # the read before the PATCH is answered as ever
    cloud.fault(method="GET", **LOST)

    answer = await app.post(whole(order_id, lineItems=LINE), prefer="wait=2")

    assert answer.code == "outcome_unknown"
    assert answer.body["order"] is None
    assert cloud.order(order_id)["lineItems"][0]["quantity"] == 0


async def test_no_order_is_shown_beside_a_doubt(app: App, cloud: LocalCloud, order_id: str) -> None:
    """Reads lag behind writes: a look that shows the order unchanged does not prove that it is."""
    cloud.fault(method="PATCH", **LOST)

    answer = await app.post(whole(order_id), prefer="wait=3")

    assert answer.code == "outcome_unknown"
    assert "GET" in cloud.methods()
    assert answer.body["order"] is None


async def test_an_older_reading_is_not_shown_after_a_look_that_failed(
    app: App, cloud: LocalCloud, order_id: str
) -> None:
    cloud.fault(method="PATCH", status=404, body="<html>")
    cloud.fault(method="GET", path=order_id)  # the read before the PATCH is answered as ever
    cloud.fault(method="GET", **LOST)

    answer = await app.post(whole(order_id, lineItems=LINE), prefer="wait=2")

    assert answer.code in {"unexpected_answer", "outcome_unknown"}
    assert answer.body["order"] is None


async def test_a_call_that_the_host_ends_during_its_patch_shows_no_order(
    app: App, cloud: LocalCloud, order_id: str
) -> None:
    cloud.fault(method="PATCH", delay_s=60)
    call = asyncio.create_task(app.post(whole(order_id, lineItems=LINE)))
    await wait_for_request(cloud, "partner_center", "PATCH")
    call.cancel()

    answer = await call

    cloud.clear_faults()
    assert answer.code == "outcome_unknown"
    assert answer.body["order"] is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"orderId": built_in("nowhere")}, "order_not_found", id="no-such-order"),
        pytest.param({"orderId": "x"}, "invalid_request", id="invalid"),
        pytest.param({"account": "nobody"}, "unknown_account", id="unknown-account"),
    ],
)
async def test_an_order_that_was_not_read_is_not_shown(app: App, order_id: str, change: Json, code: str) -> None:
    answer = await app.post(whole(order_id) | change)

    assert answer.code == code
    assert answer.body["order"] is None


async def test_an_order_does_not_reach_the_next_call(app: App, order_id: str) -> None:
    """An error that a credential is refused is kept for all calls; an order belongs to one."""
    assert (await app.post(whole(order_id, lineItems=[{"lineItemNumber": 9}]))).body["order"]

    answers = [await app.post(whole(order_id, account="expired")) for _ in range(2)]

    assert [answer.code for answer in answers] == ["credentials_rejected"] * 2
    assert [answer.body["order"] for answer in answers] == [None, None]
