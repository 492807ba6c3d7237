"""For how long, and by which ids, an accepted PATCH is remembered."""

import pytest

from shared.call import Target
from shared.cancelling.accepted import REMEMBERED_S, AcceptedPatches
from shared.contract import CancelRequest
from shared.partner_center.orders import Order
from tests.support.clock import Clock

GUID = "eeba9d00-7b46-443a-917e-22887a8fc993"
CUSTOMER, OTHER_CUSTOMER = "45411344-b09d-47e7-9653-542006bf9766", "bd59b416-37f9-4d8f-8df3-5750111fc615"


def target(order_id: str, customer: str = CUSTOMER, api_root: str = "https://root") -> Target:
    request = CancelRequest.model_validate({"customerTenantId": customer, "orderId": order_id})
    return Target("default", "tenant", api_root, request, dry_run=False)


def test_a_patch_is_remembered_for_a_quarter_of_an_hour() -> None:
    clock = Clock()
    accepted = AcceptedPatches(clock)
    accepted.note(target("order-one"), None)

    clock.now += REMEMBERED_S
    assert accepted.is_recent(target("order-one"), None)
    clock.now += 1
    assert not accepted.is_recent(target("order-one"), None)


def test_the_newest_patch_of_an_order_counts() -> None:
    clock = Clock()
    accepted = AcceptedPatches(clock)
    for _ in range(2):
        accepted.note(target("order-one"), None)
        accepted.note(target("order-two"), None)
        clock.now += REMEMBERED_S - 1

    assert accepted.is_recent(target("order-one"), None)


def test_old_patches_are_forgotten() -> None:
    clock = Clock()
    accepted = AcceptedPatches(clock)
    for number in range(100):
        clock.now += REMEMBERED_S / 10
        accepted.note(target(f"order-number-{number}"), None)

    assert len(accepted.__dict__["_accepted_at"]) <= 12


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        pytest.param(target(GUID.upper()), True, id="guid-in-capitals"),
        pytest.param(target("another-order"), False, id="another-order"),
        pytest.param(target(GUID, OTHER_CUSTOMER), False, id="another-customer"),
        pytest.param(target(GUID, api_root="https://other"), False, id="another-cloud"),
    ],
)
def test_an_order_is_remembered_by_its_id(other: Target, is_same: bool) -> None:
    accepted = AcceptedPatches(Clock())
    accepted.note(target(GUID), None)

    assert accepted.is_recent(other, None) is is_same


def test_an_order_is_the_same_by_its_alternate_id() -> None:
    """The order itself has its own id, however it was requested."""
    order = Order(order_id="order-one", alternate_id="c403d91b21d2")
    accepted = AcceptedPatches(Clock())

    accepted.note(target("c403d91b21d2"), order)
    assert accepted.is_recent(target("order-one"), None)

    accepted = AcceptedPatches(Clock())
    accepted.note(target("order-one"), order)
    assert accepted.is_recent(target("c403d91b21d2"), order)

    accepted = AcceptedPatches(Clock())
    accepted.note(target("c403d91b21d2"), None)
    assert accepted.is_recent(target("order-one"), order)


def test_an_alternate_id_that_two_orders_share_changes_no_answer() -> None:
    accepted = AcceptedPatches(Clock())
    accepted.note(target("order-one"), Order(order_id="order-one", alternate_id="c403d91b21d2"))

    assert not accepted.is_recent(target("order-two"), Order(order_id="order-two", alternate_id="c403d91b21d2"))


def test_a_patch_counts_while_it_is_on_its_way() -> None:
    """Two deliveries of one ticket may overlap: the first to end must not call the other one's work refused."""
    accepted = AcceptedPatches(Clock())
    one, order = target("order-one"), Order(order_id="order-one")

    with accepted.on_its_way(one, order):
        with accepted.on_its_way(one, order):
            assert not accepted.is_recent(target("order-two"), None)
        assert accepted.is_recent(one, None)
    assert not accepted.is_recent(one, None)
    assert not accepted.__dict__["_on_their_way"], "nothing is kept"


def test_a_patch_that_broke_off_is_no_longer_on_its_way() -> None:
    accepted = AcceptedPatches(Clock())
    one = target("order-one")

    with pytest.raises(ConnectionError), accepted.on_its_way(one, Order(order_id="order-one")):
        raise ConnectionError

    assert not accepted.is_recent(one, None)
