"""The texts about the end of a term tell the person at the ticket the truth."""

import pytest

from tests.support.built_in_orders import LICENCE_CUSTOMER, built_in_short, subscription_of
from tests.support.in_process import App
from tests.support.local_cloud import LocalCloud

pytestmark = pytest.mark.anyio


async def test_a_line_whose_auto_renew_was_turned_off_is_not_told_as_unchanged(app: App, cloud: LocalCloud) -> None:
    """Partner Center ignores the action of one line; the other line ends with its term."""
    ignored = subscription_of("licence-and-add-on")
    before = [cloud.subscription(subscription_of("licence-and-add-on", line)) for line in (0, 1)]
    cloud.put(f"subscriptions/{ignored}/behaviour", {"actions": "ignore"})

    order = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licence-and-add-on")}
    answer = await app.post(order | {"when": "term_end"})
    after = cloud.subscription(ignored)
    cloud.put(f"subscriptions/{ignored}/behaviour", {"actions": "scheduleType"})  # other tests use it too
    for subscription in before:
        cloud.put(f"subscriptions/{subscription['id']}", subscription)

    assert [line["code"] for line in answer.body["order"]["lineItems"]] == ["unexpected_answer", None]
    assert (before[0]["autoRenewEnabled"], after["autoRenewEnabled"]) == (True, False)
    assert "unchanged" not in answer.body["detail"]
