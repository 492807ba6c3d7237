"""Every kind of credential on every national cloud cancels an order, with requests to that cloud alone."""

import pytest

from tests.conftest import CUSTOMER
from tests.support.local_cloud import LocalCloud

KINDS = ("secret", "certificate", "user", "federated")
NATIONAL_CLOUDS = ("global", "china", "usgov")


@pytest.mark.parametrize("national_cloud", NATIONAL_CLOUDS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_order_is_cancelled_with_every_kind_on_every_cloud(
    cloud: LocalCloud, order_id: str, kind: str, national_cloud: str
) -> None:
    account = "default" if (kind, national_cloud) == ("secret", "global") else f"{kind}-{national_cloud}"

    answer = cloud.post({"customerTenantId": CUSTOMER, "orderId": order_id, "account": account}).json()

    assert answer.get("outcome") == "cancelled"
    assert answer["account"] == account
    assert cloud.order(order_id)["status"] == "cancelled"
    urls = cloud.description["clouds"][national_cloud]
    assert hosts(cloud, "partner_center") == {urls["partnerCenterUrl"].removeprefix("https://")}
    assert hosts(cloud, "entra") <= {urls["entraUrl"].removeprefix("https://")}  # none if the token was there before


def hosts(cloud: LocalCloud, service: str) -> set[str]:
    return {request["headers"]["host"] for request in cloud.requests(service)}
