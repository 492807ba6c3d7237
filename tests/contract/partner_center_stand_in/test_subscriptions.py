"""Finding, listing and changing subscriptions, and what an order's changes do to them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from infra.local.partner_center.entries import Entry, ProductKind, SubscriptionEntry
from infra.local.partner_center.server import PartnerCenter
from infra.local.partner_center.subscription_catalogue import built_in_subscriptions
from tests.support.built_in_orders import (
    AZURE_CUSTOMER,
    LICENCE_CUSTOMER,
    MARKETPLACE_CUSTOMER,
    SOFTWARE_CUSTOMER,
    built_in,
    built_in_short,
    subscription_of,
)
from tests.support.lists import ids_on, read_pages
from tests.support.local_cloud import Json
from tests.support.partner_center import (
    CAL,
    CUSTOMER,
    NOW,
    PRODUCTION,
    SQL,
    OpenPartnerCenter,
    bearer,
    cancel,
    change,
    path_of,
    status_and_code,
    subscription_path,
)

LICENCE, LICENCE_ORDER = "fcddfa52-1da8-4529-d347-50ea51e1e7be", "5cf72f146967"
LICENCE_PATH = subscription_path(LICENCE, LICENCE_CUSTOMER)
LEGACY = "DB8C695B-1C3C-4C55-B697-771503DD46BF"


def status_of(partner_center: PartnerCenter, subscription_id: str) -> Any:
    subscription = partner_center.subscriptions.now(subscription_id)
    assert subscription
    return subscription["status"]


def pages(http: httpx.Client, customer: str, query: str = "") -> list[list[str]]:
    """Follow the links to the end and return the ids on each page."""
    return ids_on(read_pages(http, f"/customers/{customer}/subscriptions{query}", bearer()))


@pytest.mark.usefixtures("partner_center")
@pytest.mark.parametrize(
    ("subscription_id", "customer", "expected"),
    [
        pytest.param(LICENCE, LICENCE_CUSTOMER, (200, None), id="id"),
        pytest.param(LICENCE.upper(), LICENCE_CUSTOMER.upper(), (200, None), id="capitals"),
        pytest.param(LEGACY.lower(), AZURE_CUSTOMER, (200, None), id="small letters"),
        pytest.param(LICENCE, AZURE_CUSTOMER, (404, "20003"), id="another customer's"),
        pytest.param(str(uuid4()), LICENCE_CUSTOMER, (404, "20003"), id="unknown"),
        pytest.param("licence", LICENCE_CUSTOMER, (404, "20003"), id="not a GUID"),
        pytest.param(LICENCE, str(uuid4()), (403, "20002"), id="unknown customer"),
        pytest.param(LICENCE, "contoso", (400, "800002"), id="customer not a GUID"),
    ],
)
def test_a_subscription_is_found_by_its_id_and_customer(
    http: httpx.Client, subscription_id: str, customer: str, expected: tuple[int, Any]
) -> None:
    path = subscription_path(subscription_id, customer)

    assert status_and_code(http.get(path, headers=bearer())) == expected
    if expected[0] != 200:
        answer = http.patch(path, json={"status": "deleted"}, headers=bearer())
        assert status_and_code(answer) == expected


def test_a_change_shows_at_once_and_leaves_the_order_as_it_was(
    http: httpx.Client, partner_center: PartnerCenter
) -> None:
    before, order = partner_center.subscriptions.now(LICENCE), partner_center.order(LICENCE_ORDER)
    assert before

    answer = change(http, LICENCE, status="deleted")

    assert (answer.status_code, answer.json()) == (200, before | {"status": "deleted"})
    assert http.get(LICENCE_PATH, headers=bearer()).json() == answer.json()
    assert partner_center.order(LICENCE_ORDER) == order
    assert status_and_code(change(http, LICENCE, status="deleted")) == (400, "2011")
    assert status_and_code(cancel(http, LICENCE_ORDER, LICENCE_CUSTOMER)) == (400, "800063")


@pytest.mark.usefixtures("partner_center")
def test_both_kinds_of_tenant_see_and_change_the_same(http: httpx.Client) -> None:
    assert change(http, LICENCE, tenant=PRODUCTION, status="deleted").status_code == 200

    assert http.get(LICENCE_PATH, headers=bearer()).json()["status"] == "deleted"


def test_a_refused_change_changes_nothing(http: httpx.Client, partner_center: PartnerCenter) -> None:
    before = partner_center.subscriptions.now(LICENCE)

    answer = change(http, LICENCE, status="deleted", orderId="000000000000")

    assert answer.json() == {
        "code": "3000",
        "description": "The property orderId is invalid.",
        "data": [],
        "source": "PartnerFD",
    }
    assert partner_center.subscriptions.now(LICENCE) == before


@pytest.mark.usefixtures("partner_center")
@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}])
def test_a_patch_says_that_it_is_json(http: httpx.Client, headers: dict[str, str]) -> None:
    assert http.patch(LICENCE_PATH, content=b"{}", headers=bearer(**headers)).status_code == 415


@pytest.mark.parametrize("path", [LICENCE_PATH, f"/v1/customers/{LICENCE_CUSTOMER}/subscriptions"])
def test_the_doors_are_those_of_orders(http: httpx.Client, partner_center: PartnerCenter, path: str) -> None:
    assert status_and_code(http.get(path)) == (401, "800001")
    partner_center.requests_per_minute = 1
    answers = [http.get(path, headers=bearer()) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].json()["statusCode"] == 429


@pytest.mark.usefixtures("partner_center")
def test_a_202_has_the_path_and_no_body_and_the_change_shows_at_once(http: httpx.Client) -> None:
    subscription_id = subscription_of("licence-202")

    answer = change(http, subscription_id, status="deleted")

    path = subscription_path(subscription_id, LICENCE_CUSTOMER)
    assert (answer.status_code, answer.content, answer.headers["location"]) == (202, b"", path)
    assert http.get(path, headers=bearer()).json()["status"] == "deleted"


def test_a_repeated_request_id_gets_the_same_answer(http: httpx.Client, partner_center: PartnerCenter) -> None:
    request_id = str(uuid4())
    first = change(http, LICENCE, request_id=request_id, status="deleted")

    again = change(http, LICENCE, request_id=request_id, status="deleted")

    assert (again.status_code, again.json()) == (200, first.json())
    partner_center.replay = False
    assert status_and_code(change(http, LICENCE, request_id=request_id)) == (400, "2011")


@pytest.mark.usefixtures("partner_center")
def test_a_repeated_request_id_is_of_one_list_only(http: httpx.Client) -> None:
    headers = bearer(**{"MS-RequestId": str(uuid4())})
    uri = f"/v1/customers/{LICENCE_CUSTOMER}/subscriptions"

    by_order = http.get(f"{uri}?order_id={LICENCE_ORDER}", headers=headers).json()
    all_of_them = http.get(uri, headers=headers).json()

    assert [item["id"] for item in by_order["items"]] == [LICENCE]
    assert len(all_of_them["items"]) > 1


@pytest.mark.usefixtures("partner_center")
def test_the_list_of_a_customer_has_pages_and_every_status(http: httpx.Client) -> None:
    contents = read_pages(http, f"/customers/{LICENCE_CUSTOMER}/subscriptions", bearer())

    found = ids_on(contents)
    expected = [
        entry.subscription_id for entry in built_in_subscriptions(NOW) if entry.customer_tenant_id == LICENCE_CUSTOMER
    ]
    assert [subscription_id for page in found for subscription_id in page] == expected
    assert {len(page) for page in found[:-1]} == {4}
    assert {content["totalCount"] for content in contents} == {37}  # which is false
    assert subscription_of("licence-deleted") in expected


@pytest.mark.usefixtures("partner_center")
@pytest.mark.parametrize(
    ("customer", "order_id", "expected"),
    [
        pytest.param(LICENCE_CUSTOMER, LICENCE_ORDER, [[LICENCE]], id="id"),
        pytest.param(
            LICENCE_CUSTOMER,
            built_in_short("licences-five"),
            [
                [subscription_of("licences-five", line) for line in range(4)],
                [subscription_of("licences-five", 4)],
            ],
            id="five lines, two pages",
        ),
        pytest.param(
            MARKETPLACE_CUSTOMER,
            built_in("saas-trial"),
            [[subscription_of("saas-trial")]],
            id="id of 33 characters",
        ),
        pytest.param(
            MARKETPLACE_CUSTOMER,
            built_in_short(built_in("saas-trial")),
            [[subscription_of("saas-trial")]],
            id="alternateId",
        ),
        pytest.param(AZURE_CUSTOMER, "EEBA9D00-7B46-443A-917E-22887A8FC993", [[LEGACY]], id="GUID in capitals"),
        pytest.param(LICENCE_CUSTOMER, built_in_short("licence-order-pending"), [[]], id="order without any"),
        pytest.param(LICENCE_CUSTOMER, built_in_short("licence-seats-added-by"), [[]], id="order that added seats"),
        pytest.param(
            LICENCE_CUSTOMER, built_in_short("licence-deleted"), [[subscription_of("licence-deleted")]], id="deleted"
        ),
        pytest.param(LICENCE_CUSTOMER, "no-such-order", [[]], id="unknown order"),
        pytest.param(LICENCE_CUSTOMER, "", [[]], id="empty"),
        pytest.param(AZURE_CUSTOMER, LICENCE_ORDER, [[]], id="another customer's order"),
    ],
)
def test_the_list_by_order_has_the_subscriptions_that_the_order_began(
    http: httpx.Client, customer: str, order_id: str, expected: list[list[str]]
) -> None:
    assert pages(http, customer, f"?order_id={order_id}") == expected


@pytest.mark.usefixtures("partner_center")
def test_a_list_has_the_form_of_microsofts_samples(http: httpx.Client) -> None:
    """Its totalCount cannot be trusted, as in the sample that has 37 and one item."""
    uri = f"/customers/{LICENCE_CUSTOMER}/subscriptions?order_id={LICENCE_ORDER}"

    content = http.get(f"/v1{uri}", headers=bearer()).json()

    assert content == {
        "totalCount": 37,
        "items": [http.get(LICENCE_PATH, headers=bearer()).json()],
        "links": {"self": {"uri": uri, "method": "GET", "headers": []}},
        "attributes": {"objectType": "Collection"},
    }


@pytest.mark.usefixtures("partner_center")
@pytest.mark.parametrize("token", ["x", "-1", "", "4", "9" * 5000], ids=["x", "-1", "empty", "4", "5000 digits"])
def test_a_continuation_token_that_makes_no_sense_is_refused(http: httpx.Client, token: str) -> None:
    headers = bearer(**{"MS-ContinuationToken": token})

    answer = http.get(f"/v1/customers/{LICENCE_CUSTOMER}/subscriptions", headers=headers)

    assert status_and_code(answer) == (400, "3000")


def test_suspending_a_legacy_base_suspends_its_add_on(http: httpx.Client, partner_center: PartnerCenter) -> None:
    base, add_on = (subscription_of("legacy-add-on", line).upper() for line in range(2))

    assert change(http, base, AZURE_CUSTOMER, status="suspended").status_code == 200

    assert status_of(partner_center, add_on) == "suspended"
    assert status_and_code(change(http, add_on, AZURE_CUSTOMER, status="active")) == (409, "27009")
    assert change(http, base, AZURE_CUSTOMER, status="active").status_code == 200
    assert status_of(partner_center, add_on) == "suspended"
    assert change(http, add_on, AZURE_CUSTOMER, status="active").status_code == 200


def etag_of(partner_center: PartnerCenter, subscription_id: str) -> Any:
    subscription = partner_center.subscriptions.now(subscription_id)
    assert subscription
    return subscription["attributes"]["etag"]


def test_an_add_on_that_is_suspended_with_its_base_has_a_new_etag(
    http: httpx.Client, partner_center: PartnerCenter
) -> None:
    base, add_on = (subscription_of("legacy-add-on", line).upper() for line in range(2))
    path = subscription_path(add_on, AZURE_CUSTOMER)
    read_before = http.get(path, headers=bearer()).json()

    change(http, base, AZURE_CUSTOMER, status="suspended")
    change(http, base, AZURE_CUSTOMER, status="active")

    assert etag_of(partner_center, add_on) != read_before["attributes"]["etag"]
    answer = http.patch(path, json=read_before, headers=bearer())
    assert status_and_code(answer) == (400, "2055")


@pytest.mark.usefixtures("partner_center")
def test_a_suspended_subscription_hides_the_seats_that_can_be_refunded(http: httpx.Client) -> None:
    seats = http.get(LICENCE_PATH, headers=bearer()).json()["refundableQuantity"]
    customer_list = f"/v1/customers/{LICENCE_CUSTOMER}/subscriptions?order_id={LICENCE_ORDER}"

    suspended = change(http, LICENCE, status="suspended").json()

    [listed] = http.get(customer_list, headers=bearer()).json()["items"]
    assert suspended == listed == http.get(LICENCE_PATH, headers=bearer()).json()
    assert "refundableQuantity" not in suspended
    assert change(http, LICENCE, status="active").json()["refundableQuantity"] == seats


FIRST, SECOND, THIRD = (str(UUID(int=number)) for number in (1, 2, 3))


def entry_of(subscription_id: str, **members: object) -> SubscriptionEntry:
    own = {"id": subscription_id, "orderId": "order", "offerId": SQL, "status": "active"} | members
    return SubscriptionEntry({"productType": {"id": "Software"}} | own, CUSTOMER, "")


@pytest.mark.parametrize(
    ("subscriptions", "names", "numbers", "deleted"),
    [
        pytest.param([{}, {}], [FIRST, SECOND], [0], [FIRST], id="one of two of an offer"),
        pytest.param([{}, {}], [FIRST, SECOND], [0, 1], [FIRST, SECOND], id="both"),
        pytest.param([{}, {"offerId": CAL}], [FIRST, SECOND], [1], [SECOND], id="another offer by now"),
        pytest.param([{}, {"orderId": "renewal"}], [FIRST, SECOND], [1], [SECOND], id="another order by now"),
        pytest.param([{}, {"orderId": "renewal"}], [FIRST, SECOND], None, [FIRST, SECOND], id="the whole order"),
        pytest.param([{}, {}], [FIRST, None], [1], [SECOND], id="a line without a name"),
        pytest.param([{}, {}], [SECOND, None], [1], [FIRST], id="a line without a name, the other way round"),
        pytest.param([{}, {}], [None, None], [0], [FIRST], id="two lines without names"),
        pytest.param([{}, {}], [None, None], [1], [SECOND], id="two lines without names, the second one"),
        pytest.param([{}, {}], [None], None, [FIRST, SECOND], id="the whole order, more than its lines"),
        pytest.param([{}, {}], [THIRD, None], [0], [], id="an unknown name"),
        pytest.param([{"status": "deleted"}, {}], [None, None], [0], [FIRST], id="deleted already"),
    ],
)
def test_a_cancelled_line_ends_its_own_subscription(
    http: httpx.Client,
    open_partner_center: OpenPartnerCenter,
    subscriptions: list[Json],
    names: list[str | None],
    numbers: list[int] | None,
    deleted: list[str],
) -> None:
    lines = [
        {"lineItemNumber": number, "offerId": SQL, "quantity": 1} | ({"subscriptionId": name.upper()} if name else {})
        for number, name in enumerate(names)
    ]
    order = {"id": "order", "referenceCustomerId": CUSTOMER, "lineItems": lines, "status": "completed"}
    entries = [
        entry_of(subscription_id, **members)
        for subscription_id, members in zip((FIRST, SECOND), subscriptions, strict=True)
    ]
    partner_center = open_partner_center([Entry(order, CUSTOMER, ProductKind.SOFTWARE, "")], entries)
    requested = None if numbers is None else [{"lineItemNumber": number} for number in numbers]

    answer = cancel(http, "order", CUSTOMER, body={"status": "cancelled", "lineItems": requested})

    assert answer.status_code == 200
    assert [each for each in (FIRST, SECOND) if status_of(partner_center, each) == "deleted"] == deleted


def test_a_subscription_that_its_order_ends_has_no_scheduled_actions(
    http: httpx.Client, open_partner_center: OpenPartnerCenter
) -> None:
    order = {"id": "order", "referenceCustomerId": CUSTOMER, "lineItems": [], "status": "completed"}
    cancel_at_end = [{"scheduleType": "TermEnd", "actionType": "Cancel"}]
    partner_center = open_partner_center(
        [Entry(order, CUSTOMER, ProductKind.SOFTWARE, "")], [entry_of(FIRST, scheduledActions=cancel_at_end)]
    )

    cancel(http, "order", CUSTOMER)

    assert partner_center.subscriptions.now(FIRST) == entry_of(FIRST, status="deleted").subscription


def test_a_cancelled_order_ends_the_software_subscription_that_it_began(
    http: httpx.Client, partner_center: PartnerCenter
) -> None:
    order_id = built_in("software-subscription")

    assert cancel(http, order_id).status_code == 200

    assert status_of(partner_center, subscription_of(order_id)) == "deleted"
    assert status_of(partner_center, subscription_of(built_in("subscription-10-days-old"))) == "active"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([{"lineItemNumber": 0}], (200, None), id="the software"),
        pytest.param([{"lineItemNumber": 1}], (400, "800063"), id="the licence"),
        pytest.param(None, (400, "800063"), id="all of it"),
    ],
)
def test_of_a_mixed_order_only_the_software_is_cancelled_by_the_order(
    http: httpx.Client, partner_center: PartnerCenter, lines: list[Json] | None, expected: tuple[int, Any]
) -> None:
    order_id = built_in_short("software-and-licence")

    answer = cancel(http, order_id, LICENCE_CUSTOMER, body={"status": "cancelled", "lineItems": lines})

    assert status_and_code(answer) == expected
    assert status_of(partner_center, subscription_of("software-and-licence", 1)) == "active"


def test_a_change_may_show_in_later_reads_only(http: httpx.Client, partner_center: PartnerCenter) -> None:
    """Reads of the list count, too; a PATCH works on the real state."""
    body = b'{"status": "deleted"}'
    customer_list = f"/v1/customers/{LICENCE_CUSTOMER}/subscriptions?order_id={LICENCE_ORDER}"
    partner_center.subscriptions.patch(LICENCE_CUSTOMER, LICENCE, body, late_reads=3)

    assert http.get(LICENCE_PATH, headers=bearer()).json()["status"] == "active"
    assert http.get(customer_list, headers=bearer()).json()["items"][0]["status"] == "active"
    assert status_of(partner_center, LICENCE) == "deleted"
    answer = http.patch(LICENCE_PATH, json={"status": "deleted"}, headers=bearer())
    assert status_and_code(answer) == (400, "2011")
    statuses = [http.get(LICENCE_PATH, headers=bearer()).json()["status"] for _ in range(2)]
    assert statuses == ["active", "deleted"]


def test_an_aged_subscription_has_lost_its_window_and_then_been_renewed(
    http: httpx.Client, partner_center: PartnerCenter
) -> None:
    subscription_id = subscription_of("licence")

    partner_center.subscriptions.age(subscription_id, 6)
    assert status_and_code(change(http, subscription_id, status="deleted")) == (400, "900117")
    partner_center.subscriptions.age(subscription_id, 360)

    renewed = partner_center.subscriptions.now(subscription_id)
    assert renewed
    assert renewed["commitmentEndDateTime"] > f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
    assert change(http, subscription_id, status="deleted").status_code == 200


def test_an_aged_order_ages_the_subscriptions_that_it_began(http: httpx.Client, partner_center: PartnerCenter) -> None:
    order_id = built_in_short("licences-five")
    created = partner_center.order(order_id)
    assert created

    aged = partner_center.orders.age(order_id, 10)

    assert aged
    assert aged == created | {"creationDate": aged["creationDate"]}
    assert aged["creationDate"][:10] == f"{NOW - timedelta(days=12):%Y-%m-%d}"
    for line in range(5):
        answer = change(http, subscription_of("licences-five", line), status="deleted")
        assert status_and_code(answer) == (400, "900117")
    assert change(http, LICENCE, status="deleted").status_code == 200


def test_an_aged_order_is_too_old_to_be_cancelled(http: httpx.Client, partner_center: PartnerCenter) -> None:
    order_id = built_in("software-subscription")

    partner_center.orders.age(order_id, 6)

    assert status_and_code(cancel(http, order_id, SOFTWARE_CUSTOMER, tenant=PRODUCTION)) == (400, "900117")
    assert cancel(http, order_id, SOFTWARE_CUSTOMER).status_code == 200


def test_a_pending_cancellation_shows_in_an_aged_order(http: httpx.Client, partner_center: PartnerCenter) -> None:
    cancel(http, built_in("shows-later"))

    aged = partner_center.orders.age(built_in("shows-later"), 1)

    assert aged
    assert aged["status"] == "cancelled"


def test_a_customer_may_have_subscriptions_only(http: httpx.Client, open_partner_center: OpenPartnerCenter) -> None:
    customer = str(uuid4())
    [entry] = [entry for entry in built_in_subscriptions(NOW) if entry.subscription_id == LICENCE]
    open_partner_center([], [replace(entry, customer_tenant_id=customer)])

    assert http.get(subscription_path(LICENCE, customer), headers=bearer()).status_code == 200
    assert status_and_code(http.get(path_of(LICENCE_ORDER, customer), headers=bearer())) == (404, "20000")


def test_a_subscription_with_few_members_can_be_changed(
    http: httpx.Client, open_partner_center: OpenPartnerCenter
) -> None:
    few_members = {"id": LICENCE, "status": "active", "offerId": "a:b:c"}
    partner_center = open_partner_center([], [SubscriptionEntry(few_members, LICENCE_CUSTOMER, "")])

    assert change(http, LICENCE, status="suspended").status_code == 200
    assert partner_center.subscriptions.now(LICENCE) == few_members | {"status": "suspended"}
