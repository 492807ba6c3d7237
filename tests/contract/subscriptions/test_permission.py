"""Without the setting of the account, and of the caller, no subscription is cancelled: as in contract 1.0."""

import asyncio

import pytest

from shared.runtime import Runtime
from shared.settings import Settings
from tests.support.built_in_orders import LICENCE_CUSTOMER, built_in_short, subscription_of
from tests.support.callers import KEY, key_caller
from tests.support.in_process import App
from tests.support.local_cloud import LocalCloud

pytestmark = pytest.mark.anyio

LICENCE = subscription_of("licence")
BY_SUBSCRIPTION = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": LICENCE}
BY_ORDER = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licence")}


async def test_an_account_for_orders_only_cancels_no_subscription(app: App, cloud: LocalCloud) -> None:
    answer = await app.post(BY_SUBSCRIPTION | {"account": "orders-only"})

    assert (answer.status, answer.code) == (422, "use_subscription_cancel")
    assert "ask the operator" in answer.body["detail"]
    assert cloud.methods() == ["GET"]


async def test_an_account_for_orders_only_asks_for_the_order_first(app: App, cloud: LocalCloud) -> None:
    answer = await app.post(BY_ORDER | {"account": "orders-only"})

    assert (answer.status, answer.code) == (422, "use_subscription_cancel")
    assert cloud.methods()[0] == "PATCH"
    assert cloud.requests(method="PATCH", path="/subscriptions/") == []
    assert answer.body["partnerCenter"]["code"] == "800063"


async def test_an_account_for_orders_only_says_so_in_a_dry_run(app: App) -> None:
    for body in (BY_SUBSCRIPTION, BY_ORDER):
        answer = await app.post(body | {"account": "orders-only", "dryRun": True})

        [line] = answer.body["lineItems"]
        assert (line["code"], line["cancellable"]) == ("use_subscription_cancel", False)
        assert line["subscriptionStatus"] == "active", "it is read all the same"
        assert answer.body["cancelledLineItems"] == []


async def test_a_caller_may_be_limited_to_orders(settings: Settings, cloud: LocalCloud) -> None:
    callers = {"helpdesk": key_caller(subscriptions=False)}

    async with Runtime(settings.model_copy(update={"callers": callers})) as runtime:
        answer = await App(runtime).post(BY_SUBSCRIPTION, x_caller_key=KEY)

    assert (answer.status, answer.code) == (422, "use_subscription_cancel")
    assert cloud.requests(method="PATCH") == []


async def test_a_caller_is_not_limited_unless_its_settings_say_so(settings: Settings) -> None:
    callers = {"helpdesk": key_caller()}

    async with Runtime(settings.model_copy(update={"callers": callers})) as runtime:
        answer = await App(runtime).post(BY_SUBSCRIPTION, x_caller_key=KEY)

    assert answer.outcome == "cancelled"


async def test_no_caller_widens_an_account_for_orders_only(settings: Settings, cloud: LocalCloud) -> None:
    callers = {"helpdesk": key_caller(subscriptions=True)}

    async with Runtime(settings.model_copy(update={"callers": callers})) as runtime:
        answer = await App(runtime).post(BY_SUBSCRIPTION | {"account": "orders-only"}, x_caller_key=KEY)

    assert answer.code == "use_subscription_cancel"
    assert cloud.requests(method="PATCH") == []


async def test_a_dry_run_changes_nothing(app: App, cloud: LocalCloud) -> None:
    for body in (BY_SUBSCRIPTION, BY_ORDER):
        answer = await app.post(body | {"dryRun": True})

        assert answer.outcome == "dry_run"
        assert answer.body["lineItems"][0]["cancellable"] is True
    assert set(cloud.methods()) == {"GET"}


async def test_an_account_for_orders_only_is_not_told_of_doubt(app: App, cloud: LocalCloud) -> None:
    """It could not resolve the doubt, which the call of another account left."""
    cloud.fault(method="PATCH", hang_up="before")
    cloud.fault(method="PATCH", status=400, body={"code": "900117", "description": "too late"})

    in_doubt = await app.post(BY_SUBSCRIPTION)
    answer = await app.post(BY_SUBSCRIPTION | {"account": "orders-only"})

    assert in_doubt.code == "outcome_unknown"
    assert (answer.status, answer.code) == (422, "use_subscription_cancel")


async def test_a_dry_run_for_orders_only_does_not_wait_for_subscriptions(app: App, cloud: LocalCloud) -> None:
    """They are only a help there: the answer comes long before the deadline, until which they do not answer."""
    cloud.fault(method="GET", path="/subscriptions/", delay_s=90)

    async with asyncio.timeout(30):
        answer = await app.post(BY_ORDER | {"account": "orders-only", "dryRun": True}, prefer="wait=60")

    assert (answer.status, answer.outcome) == (200, "dry_run")
    [line] = answer.body["lineItems"]
    assert (line["subscriptionStatus"], line["cancellable"], line["code"]) == (None, None, None)
