"""For how long, and by which ids, an accepted PATCH is remembered."""

import pytest

from shared.call import Target
from shared.cancelling.accepted import LOST_S, REMEMBERED_S, AcceptedPatches
from shared.contract import CancelRequest
from tests.support.clock import Clock

GUID = "eeba9d00-7b46-443a-917e-22887a8fc993"
CUSTOMER, OTHER_CUSTOMER = "45411344-b09d-47e7-9653-542006bf9766", "bd59b416-37f9-4d8f-8df3-5750111fc615"


def target(customer: str = CUSTOMER, api_root: str = "https://root") -> Target:
    request = CancelRequest.model_validate({"customerTenantId": customer, "orderId": "the-order"})
    return Target("default", "tenant", api_root, request, dry_run=False)


def test_a_patch_is_remembered_for_a_quarter_of_an_hour() -> None:
    clock = Clock()
    accepted = AcceptedPatches(clock)
    accepted.note(target(), "one")

    clock.now += REMEMBERED_S
    assert accepted.is_recent(target(), "one")
    clock.now += 1
    assert not accepted.is_recent(target(), "one")


def test_the_newest_patch_counts() -> None:
    clock = Clock()
    accepted = AcceptedPatches(clock)
    for _ in range(2):
        accepted.note(target(), "one")
        accepted.note(target(), "two")
        clock.now += REMEMBERED_S - 1

    assert accepted.is_recent(target(), "one")


def test_old_patches_are_forgotten() -> None:
    clock = Clock()
    accepted = AcceptedPatches(clock)
    for number in range(100):
        clock.now += REMEMBERED_S / 10
        accepted.note(target(), f"number-{number}")

    assert len(accepted.__dict__["_accepted_at"]) <= 12


@pytest.mark.parametrize(
    ("other", "other_id", "is_same"),
    [
        pytest.param(target(), GUID.upper(), True, id="guid-in-capitals"),
        pytest.param(target(), "another", False, id="another-order"),
        pytest.param(target(OTHER_CUSTOMER), GUID, False, id="another-customer"),
        pytest.param(target(api_root="https://other"), GUID, False, id="another-cloud"),
    ],
)
def test_it_is_remembered_by_its_id(other: Target, other_id: str, is_same: bool) -> None:
    accepted = AcceptedPatches(Clock())
    accepted.note(target(), GUID)

    assert accepted.is_recent(other, other_id) is is_same


def test_one_of_several_ids_is_enough() -> None:
    """An order may be requested by its alternateId; its answer has its own id."""
    accepted = AcceptedPatches(Clock())
    accepted.note(target(), "c403d91b21d2", "order-one", None)

    assert accepted.is_recent(target(), "order-one")
    assert accepted.is_recent(target(), "c403d91b21d2")
    assert accepted.is_recent(target(), "order-two", None, "order-one")
    assert not accepted.is_recent(target(), "order-two", None)


def test_a_patch_counts_while_it_is_on_its_way() -> None:
    """Two deliveries of one ticket may overlap: the first to end must not call the other one's work refused."""
    accepted = AcceptedPatches(Clock())

    with accepted.on_its_way(target(), "one", None):
        with accepted.on_its_way(target(), "one"):
            assert not accepted.is_recent(target(), "two")
        assert accepted.is_recent(target(), "one")
    assert not accepted.is_recent(target(), "one")
    assert not accepted.__dict__["_on_their_way"], "nothing is kept"


def test_a_patch_that_broke_off_is_no_longer_on_its_way() -> None:
    accepted = AcceptedPatches(Clock())

    with pytest.raises(ConnectionError), accepted.on_its_way(target(), "one"):
        raise ConnectionError

    assert not accepted.is_recent(target(), "one")


def test_a_reading_is_doubted_for_long_after_an_accepted_patch_and_shortly_after_a_lost_one() -> None:
    """A lost PATCH arrives in seconds or never; what was accepted may take minutes to show."""
    clock = Clock()
    accepted = AcceptedPatches(clock)
    accepted.note(target(), "accepted")
    accepted.note(target(), "lost", is_lost=True)
    accepted.note(target(), "accepted", is_lost=True)
    assert accepted.may_be_done(target(), "lost")

    clock.now += LOST_S + 1
    assert not accepted.may_be_done(target(), "lost")
    assert accepted.is_recent(target(), "lost")
    assert accepted.may_be_done(target(), "accepted")

    accepted.note(target(), "lost")
    clock.now += LOST_S + 1
    assert accepted.may_be_done(target(), "lost")
    with accepted.on_its_way(target(), "another"):
        assert accepted.may_be_done(target(), "another")
    assert not accepted.may_be_done(target(), "another")
