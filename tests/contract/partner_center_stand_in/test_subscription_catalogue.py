"""The built-in subscriptions: each shows one kind or condition."""

import re
from datetime import timedelta
from typing import Any

import httpx
import pytest

from infra.local.partner_center.catalogue import built_in_orders
from infra.local.partner_center.members import member
from infra.local.partner_center.subscription_catalogue import built_in_subscriptions
from infra.local.partner_center.subscription_rules import shown
from tests.support.built_in_orders import built_in, built_in_short, subscription_of
from tests.support.partner_center import (
    NOW,
    PRODUCTION,
    SANDBOX,
    OpenPartnerCenter,
    bearer,
    status_and_code,
    subscription_path,
)

DONE, TOO_LATE = (200, None), (400, "900117")
# The answer (status and code) to the cancellation of each subscription, in both kinds of tenant. Names are those of
# their orders; a number is that of the line.
ANSWERS = {
    "fcddfa52-1da8-4529-d347-50ea51e1e7be": DONE,
    "DB8C695B-1C3C-4C55-B697-771503DD46BF": (400, "800040"),
    **{
        subscription_of(name, line): answer
        for (name, line), answer in {
            (built_in("software-subscription"), 0): DONE,
            (built_in("subscription-10-days-old"), 0): TOO_LATE,
            (built_in("saas"), 0): DONE,
            (built_in("saas-2021"), 0): DONE,
            ("a68736758d9c", 0): (403, "900115"),
            (built_in("savings-plan"), 0): (403, "900321"),
            ("licence", 0): DONE,
            ("licence-20-days-old", 0): TOO_LATE,
            ("licence-without-deadline", 0): DONE,
            ("licence-without-deadline-20-days-old", 0): TOO_LATE,
            ("licence-upgraded", 0): TOO_LATE,
            ("licence-202", 0): (202, None),
            ("licence-pascal-case", 0): DONE,
            ("licence-next-term", 0): DONE,
            ("licence-trial", 0): (400, "800096"),
            ("licence-auto-renew-off", 0): TOO_LATE,
            ("licence-scheduled", 0): TOO_LATE,
            ("licence-scheduled-other-spelling", 0): TOO_LATE,
            ("licence-renewed", 0): DONE,
            ("licence-extended", 0): DONE,
            ("licence-suspended", 0): DONE,
            ("licence-suspended-by-microsoft", 0): DONE,
            ("licence-pending", 0): (409, "800082"),
            ("licence-deleted", 0): (400, "2011"),
            ("licence-expired", 0): (400, "800040"),
            ("licence-disabled", 0): (400, "800040"),
            ("unknown-product-type", 0): (400, "900141"),
            **{("licences-five", line): DONE for line in range(5)},
            ("licences-two-windows", 0): DONE,
            ("licences-two-windows", 1): TOO_LATE,
            ("licence-and-add-on", 0): DONE,
            ("licence-and-add-on", 1): DONE,
            ("software-and-licence", 1): DONE,
            ("licence-linked", 0): DONE,
            ("licence-unnamed", 0): DONE,
            ("licence-twins", 0): DONE,
            ("licence-twins", 1): DONE,
            ("licence-seats-added", 0): DONE,
            ("saas-10-days-old", 0): (400, "900213"),
            ("saas-trial", 0): DONE,
            ("saas-not-activated", 0): (400, "800081"),
            ("azure-plan-empty", 0): (400, "800096"),
            ("suse", 0): (400, "800096"),
        }.items()
    },
    **{subscription_of("legacy-add-on", line).upper(): (400, "800040") for line in range(2)},
}
# Orders that have their subscription under another name here, or none that can be seen.
WITHOUT_OWN = {built_in_short("licence-order-pending"), built_in_short("licence-seats-added-by")}


@pytest.mark.parametrize("tenant", [SANDBOX, PRODUCTION], ids=["sandbox", "production"])
def test_every_built_in_subscription_has_its_answer(
    http: httpx.Client, open_partner_center: OpenPartnerCenter, tenant: str
) -> None:
    open_partner_center()
    answers: dict[str, tuple[int, Any]] = {}
    for entry in built_in_subscriptions(NOW):
        path = subscription_path(entry.subscription_id, entry.customer_tenant_id)
        whole = http.get(path, headers=bearer(tenant)).json()
        name = next(name for name in whole if name.lower() == "status")
        answer = http.patch(path, json=whole | {name: "deleted"}, headers=bearer(tenant))
        answers[entry.subscription_id] = (202, None) if answer.status_code == 202 else status_and_code(answer)

    assert answers == ANSWERS


def test_ids_do_not_change_with_time_and_notes_tell_why() -> None:
    entries, later = built_in_subscriptions(NOW), built_in_subscriptions(NOW + timedelta(days=400))

    ids = [entry.subscription_id for entry in entries]
    assert len({subscription_id.lower() for subscription_id in ids}) == len(ids)
    assert [entry.subscription_id for entry in later] == ids
    assert [entry.note for entry in later] == [entry.note for entry in entries]
    assert all(re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", guid, re.ASCII) for guid in ids)
    assert all(entry.note and entry.kind for entry in entries)


@pytest.mark.parametrize("days", [0, 400])
def test_orders_and_subscriptions_fit_together(days: int) -> None:
    """A line that names a subscription names one that exists, and a subscription tells an order that exists."""
    now = NOW + timedelta(days=days)
    orders = {entry.order_id.lower(): entry for entry in built_in_orders(now)}
    subscriptions = {entry.subscription_id.lower(): entry for entry in built_in_subscriptions(now)}

    for subscription in subscriptions.values():
        order = orders[str(subscription.order_id).lower()]
        assert order.customer_tenant_id == subscription.customer_tenant_id
    for order in orders.values():
        for line in member(order.order, "lineItems") or []:
            if named := member(line, "subscriptionId"):
                assert subscriptions[named.lower()].customer_tenant_id == order.customer_tenant_id
    began = {str(entry.order_id).lower() for entry in subscriptions.values()}
    kinds = {"licence", "legacy licence", "SaaS", "software subscription", "Azure plan", "savings plan"}
    without = {
        entry.order_id for entry in orders.values() if entry.kind in kinds and entry.order_id.lower() not in began
    }
    assert without == WITHOUT_OWN


@pytest.mark.parametrize("days", [0, 100, 400])
def test_terms_that_are_not_said_to_be_over_are_not_over(days: int) -> None:
    """Reading a subscription at the start shows nothing that Partner Center would have changed long ago."""
    now = NOW + timedelta(days=days)
    over = {"licence-expired", "licence-disabled"}
    for entry in built_in_subscriptions(now):
        end = str(member(entry.subscription, "commitmentEndDate"))
        is_over = entry.subscription_id in {subscription_of(name) for name in over}
        assert (end[:10] < f"{now:%Y-%m-%d}") == is_over, entry.note


def test_a_body_that_is_sent_back_as_it_was_read_changes_nothing(
    http: httpx.Client, open_partner_center: OpenPartnerCenter
) -> None:
    """Apart from the ETag of legacy subscriptions, which counts changes."""
    partner_center = open_partner_center()
    unchangeable = {(403, "900115"), (403, "900321"), (400, "2011"), (400, "800081"), (400, "800096")}
    unchangeable |= {(409, "800082"), (400, "900279")}
    for entry in built_in_subscriptions(NOW):
        path = subscription_path(entry.subscription_id, entry.customer_tenant_id)
        whole = http.get(path, headers=bearer()).json()

        answer = http.patch(path, json=whole, headers=bearer())

        after = partner_center.subscriptions.now(entry.subscription_id)
        assert after
        after = shown(after)
        assert after | {"attributes": whole.get("attributes")} == whole | {"attributes": whole.get("attributes")}
        assert answer.status_code in {200, 202} or status_and_code(answer) in unchangeable, entry.note
