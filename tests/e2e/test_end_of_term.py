"""A subscription that is said to end with its term does end, and is not billed on: each kind is aged past its term.

Auto-renew off alone, the old way, moves a licence into a paid extended term. This is shown beside it.
"""

from collections.abc import Iterator

import pytest

from tests.support.answers import Answer
from tests.support.built_in_orders import (
    LICENCE_CUSTOMER,
    MARKETPLACE_CUSTOMER,
    SOFTWARE_CUSTOMER,
    built_in,
    built_in_short,
    subscription_of,
)
from tests.support.functions_host import logged_errors
from tests.support.local_cloud import Json, LocalCloud, running
from tests.support.stand_in_clients import partner_center_client

PAST_ITS_TERM_DAYS = 400  # no term of these is longer than a year
ENDED = {"deleted", "expired", "disabled"}
CUSTOMERS = {
    subscription_of(built_in("saas")): MARKETPLACE_CUSTOMER,
    subscription_of("saas-trial"): MARKETPLACE_CUSTOMER,
    subscription_of(built_in("software-subscription")): SOFTWARE_CUSTOMER,
}
# What each subscription has before, in place of its own.
OTHER_ACTION = {"scheduleType": "TermEnd", "actionType": "RenewToExtendedServiceTerm"}
ON_A_DATE = {"scheduleType": "CustomDate", "actionType": "Transition", "effectiveDate": "2030-01-01T00:00:00Z"}
SCHEDULED: dict[str, tuple[str, Json]] = {
    "licence": (subscription_of("licence"), {}),
    "licence-202": (subscription_of("licence-202"), {}),
    "renewed": (subscription_of("licence-renewed"), {}),
    "trial": (subscription_of("licence-trial"), {}),
    "saas": (subscription_of(built_in("saas")), {}),
    "trial-of-saas": (subscription_of("saas-trial"), {}),
    "software": (subscription_of(built_in("software-subscription")), {}),
    "next-term": (subscription_of("licence-next-term"), {}),
    "other-actions": (subscription_of("licence-linked"), {"scheduledActions": [ON_A_DATE, OTHER_ACTION]}),
    "auto-renew-off": (subscription_of("licence-auto-renew-off"), {}),
    "pascal-case": (subscription_of("licence-pascal-case"), {}),
    "other-spelling": (
        subscription_of("licence-20-days-old"),
        {"scheduledActions": [{"scheduledType": "TermEnd", "actionType": "RenewToNewTerm"}]},
    ),
}
ALREADY_SCHEDULED = [subscription_of("licence-scheduled"), subscription_of("licence-scheduled-other-spelling")]
OLD_WAY = subscription_of("licence-unnamed")
STAYS = subscription_of("licence-without-deadline")  # nobody asks for its end


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud of this file's own, whose subscriptions are as they are at its start."""
    with running(tmp_path_factory.mktemp("end-of-term")) as cloud:
        yield cloud


def schedule(cloud: LocalCloud, subscription_id: str) -> Answer:
    customer = CUSTOMERS.get(subscription_id, LICENCE_CUSTOMER)
    return Answer.of(cloud.post({"customerTenantId": customer, "subscriptionId": subscription_id, "when": "term_end"}))


def past_its_term(cloud: LocalCloud, subscription_id: str) -> Json:
    """Return the subscription after its term, its members' names in lower case."""
    aged = cloud.age(f"subscriptions/{subscription_id}", PAST_ITS_TERM_DAYS)
    return in_lower_case(aged)


def in_lower_case(subscription: Json) -> Json:
    return {name.lower(): value for name, value in subscription.items()}


def is_billed_on(before: Json, after: Json) -> bool:
    """True if another term has begun: a renewal of any length, or an extended term."""
    return bool(after["status"] == "active" or after["commitmentenddate"] >= before["commitmentenddate"])


@pytest.mark.parametrize("name", SCHEDULED)
def test_what_is_scheduled_is_gone_after_its_term_and_not_billed_on(cloud: LocalCloud, name: str) -> None:
    subscription_id, members = SCHEDULED[name]
    cloud.put(f"subscriptions/{subscription_id}", cloud.subscription(subscription_id) | members)
    before = in_lower_case(cloud.subscription(subscription_id))

    scheduled, again = schedule(cloud, subscription_id), schedule(cloud, subscription_id)
    at_once = in_lower_case(cloud.subscription(subscription_id))
    after = past_its_term(cloud, subscription_id)

    assert (scheduled.result, again.result) == ("scheduled", "already_scheduled")
    assert scheduled.body["lineItems"][0]["endsAtTerm"] is True
    assert (at_once["status"], at_once["commitmentenddate"]) == ("active", before["commitmentenddate"])
    assert after["status"] in ENDED
    assert after["autorenewenabled"] is False
    assert "Extended Service Term" not in after["offername"]
    assert not is_billed_on(before, after)


@pytest.mark.parametrize("subscription_id", ALREADY_SCHEDULED)
def test_what_is_already_scheduled_is_gone_after_its_term(cloud: LocalCloud, subscription_id: str) -> None:
    answer = schedule(cloud, subscription_id)
    after = past_its_term(cloud, subscription_id)

    assert answer.outcome == "already_scheduled"
    assert after["status"] == "deleted"


def test_all_lines_of_an_order_end_with_their_terms(cloud: LocalCloud) -> None:
    body = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licences-five"), "when": "term_end"}

    answer = Answer.of(cloud.post(body))
    statuses = [past_its_term(cloud, subscription_of("licences-five", line))["status"] for line in range(5)]

    assert answer.outcome == "scheduled"
    assert [line["endsAtTerm"] for line in answer.body["lineItems"]] == [True] * 5
    assert statuses == ["deleted"] * 5


def test_auto_renew_off_alone_goes_on_as_a_paid_extended_term(cloud: LocalCloud) -> None:
    """Most tools still send this: the whole subscription, with auto-renew off."""
    before = in_lower_case(cloud.subscription(OLD_WAY))
    path = f"/v1/customers/{LICENCE_CUSTOMER}/subscriptions/{OLD_WAY}"
    with partner_center_client(cloud) as client:
        whole = client.get(path).raise_for_status().json()
        patched = client.patch(path, json=whole | {"autoRenewEnabled": False}).raise_for_status().json()

    after = past_its_term(cloud, OLD_WAY)

    assert (patched["status"], patched["autoRenewEnabled"]) == ("active", False)
    assert (after["status"], after["autorenewenabled"]) == ("active", True)
    assert "Extended Service Term" in after["offername"]
    assert is_billed_on(before, after)


def test_a_licence_that_nobody_asked_for_renews(cloud: LocalCloud) -> None:
    """Otherwise the tests above would pass with a stand-in that ends everything."""
    after = past_its_term(cloud, STAYS)

    assert (after["status"], after["autorenewenabled"]) == ("active", True)
    assert "Extended Service Term" not in after["offername"]


def test_an_extended_term_ends_by_cancelling_now(cloud: LocalCloud) -> None:
    """It has no other way out, and the refusal to schedule says so."""
    extended = subscription_of("licence-extended")

    refused = schedule(cloud, extended)
    cancelled = Answer.of(cloud.post({"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": extended}))

    assert (refused.status, refused.code) == (422, "nothing_to_schedule")
    assert "extended term" in refused.body["detail"]
    assert cancelled.outcome == "cancelled"
    assert past_its_term(cloud, extended)["status"] == "deleted"


def test_nothing_went_wrong_in_the_log(cloud: LocalCloud) -> None:
    assert logged_errors(cloud.log.read_text()) == []
