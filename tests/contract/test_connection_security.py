"""The token and everything else that a connection carries go to Partner Center alone."""

import pytest

from tests.conftest import CUSTOMER
from tests.support.in_process import App
from tests.support.local_cloud import LocalCloud

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("status", [301, 307, 308])
async def test_a_redirect_does_not_take_the_token_along(
    app: App, cloud: LocalCloud, order_id: str, status: int
) -> None:
    elsewhere = f"{cloud.description['partnerCenterUrl']}/elsewhere"
    cloud.fault(method="PATCH", status=status, headers={"Location": elsewhere})

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.code == "unexpected_answer"
    assert cloud.requests(path="elsewhere") == []


async def test_cookies_are_not_kept(app: App, cloud: LocalCloud, order_id: str) -> None:
    """A cookie would travel from one partner's call to another's."""
    cloud.fault(method="GET", headers={"Set-Cookie": "session=1; Path=/"})

    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True, "account": "production"})

    requests = cloud.requests("partner_center")
    assert len(requests) == 2
    assert all("cookie" not in request["headers"] for request in requests)


async def test_a_certificate_of_another_authority_is_no_partner_center(app: App, order_id: str) -> None:
    """Without this check the token would go to any server that answers; this one would answer 404."""
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "account": "impostor"}

    answer = await app.post(body, prefer="wait=2")

    assert answer.code == "partner_center_unavailable"
