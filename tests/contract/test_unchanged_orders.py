"""Failures after which the order is certainly unchanged: no PATCH can have arrived."""

import pytest

from tests.conftest import CUSTOMER
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud

pytestmark = pytest.mark.anyio

READ_FAULTS: dict[str, tuple[Json, str]] = {
    "no-such-order": ({"status": 404, "body": {"code": "20000"}}, "order_not_found"),
    "404-of-a-proxy": ({"status": 404, "body": "<html>"}, "unexpected_answer"),
    "junk": ({"status": 200, "body": "junk"}, "unexpected_answer"),
    "another-order": ({"status": 200, "body": {"id": "another-order"}}, "unexpected_answer"),
    "429": ({"status": 429, "headers": {"Retry-After": "30"}}, "throttled"),
    "503": ({"status": 503, "headers": {"Retry-After": "30"}}, "partner_center_unavailable"),
    "hang-up": ({"hang_up": "before", "times": 4}, "partner_center_unavailable"),
}


@pytest.mark.parametrize("name", READ_FAULTS)
async def test_while_an_order_is_only_read_nothing_is_in_doubt(
    app: App, cloud: LocalCloud, order_id: str, name: str
) -> None:
    fault, code = READ_FAULTS[name]
    cloud.fault(method="GET", **fault)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": [{"lineItemNumber": 0}]})

    assert answer.code == code
    assert "PATCH" not in cloud.methods()


async def test_an_order_of_which_only_half_arrived_is_read_again(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(method="GET", hang_up="halfway")

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})

    assert answer.outcome == "dry_run"
    assert len(cloud.requests("partner_center", path=f"/orders/{order_id}")) == 2


async def test_without_a_connection_nothing_has_changed(app: App, order_id: str) -> None:
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "account": "unreachable"}

    answer = await app.post(body, prefer="wait=2")

    assert answer.status == 503
    assert answer.code == "partner_center_unavailable"
    assert 1 <= int(answer.headers["Retry-After"]) <= 59
