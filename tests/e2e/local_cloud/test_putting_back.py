"""The steps of docs/operate.md by which an operator puts back what `when: term_end` took out."""

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.support.built_in_orders import LICENCE_CUSTOMER, subscription_of
from tests.support.local_cloud import LocalCloud


@pytest.fixture
def subscription_id(cloud: LocalCloud) -> Iterator[str]:
    """A licence, which is as before afterwards."""
    found = subscription_of("licence-upgraded")
    before = cloud.subscription(found)
    yield found
    cloud.put(f"subscriptions/{found}", before)


def test_the_renewal_is_put_back_by_the_api(cloud: LocalCloud, client: httpx.Client, subscription_id: str) -> None:
    """`replaces` of a dry run has the text of the audit record's `replaced`."""
    path = f"/v1/customers/{LICENCE_CUSTOMER}/subscriptions/{subscription_id}"
    instructions = {"product": {"productId": "CFQ7TTC0HD33", "skuId": "0002"}, "quantity": 3}
    before = cloud.subscription(subscription_id) | {"scheduledNextTermInstructions": instructions}
    cloud.put(f"subscriptions/{subscription_id}", before)
    request = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": subscription_id, "when": "term_end"}
    [line] = cloud.post(request | {"dryRun": True}).json()["lineItems"]
    assert cloud.post(request).json()["outcome"] == "scheduled"

    scheduled = client.get(path).json()
    assert scheduled.pop("scheduledActions")[0]["actionType"] == "Cancel"
    client.patch(path, json=scheduled | json.loads(line["replaces"])).raise_for_status()

    assert cloud.subscription(subscription_id) == before
    [line] = cloud.post(request | {"dryRun": True}).json()["lineItems"]
    assert (line["autoRenew"], line["endsAtTerm"]) == (True, False)
