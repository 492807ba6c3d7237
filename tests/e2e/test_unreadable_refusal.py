"""A refusal whose body cannot be read, of an order that cannot be read either."""

from tests.conftest import CUSTOMER
from tests.support.answers import Answer
from tests.support.local_cloud import LocalCloud


def test_a_refusal_that_can_be_neither_read_nor_checked_is_not_final(cloud: LocalCloud, order_id: str) -> None:
    """The refusal may have meant that the order is cancelled already, as it is."""
    request = {"customerTenantId": CUSTOMER, "orderId": order_id}
    assert Answer.of(cloud.post(request)).outcome == "cancelled"
    cloud.fault(method="PATCH", path=order_id, body="garbage")
    cloud.fault(method="GET", path=order_id, status=500, times=4)

    first, second = Answer.of(cloud.post(request)), Answer.of(cloud.post(request))

    assert (first.status, first.code) == (503, "outcome_unknown")
    assert (second.status, second.outcome) == (200, "already_cancelled")
