"""The outcome of a cancellation for every built-in order of the local cloud, through the real runtime.

The tests run in this order: the refused orders first, because later tests cancel some of them.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.support.built_in_orders import (
    AZURE_CUSTOMER,
    LICENCE_CUSTOMER,
    MARKETPLACE_CUSTOMER,
    SOFTWARE_CUSTOMER,
    STRANGER,
    built_in,
    built_in_short,
)
from tests.support.functions_host import logged_errors
from tests.support.local_cloud import LocalCloud, running
from tests.support.waiting import wait_until

UNKNOWN_CUSTOMER = "00000000" + SOFTWARE_CUSTOMER[8:]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud of this file's own: no other test has cancelled its orders."""
    with running(tmp_path_factory.mktemp("built-in-orders")) as cloud:
        yield cloud


class Refused(NamedTuple):
    """A request, and the status and code of its answer."""

    customer: str
    order_id: str
    status: int
    code: str
    account: str = "default"


# A case for every row of the error table that an order or an account can bring about.
REFUSED = {
    "unknown-order": Refused(SOFTWARE_CUSTOMER, "no-such-order", 404, "order_not_found"),
    "another-customers-order": Refused(AZURE_CUSTOMER, built_in("software-three-lines"), 404, "order_not_found"),
    "unknown-customer": Refused(UNKNOWN_CUSTOMER, "no-such-order", 404, "customer_not_found"),
    "20002": Refused(STRANGER, built_in("stranger"), 404, "customer_not_found"),
    "60-days-in-sandbox": Refused(
        SOFTWARE_CUSTOMER, built_in("software-70-days-old"), 422, "cancellation_window_passed"
    ),
    "30-days": Refused(
        SOFTWARE_CUSTOMER, built_in("software-70-days-old"), 422, "cancellation_window_passed", account="production"
    ),
    "7-days": Refused(
        SOFTWARE_CUSTOMER, built_in("subscription-10-days-old"), 422, "cancellation_window_passed", account="production"
    ),
    "72-hours": Refused(SOFTWARE_CUSTOMER, built_in("refused-with-900213"), 422, "cancellation_window_passed"),
    "800061": Refused(SOFTWARE_CUSTOMER, built_in("refused-with-800061"), 422, "not_cancellable"),
    "savings-plan": Refused(AZURE_CUSTOMER, built_in("savings-plan"), 422, "not_cancellable"),
    "reservation-in-production": Refused(
        AZURE_CUSTOMER, built_in("reservation"), 422, "not_cancellable_in_production", account="production"
    ),
    "saas-as-since-2022": Refused(
        MARKETPLACE_CUSTOMER, built_in("saas"), 422, "use_subscription_cancel", account="orders-only"
    ),
    "licence": Refused(LICENCE_CUSTOMER, "5cf72f146967", 422, "use_subscription_cancel", account="orders-only"),
    "seats-added": Refused(LICENCE_CUSTOMER, built_in_short("licence-seats-added"), 422, "more_than_the_order"),
    "azure-plan": Refused(AZURE_CUSTOMER, "a68736758d9c", 422, "not_cancellable"),
    "legacy-licence": Refused(AZURE_CUSTOMER, "eeba9d00-7b46-443a-917e-22887a8fc993", 422, "not_cancellable"),
    "account-locked": Refused(SOFTWARE_CUSTOMER, built_in("refused-with-900416"), 422, "account_blocked"),
    "in-progress": Refused(SOFTWARE_CUSTOMER, built_in("refused-with-800060"), 503, "order_busy"),
    "adjustment-pending": Refused(SOFTWARE_CUSTOMER, built_in("refused-with-800014"), 503, "order_busy"),
    "role-missing": Refused(SOFTWARE_CUSTOMER, built_in("refused-with-2032"), 502, "credentials_rejected"),
    "unknown-code": Refused(SOFTWARE_CUSTOMER, built_in("refused-with-999999"), 502, "unexpected_answer"),
    "invalid-property": Refused(SOFTWARE_CUSTOMER, built_in("refused-with-3000"), 502, "unexpected_answer"),
    "503": Refused(SOFTWARE_CUSTOMER, built_in("refused-with-503-gateway"), 503, "outcome_unknown"),
    "no-such-account": Refused(
        SOFTWARE_CUSTOMER, built_in("software-three-lines"), 400, "unknown_account", account="nowhere"
    ),
    "account-off": Refused(SOFTWARE_CUSTOMER, built_in("software-three-lines"), 403, "account_off", account="closed"),
    "not-its-customer": Refused(
        AZURE_CUSTOMER, built_in("reservation"), 403, "customer_not_allowed", account="limited"
    ),
    "secret-expired": Refused(
        SOFTWARE_CUSTOMER, built_in("software-three-lines"), 502, "credentials_rejected", account="expired"
    ),
    "secret-missing": Refused(
        SOFTWARE_CUSTOMER, built_in("software-three-lines"), 500, "misconfigured", account="no-secret"
    ),
    "unreachable": Refused(
        SOFTWARE_CUSTOMER,
        built_in("software-three-lines"),
        503,
        "partner_center_unavailable",
        account="unreachable",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_order_stays_as_it_was(cloud: LocalCloud, name: str) -> None:
    customer, order_id, status, code, account = REFUSED[name]
    before = cloud.order(order_id)

    response = cloud.post({"customerTenantId": customer, "orderId": order_id, "account": account})

    assert response.status_code == status
    assert response.json()["code"] == code
    assert response.json()["detail"]
    assert cloud.order(order_id) == before


class Accepted(NamedTuple):
    """A request, and the outcome of its answer."""

    customer: str
    order_id: str
    outcome: str
    account: str = "default"


ACCEPTED = {
    "software-subscription": Accepted(SOFTWARE_CUSTOMER, built_in("software-subscription"), "cancelled"),
    "reservation-in-sandbox": Accepted(AZURE_CUSTOMER, built_in("reservation"), "cancelled"),
    "saas-in-sandbox-before-2022": Accepted(MARKETPLACE_CUSTOMER, built_in("saas-2021"), "cancelled"),
    "40-days-old-in-sandbox": Accepted(SOFTWARE_CUSTOMER, built_in("software-40-days-old"), "cancelled"),
    "cancelled-already": Accepted(SOFTWARE_CUSTOMER, built_in("cancelled-already"), "already_cancelled"),
    "rest-of-an-order": Accepted(
        SOFTWARE_CUSTOMER, built_in("line-0-cancelled-already"), "cancelled", account="production"
    ),
    "pascal-case": Accepted(SOFTWARE_CUSTOMER, built_in("pascal-case"), "cancelled"),
    "bom": Accepted(SOFTWARE_CUSTOMER, built_in("begins-with-a-bom"), "cancelled"),
    "no-status-no-lines": Accepted(SOFTWARE_CUSTOMER, built_in("no-status-no-lines"), "cancelled"),
    "shows-later": Accepted(SOFTWARE_CUSTOMER, built_in("shows-later"), "pending"),
    "licence": Accepted(LICENCE_CUSTOMER, "5cf72f146967", "cancelled"),
    "saas": Accepted(MARKETPLACE_CUSTOMER, built_in("saas"), "cancelled"),
    "software-and-licence": Accepted(LICENCE_CUSTOMER, built_in_short("software-and-licence"), "cancelled"),
    "202": Accepted(SOFTWARE_CUSTOMER, built_in("accepted"), "pending"),
    "never-changes": Accepted(SOFTWARE_CUSTOMER, built_in("never-changes"), "pending"),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_accepted_order_has_its_outcome(cloud: LocalCloud, name: str) -> None:
    customer, order_id, outcome, account = ACCEPTED[name]

    response = cloud.post({"customerTenantId": customer, "orderId": order_id, "account": account})

    assert response.status_code == 200
    assert response.json()["outcome"] == outcome
    assert response.json()["account"] == account


def test_a_pending_cancellation_shows_in_a_later_dry_run(cloud: LocalCloud) -> None:
    body = {"customerTenantId": SOFTWARE_CUSTOMER, "orderId": built_in("shows-later")}
    cloud.post(body)

    wait_until(lambda: cloud.post(body | {"dryRun": True}).json()["status"] == "cancelled", "it stays pending")

    answer = cloud.post(body | {"dryRun": True}).json()
    assert answer["outcome"] == "dry_run"
    assert answer["cancelledLineItems"] == []


def test_nothing_went_wrong_in_the_log(cloud: LocalCloud) -> None:
    assert logged_errors(cloud.log.read_text()) == []
