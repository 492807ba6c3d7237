"""The end of a term: what it costs in requests, what is sent, and what a dry run says before."""

import json

import pytest

from shared.runtime import Runtime
from shared.settings import Settings
from tests.support.built_in_orders import (
    AZURE_CUSTOMER,
    LICENCE_CUSTOMER,
    MARKETPLACE_CUSTOMER,
    SOFTWARE_CUSTOMER,
    built_in,
    built_in_short,
    subscription_of,
)
from tests.support.callers import KEY, key_caller
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud

pytestmark = pytest.mark.anyio

LICENCE = subscription_of("licence")
BY_SUBSCRIPTION = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": LICENCE, "when": "term_end"}
BY_ORDER = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licence"), "when": "term_end"}
CANCEL = {"scheduleType": "TermEnd", "actionType": "Cancel"}
NEXT_TERM = {"quantity": 8}
NO_ACTION: dict[str, tuple[str, str]] = {
    "saas": (MARKETPLACE_CUSTOMER, subscription_of(built_in("saas"))),
    "software": (SOFTWARE_CUSTOMER, subscription_of(built_in("software-subscription"))),
    "trial": (LICENCE_CUSTOMER, subscription_of("licence-trial")),
}


async def test_a_subscription_costs_three_requests(app: App, cloud: LocalCloud) -> None:
    """The last one is the look: the answer to the PATCH may be an echo."""
    answer = await app.post(BY_SUBSCRIPTION)

    assert answer.outcome == "scheduled"
    assert cloud.methods() == ["GET", "PATCH", "GET"]
    assert (answer.body["when"], answer.body["cancelledLineItems"]) == ("term_end", [])
    [line] = answer.body["lineItems"]
    assert (line["cancelled"], line["subscriptionStatus"], line["code"]) == (False, "active", None)
    assert (line["autoRenew"], line["endsAtTerm"], line["replaces"]) == (False, True, None)


async def test_a_licence_by_its_order_costs_four_requests(app: App, cloud: LocalCloud) -> None:
    answer = await app.post(BY_ORDER)

    assert answer.outcome == "scheduled"
    assert cloud.methods() == ["GET", "GET", "PATCH", "GET"]
    assert answer.body["lineItems"][0]["endsAtTerm"] is True


@pytest.mark.parametrize("body", [BY_SUBSCRIPTION, BY_ORDER], ids=["by-subscription", "by-order"])
async def test_a_repeat_costs_its_readings(app: App, cloud: LocalCloud, body: Json) -> None:
    await app.post(BY_SUBSCRIPTION)
    cloud.forget()

    answer = await app.post(body)

    assert answer.outcome == "already_scheduled"
    assert cloud.methods() == ["GET"] * (1 if body is BY_SUBSCRIPTION else 2)


@pytest.mark.parametrize("spelling", ["scheduleType", "scheduledType", "ScheduledType"])
async def test_what_somebody_else_has_scheduled_is_already_scheduled(
    app: App, cloud: LocalCloud, spelling: str
) -> None:
    members = {"autoRenewEnabled": False, "scheduledActions": [{spelling: "termend", "actionType": "CANCEL"}]}
    cloud.put(f"subscriptions/{LICENCE}", cloud.subscription(LICENCE) | members)

    answer = await app.post(BY_SUBSCRIPTION)

    assert answer.outcome == "already_scheduled"
    assert cloud.methods() == ["GET"]
    assert answer.body["lineItems"][0]["endsAtTerm"] is True


async def test_the_whole_subscription_is_sent_back_without_the_next_term(app: App, cloud: LocalCloud) -> None:
    more = {"scheduledNextTermInstructions": NEXT_TERM, "aMemberOfTomorrow": [None, {"x": 1.5}]}
    whole = cloud.subscription(LICENCE) | more
    cloud.put(f"subscriptions/{LICENCE}", whole)

    await app.post(BY_SUBSCRIPTION)

    [patch] = cloud.requests(method="PATCH")
    del whole["scheduledNextTermInstructions"]
    assert patch["body"] == whole | {"autoRenewEnabled": False, "scheduledActions": [CANCEL]}
    assert "if-match" not in patch["headers"]


@pytest.mark.parametrize("name", NO_ACTION)
async def test_without_extended_terms_auto_renew_off_is_enough(app: App, cloud: LocalCloud, name: str) -> None:
    customer, subscription_id = NO_ACTION[name]
    whole = cloud.subscription(subscription_id)
    whole.pop("scheduledNextTermInstructions", None)

    answer = await app.post({"customerTenantId": customer, "subscriptionId": subscription_id, "when": "term_end"})

    [patch] = cloud.requests(method="PATCH")
    assert answer.outcome == "scheduled"
    assert patch["body"] == whole | {"autoRenewEnabled": False}
    assert answer.body["lineItems"][0]["endsAtTerm"] is True


async def test_the_ids_of_its_order_lead_to_the_subscription_of_saas(app: App, cloud: LocalCloud) -> None:
    """Its id is as long as that of software, whose order is tried first to cancel now."""
    answer = await app.post({"customerTenantId": MARKETPLACE_CUSTOMER, "orderId": built_in("saas"), "when": "term_end"})

    assert answer.outcome == "scheduled"
    assert cloud.requests(method="PATCH", path="/orders/") == []


@pytest.mark.parametrize("account", ["default", "orders-only"])
@pytest.mark.parametrize(
    ("customer", "order_id"),
    [
        pytest.param(SOFTWARE_CUSTOMER, built_in("software-three-lines"), id="33-characters"),
        pytest.param(LICENCE_CUSTOMER, built_in_short("licence"), id="12-digits"),
        pytest.param(AZURE_CUSTOMER, "eeba9d00-7b46-443a-917e-22887a8fc993", id="guid"),
        pytest.param(SOFTWARE_CUSTOMER, built_in("no-status-no-lines"), id="no-lines"),
        pytest.param(LICENCE_CUSTOMER, built_in_short("software-and-licence"), id="mixed"),
    ],
)
@pytest.mark.parametrize("lines", [None, [{"lineItemNumber": 0}]], ids=["whole", "line"])
async def test_no_order_is_ever_changed(
    app: App, cloud: LocalCloud, account: str, customer: str, order_id: str, lines: list[Json] | None
) -> None:
    """Its PATCH would cancel now."""
    before = cloud.order(order_id)
    body: Json = {"customerTenantId": customer, "orderId": order_id, "when": "term_end", "account": account}

    answer = await app.post(body if lines is None else body | {"lineItems": lines})

    assert cloud.requests(method="PATCH", path="/orders/") == []
    assert cloud.order(order_id) == before
    is_sent = account == "default" and order_id == built_in_short("licence")
    assert len(cloud.requests(method="PATCH")) == (1 if is_sent else 0), answer.result
    assert (answer.outcome == "scheduled") is is_sent


NOTHING: dict[str, tuple[str, str, str]] = {
    "extended": (LICENCE_CUSTOMER, subscription_of("licence-extended"), "without when"),
    "unknown-kind": (LICENCE_CUSTOMER, subscription_of("unknown-product-type"), "does not know"),
    "legacy": (AZURE_CUSTOMER, subscription_of("legacy-add-on"), "cannot be turned off"),
    "azure-plan": (AZURE_CUSTOMER, subscription_of("azure-plan-empty"), "does not renew"),
}


@pytest.mark.parametrize("name", NOTHING)
async def test_what_does_not_end_with_a_term_is_refused_with_the_reason(app: App, cloud: LocalCloud, name: str) -> None:
    customer, subscription_id, reason = NOTHING[name]

    answer = await app.post({"customerTenantId": customer, "subscriptionId": subscription_id, "when": "term_end"})

    assert (answer.status, answer.code) == (422, "nothing_to_schedule")
    assert reason in answer.body["detail"]
    assert cloud.methods() == ["GET"]


@pytest.mark.parametrize("body", [BY_SUBSCRIPTION, BY_ORDER], ids=["by-subscription", "by-order"])
async def test_an_account_for_orders_only_schedules_nothing(app: App, cloud: LocalCloud, body: Json) -> None:
    dry, real = [await app.post(body | {"account": "orders-only", "dryRun": dry_run}) for dry_run in (True, False)]

    assert (real.status, real.code) == (422, "use_subscription_cancel")
    assert cloud.requests(method="PATCH") == []
    [line] = dry.body["lineItems"]
    assert (line["code"], line["cancellable"]) == ("use_subscription_cancel", False)


async def test_a_caller_for_orders_only_schedules_nothing(settings: Settings, cloud: LocalCloud) -> None:
    callers = {"helpdesk": key_caller(subscriptions=False)}

    async with Runtime(settings.model_copy(update={"callers": callers})) as runtime:
        answer = await App(runtime).post(BY_SUBSCRIPTION, x_caller_key=KEY)

    assert answer.code == "use_subscription_cancel"
    assert cloud.requests(method="PATCH") == []


# Dry runs


@pytest.mark.parametrize("body", [BY_SUBSCRIPTION, BY_ORDER], ids=["by-subscription", "by-order"])
async def test_a_dry_run_says_what_would_be_replaced_and_changes_nothing(
    app: App, cloud: LocalCloud, body: Json
) -> None:
    others = [{"scheduleType": "TermEnd", "actionType": "RenewToNewTerm"}]
    whole = cloud.subscription(LICENCE) | {"scheduledNextTermInstructions": NEXT_TERM, "scheduledActions": others}
    cloud.put(f"subscriptions/{LICENCE}", whole)

    answer = await app.post(body | {"dryRun": True})

    [line] = answer.body["lineItems"]
    assert (answer.outcome, line["cancellable"], line["code"]) == ("dry_run", True, None)
    assert (line["autoRenew"], line["endsAtTerm"]) == (True, False)
    assert line["termEndsOn"][:10] == whole["commitmentEndDate"][:10]
    assert json.loads(line["replaces"]) == {
        "autoRenewEnabled": True,
        "scheduledNextTermInstructions": NEXT_TERM,
        "scheduledActions": others,
    }
    assert set(cloud.methods()) == {"GET"}
    assert cloud.subscription(LICENCE) == whole


async def test_a_dry_run_names_the_lines_that_would_be_scheduled(app: App, cloud: LocalCloud) -> None:
    [scheduled, *_] = [subscription_of("licences-five", line) for line in range(5)]
    members = {"autoRenewEnabled": False, "scheduledActions": [CANCEL]}
    cloud.put(f"subscriptions/{scheduled}", cloud.subscription(scheduled) | members)
    body = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licences-five"), "when": "term_end"}

    answer = await app.post(body | {"lineItems": [{"lineItemNumber": 0}, {"lineItemNumber": 3}], "dryRun": True})

    assert answer.body["cancelledLineItems"] == [3]
    assert [line["endsAtTerm"] for line in answer.body["lineItems"]] == [True, False, False, False, False]
    assert json.loads(answer.body["lineItems"][3]["replaces"]) == {"autoRenewEnabled": True}
    assert answer.body["lineItems"][0]["replaces"] is None


async def test_a_dry_run_does_not_say_that_there_is_no_subscription_if_it_could_not_look(
    app: App, cloud: LocalCloud
) -> None:
    """The order's line does not name it, and the list cannot be read."""
    cloud.fault(method="GET", path="order_id=", status=403)
    order_id = built_in_short("licence-unnamed")

    answer = await app.post(
        {"customerTenantId": LICENCE_CUSTOMER, "orderId": order_id, "when": "term_end", "dryRun": True}
    )

    [line] = answer.body["lineItems"]
    assert (line["cancellable"], line["code"]) == (None, None)
