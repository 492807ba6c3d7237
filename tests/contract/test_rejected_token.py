"""Partner Center answers 401: the token is renewed once, and Entra ID is not asked again and again."""

import pytest

from tests.conftest import CUSTOMER
from tests.support.in_process import App
from tests.support.local_cloud import LocalCloud

pytestmark = pytest.mark.anyio


async def test_a_401_renews_the_token_once(app: App, cloud: LocalCloud, order_id: str) -> None:
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})
    cloud.forget()
    cloud.fault(status=401, body={"code": "900421", "description": "no MFA"}, times=2)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.status == 502
    assert answer.code == "credentials_rejected"
    assert answer.body["partnerCenter"]["code"] == "900421"
    assert "MFA" in answer.body["detail"]
    assert [request["path"].split("/")[1] for request in cloud.requests("key_vault")] == ["secrets"]
    assert len(cloud.requests("entra", "POST")) == 1
    assert cloud.methods() == ["PATCH", "PATCH"]


async def test_a_lasting_401_does_not_hammer_entra(app: App, cloud: LocalCloud, order_id: str) -> None:
    body = {"customerTenantId": CUSTOMER, "orderId": order_id}
    await app.post(body | {"dryRun": True})
    cloud.forget()
    cloud.fault(status=401, times=100)

    codes = {(await app.post(body)).code for _ in range(5)}
    cloud.clear_faults()
    healed = await app.post(body)

    assert codes == {"credentials_rejected"}
    assert healed.status == 200
    assert len(cloud.requests("entra", "POST")) == 1
    assert len(cloud.requests("key_vault")) == 1


async def test_after_a_rejected_token_a_short_401_is_still_repeated(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(status=401, times=2)
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})
    cloud.fault(method="PATCH", status=401)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.outcome == "cancelled"
