"""The list of a customer's orders, made from what was read of both collections: order, choice, forecasts."""

from datetime import timedelta
from typing import Any

import pytest

from shared.contract import FindRequest, LineItem, OrderState
from shared.finding.listing import MOST_LISTED, Found, Situation, list_orders
from shared.partner_center.orders import Order, OrderLine
from shared.partner_center.subscriptions import Subscription
from tests.support.cancel_request import CUSTOMER
from tests.support.orders import line
from tests.support.subscriptions import GUID, NOW, OTHER_GUID, subscription

ORDER = "8178ac72b28d"  # that of the licence
SOFTWARE_ORDER = "UKXASSO1dezh3HdxClHxSp5UEFXGbAnt1"
BOUGHT = "2026-11-28T12:00:00Z"
THIRD_GUID = "5e0f8a1c-0b7c-5b6e-9f0a-0d6b4f3f1a11"


def licence_line(number: int = 0, subscription_id: str | None = GUID, **members: Any) -> OrderLine:
    usual = {"friendly_name": "Microsoft 365 Business Basic", "term_duration": "P1Y", "transaction_type": "new"}
    offer_id = "CFQ7TTC0LH18:0001:CFQ7TTC0K971"
    return line(number, 5, subscription_id=subscription_id, **{"offer_id": offer_id} | usual | members)


def an_order(*lines: OrderLine, order_id: str | None = ORDER, created: str | None = BOUGHT, **members: Any) -> Order:
    usual = {"alternate_id": order_id, "status": "completed", "billing_cycle": "annual", "currency_code": "USD"}
    return Order(order_id=order_id, creation_date=created, line_items=list(lines), **usual | members)


def told(
    orders: list[Order],
    subscriptions: list[Subscription] | None = None,
    *,
    are_orders_whole: bool = True,
    are_subscriptions_whole: bool = True,
    is_allowed: bool = True,
    is_sandbox: bool = True,
    **request: Any,
) -> tuple[list[OrderState], bool]:
    """Return the orders that are told of what was found, and whether there are more."""
    found = Found(orders, subscriptions or [], are_orders_whole, are_subscriptions_whole)
    situation = Situation(CUSTOMER, is_allowed, is_sandbox, NOW)
    result = list_orders(FindRequest.model_validate({"customerTenantId": CUSTOMER} | request), found, situation)
    return result.orders, result.more


def ids(states: list[OrderState]) -> list[str | None]:
    """Return the id of each order, of a subscription without order its own."""
    return [state.order_id or state.subscription_id for state in states]


def only_line(orders: list[Order], subscriptions: list[Subscription] | None = None, **circumstances: Any) -> LineItem:
    [state], _ = told(orders, subscriptions, **circumstances)
    [only] = state.line_items
    return only


def forecast(shown: LineItem) -> tuple[bool | None, str | None]:
    return shown.cancellable, shown.code


# Which, and in which order.


def test_the_newest_comes_first_and_the_undated_last() -> None:
    found = [
        an_order(order_id="undated-1", created=None),
        an_order(order_id="older", created="2025-12-31T23:59:59Z"),
        an_order(order_id="newest", created="2026-11-30T11:00:00Z"),
        an_order(order_id="undated-2", created=None),
        an_order(order_id="newer", created="2026-01-01T00:00:00Z"),
    ]
    free = subscription(id=GUID, creationDate="2026-06-01T00:00:00Z", orderId="elsewhere")
    undated = subscription(id=OTHER_GUID, creationDate=None, orderId="elsewhere")

    states, more = told(found, [undated, free])

    assert ids(states) == ["newest", GUID, "newer", "older", "undated-1", "undated-2", OTHER_GUID]
    assert not more


@pytest.mark.parametrize(("count", "more"), [(MOST_LISTED - 1, False), (MOST_LISTED, False), (MOST_LISTED + 1, True)])
def test_at_most_200_are_told(count: int, more: bool) -> None:
    newest_last = [an_order(order_id=f"order-{number:04}", created=date(number)) for number in range(count)]

    states, has_more = told(newest_last)

    newest = [f"order-{number:04}" for number in reversed(range(count))]
    assert (ids(states), has_more) == (newest[:MOST_LISTED], more)


def test_the_choice_is_made_before_the_200() -> None:
    """Otherwise an old order could not be found by its name."""
    found = [an_order(order_id=f"order-{number:04}", created=date(number)) for number in range(MOST_LISTED * 3)]

    assert told(found, text="order-0007") == (told(found[7:8])[0], False)
    assert told(found, text="order-00")[1] is False
    assert told(found, text="order-")[1] is True


def date(number: int) -> str:
    return (NOW - timedelta(days=1000) + timedelta(hours=number)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_what_was_not_read_is_more() -> None:
    found = [an_order(licence_line())]

    assert told(found, are_orders_whole=False)[1]
    assert told(found, are_orders_whole=False, text="nothing")[1]
    assert not told(found)[1]


def test_what_is_on_two_pages_is_told_once() -> None:
    """An order that is bought between two pages moves the last one of a page onto the next."""
    twice = [an_order(licence_line(subscription_id=None))] * 2

    states, _ = told(twice, [subscription(), subscription(), subscription(id=OTHER_GUID, orderId="x")] * 2)

    assert ids(states) == [ORDER, OTHER_GUID]
    assert states[0].line_items[0].subscription_id == GUID


def test_orders_without_an_id_are_all_told() -> None:
    assert len(told([an_order(order_id=None), an_order(order_id=None)])[0]) == 2


def test_nothing_is_an_empty_list() -> None:
    assert told([]) == ([], False)


TEXTS: dict[str, tuple[str, bool]] = {
    "name": ("Business Basic", True),
    "name-in-another-case": ("BUSINESS bAsIc", True),
    "name-in-blanks": ("  Business Basic\n", True),
    "part-of-a-word": ("usine", True),
    "offer": ("cfq7ttc0lh18:0001", True),
    "order": ("8178AC72", True),
    "alternate-id": ("ALT-ID-1", True),
    "subscription": (GUID.upper(), True),
    "subscription-in-braces": (f"{{{GUID}}}", True),
    "part-of-a-subscription": (GUID[:8], True),
    "accents": ("BÜROPAKET STRASSE", True),
    "status": ("completed", False),
    "customer": (CUSTOMER, False),
    "currency": ("USD", False),
    "words-in-another-order": ("Basic Business", False),
    "across-two-members": ("Basic\nCFQ", False),
    "other": ("Visio", False),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_looked_for_in_names_offers_and_ids(name: str) -> None:
    text, is_found = TEXTS[name]
    second = licence_line(1, subscription_id=None, friendly_name="Büropaket Straße", offer_id="B:1:1")
    found = [an_order(licence_line(), second, alternate_id="alt-id-1")]

    states, more = told(found, [subscription()], text=text)

    assert (len(states), more) == (is_found, False)


def test_a_text_is_looked_for_in_subscriptions_without_an_order() -> None:
    free = subscription(orderId=None)

    assert [ids(told([], [free], text=text)[0]) for text in ("basic", GUID[:8], "8178ac72b28d")] == [[GUID], [GUID], []]


def test_a_text_is_looked_for_in_the_names_of_subscriptions() -> None:
    """A line may have no name, or one that the partner gave it; the product's name is the subscription's."""
    named, unnamed = an_order(licence_line(friendly_name=None)), an_order(licence_line(friendly_name="Büro"))
    unlinked = an_order(licence_line(subscription_id=None, friendly_name=None))

    for order in (named, unnamed, unlinked):
        assert len(told([order], [subscription()], text="business")[0]) == 1
        assert told([order], [subscription()], text="visio")[0] == []


def test_one_subscription_can_be_looked_for() -> None:
    named = an_order(licence_line())
    unnamed = an_order(licence_line(subscription_id=None), order_id="other-order")
    found = [
        subscription(),
        subscription(id=OTHER_GUID, orderId="other-order"),
        subscription(id=THIRD_GUID, orderId=""),
    ]

    def looked_for(subscription_id: str) -> list[str | None]:
        return ids(told([named, unnamed], found, subscriptionId=subscription_id)[0])

    assert looked_for(GUID) == looked_for(GUID.upper()) == [ORDER]
    assert looked_for(OTHER_GUID) == ["other-order"]
    assert looked_for(THIRD_GUID) == [THIRD_GUID]
    assert looked_for("00000000-0000-4000-8000-000000000000") == []


def test_text_subscription_and_cancellable_are_all_needed() -> None:
    found, own = [an_order(licence_line())], [subscription()]
    late = [subscription(cancellationAllowedUntilDate="2026-11-29T00:00:00Z")]

    assert told(found, own, subscriptionId=GUID, text="basic", cancellable=True)[0]
    assert not told(found, own, subscriptionId=GUID, text="visio", cancellable=True)[0]
    assert not told(found, own, subscriptionId=OTHER_GUID, text="basic", cancellable=True)[0]
    assert not told(found, late, subscriptionId=GUID, text="basic", cancellable=True)[0]


# What is told of each.


def test_an_order_is_told_as_in_a_dry_run() -> None:
    [state], _ = told([an_order(licence_line())], [subscription()])

    assert state == OrderState(
        order_id=ORDER,
        subscription_id=None,
        when="now",
        alternate_id=ORDER,
        customer_tenant_id=CUSTOMER,
        status="completed",
        billing_cycle="annual",
        currency_code="USD",
        creation_date=BOUGHT,
        cancelled_line_items=[0],
        line_items=state.line_items,
    )
    assert state.line_items[0].model_dump(include=set(LineItem.model_fields)) == {
        "line_item_number": 0,
        "offer_id": "CFQ7TTC0LH18:0001:CFQ7TTC0K971",
        "friendly_name": "Microsoft 365 Business Basic",
        "quantity": 5,
        "term_duration": "P1Y",
        "subscription_id": GUID,
        "cancelled": False,
        "code": None,
        "cancellable": True,
        "subscription_status": "active",
        "auto_renew": True,
        "term_ends_on": "2027-11-27T23:59:59Z",
        "ends_at_term": False,
        "replaces": None,
        "cancellable_until": "2026-12-05T12:00:00Z",
        "refund": None,
    }


def test_a_subscription_that_no_order_names_is_an_order_without_an_id() -> None:
    [state], _ = told([], [subscription()])

    assert (state.order_id, state.subscription_id, state.alternate_id, state.status) == (None, GUID, None, None)
    assert (state.customer_tenant_id, state.creation_date, state.cancelled_line_items) == (CUSTOMER, None, [])
    [shown] = state.line_items
    assert (shown.line_item_number, shown.subscription_id, shown.quantity) == (None, GUID, 5)
    assert (shown.friendly_name, shown.subscription_status) == ("Microsoft 365 Business Basic", "active")
    assert forecast(shown) == (True, None)


LATE = {"cancellationAllowedUntilDate": "2026-11-29T00:00:00Z"}
SAAS = {"productType": None, "isMicrosoftProduct": False, "cancellationAllowedUntilDate": None}
SOFTWARE = {"productType": {"id": "Software"}, "offerName": "SQL Server - 1 year"}
LICENCES: dict[str, tuple[dict[str, Any], bool | None, str | None]] = {
    "in-its-window": ({}, True, None),
    "too-late": (LATE, False, "cancellation_window_passed"),
    "trial": ({"isTrial": True}, False, "not_cancellable"),
    "saas": (SAAS, True, None),
    "saas-too-late": (SAAS | {"creationDate": "2026-11-20T00:00:00Z"}, False, "cancellation_window_passed"),
    "legacy": ({"productType": None}, False, "not_cancellable"),
    "azure-plan": ({"productType": {"id": "Azure"}}, False, "not_cancellable"),
    "unknown-product": ({"productType": {"id": "Quantum"}}, False, "not_cancellable"),
    "software-subscription": (SOFTWARE, True, None),
    "suse": (SOFTWARE | {"offerName": "SUSE Linux Enterprise Server"}, False, "not_cancellable"),
    "expired": ({"status": "expired"}, False, "not_cancellable"),
    "pending": ({"status": "pending"}, False, "order_busy"),
    "suspended": ({"status": "suspended"}, True, None),
}


@pytest.mark.parametrize("name", LICENCES)
def test_the_subscription_of_a_line_makes_its_forecast(name: str) -> None:
    members, cancellable, code = LICENCES[name]

    assert forecast(only_line([an_order(licence_line())], [subscription(**members)])) == (cancellable, code)


@pytest.mark.parametrize("name", LICENCES)
def test_a_subscription_without_an_order_has_the_same_forecast(name: str) -> None:
    members, cancellable, code = LICENCES[name]

    assert forecast(only_line([], [subscription(**members)])) == (cancellable, code)


MORE_THAN_THE_ORDER: dict[str, tuple[OrderLine, dict[str, Any]]] = {
    "seats-added": (licence_line(), {"quantity": 7}),
    "renewed": (licence_line(), {"commitmentEndDateTime": "2028-11-27T23:59:59Z"}),
    "begun-by-another-order": (licence_line(), {"orderId": "elsewhere"}),
    "a-change-of-another": (licence_line(transaction_type="addQuantity"), {}),
    "a-term-that-nobody-knows": (licence_line(term_duration=None), {}),
}


@pytest.mark.parametrize("name", MORE_THAN_THE_ORDER)
def test_a_line_does_not_promise_to_cancel_more_than_it_bought(name: str) -> None:
    bought, members = MORE_THAN_THE_ORDER[name]

    shown = only_line([an_order(bought)], [subscription(**members)])

    assert forecast(shown) == (False, "more_than_the_order")


def test_each_line_is_forecast_alone() -> None:
    """In a request for the whole order one of these would stop the others. A person chooses one from the list."""
    lines = [licence_line(), licence_line(1, OTHER_GUID), licence_line(2, THIRD_GUID)]
    own = [subscription(quantity=7), subscription(id=OTHER_GUID), subscription(id=THIRD_GUID, status="deleted")]

    [state], _ = told([an_order(*lines)], own)

    assert [forecast(shown) for shown in state.line_items] == [
        (False, "more_than_the_order"),
        (True, None),
        (None, None),
    ]
    assert [shown.cancelled for shown in state.line_items] == [False, False, True]
    assert state.cancelled_line_items == [1]


def test_two_lines_of_one_subscription_hold_each_other_back() -> None:
    lines = [licence_line(), licence_line(1, GUID.upper())]

    [state], _ = told([an_order(*lines)], [subscription()])

    assert [forecast(shown) for shown in state.line_items] == [(False, "more_than_the_order")] * 2


@pytest.mark.parametrize("of_subscription", ["AN-ALTERNATE", ORDER.upper()], ids=["alternate-id", "id"])
def test_a_subscription_is_found_by_each_id_of_its_order(of_subscription: str) -> None:
    found = an_order(licence_line(subscription_id=None), alternate_id="an-alternate")

    [state], _ = told([found], [subscription(orderId=of_subscription)])

    assert state.line_items[0].subscription_id == GUID
    assert forecast(state.line_items[0]) == (True, None)


def test_lines_in_doubt_and_their_subscriptions_are_told_apart() -> None:
    """Both lines have the same offer: only the subscriptions themselves can be chosen."""
    lines = [licence_line(number, subscription_id=None) for number in range(2)]

    states, _ = told([an_order(*lines)], [subscription(), subscription(id=OTHER_GUID)])

    assert ids(states) == [ORDER, GUID, OTHER_GUID]
    by_order, *by_subscription = states
    assert [forecast(shown) for shown in by_order.line_items] == [(False, "use_subscription_cancel")] * 2
    assert [forecast(state.line_items[0]) for state in by_subscription] == [(True, None)] * 2


def software_line(number: int | None = 0, **members: Any) -> OrderLine:
    return line(number, 1, "DG7GMGF0FKZV:0003:DG7GMGF0DWMS", term_duration="P3Y", **members)


@pytest.mark.parametrize(
    ("created", "is_sandbox", "cancellable", "code"),
    [
        pytest.param("2026-11-28T00:00:00Z", True, True, None, id="sandbox"),
        pytest.param("2026-09-20T00:00:00Z", True, False, "cancellation_window_passed", id="sandbox-too-late"),
        pytest.param("2026-11-28T00:00:00Z", False, None, None, id="production"),
        pytest.param("2026-09-20T00:00:00Z", False, False, "cancellation_window_passed", id="production-too-late"),
        pytest.param(None, True, None, None, id="undated"),
    ],
)
@pytest.mark.parametrize("order_id", [SOFTWARE_ORDER, ORDER], ids=["long-id", "short-id"])
@pytest.mark.parametrize("is_allowed", [True, False], ids=["subscriptions", "orders-only"])
def test_software_without_a_subscription(
    created: str | None, is_sandbox: bool, cancellable: bool | None, code: str | None, order_id: str, is_allowed: bool
) -> None:
    found = [an_order(software_line(), order_id=order_id, created=created)]

    shown = only_line(found, is_sandbox=is_sandbox, is_allowed=is_allowed)

    assert forecast(shown) == (cancellable, code)


def test_where_subscriptions_may_not_be_cancelled_none_is_promised() -> None:
    states, _ = told([an_order(licence_line())], [subscription(), subscription(id=OTHER_GUID)], is_allowed=False)

    assert [forecast(state.line_items[0]) for state in states] == [(False, "use_subscription_cancel")] * 2


# What was not read.


def test_a_line_whose_subscription_was_not_read_is_unknown() -> None:
    shown = only_line([an_order(licence_line())], are_subscriptions_whole=False)

    assert forecast(shown) == (None, None)
    assert shown.subscription_status is None


@pytest.mark.parametrize("order_id", [SOFTWARE_ORDER, ORDER], ids=["long-id", "short-id"])
@pytest.mark.parametrize("is_allowed", [True, False], ids=["subscriptions", "orders-only"])
def test_a_line_that_names_no_subscription_is_unknown_while_not_all_are_read(order_id: str, is_allowed: bool) -> None:
    """It may be one of the subscriptions on the pages that are missing."""
    found = [an_order(software_line(), order_id=order_id)]

    shown = only_line(found, is_allowed=is_allowed, are_subscriptions_whole=False)

    assert forecast(shown) == (None, None)


def test_a_subscription_that_was_found_for_a_line_is_no_promise_while_not_all_are_read() -> None:
    """The order may have begun another one of the same offer, and then nobody can tell which is the line's own."""
    found, own = [an_order(licence_line(subscription_id=None))], [subscription()]

    assert forecast(only_line(found, own)) == (True, None)
    assert forecast(only_line(found, own, are_subscriptions_whole=False)) == (None, None)


def test_a_line_that_names_its_subscription_is_forecast_by_it_though_not_all_are_read() -> None:
    found = [an_order(licence_line())]

    assert forecast(only_line(found, [subscription()], are_subscriptions_whole=False)) == (True, None)


def test_a_subscription_that_is_not_in_the_whole_list_is_not_promised() -> None:
    cancellable, _ = forecast(only_line([an_order(licence_line())], [subscription(id=OTHER_GUID)][:0]))

    assert cancellable is not True


# Cancellable ones alone.


CANCELLABLE: dict[str, tuple[Order, list[Subscription], bool]] = {
    "can-be": (an_order(licence_line()), [subscription()], True),
    "cannot-be": (an_order(licence_line()), [subscription(**LATE)], False),
    "nobody-knows": (an_order(licence_line()), [], True),
    "one-line-of-two": (
        an_order(licence_line(), licence_line(1, OTHER_GUID)),
        [subscription(**LATE), subscription(id=OTHER_GUID)],
        True,
    ),
    "one-cancelled-one-too-late": (
        an_order(licence_line(cancelled=True), licence_line(1, OTHER_GUID)),
        [subscription(id=OTHER_GUID, **LATE)],
        False,
    ),
    "all-lines-cancelled": (an_order(software_line(cancelled=True)), [], False),
    "its-subscription-is-deleted": (an_order(licence_line()), [subscription(status="deleted")], False),
    "without-lines": (an_order(), [], True),
    "without-lines-and-cancelled": (an_order(status="cancelled"), [], False),
    "software": (an_order(software_line(), order_id=SOFTWARE_ORDER), [], True),
}


@pytest.mark.parametrize("name", CANCELLABLE)
def test_only_what_certainly_cannot_be_cancelled_is_left_out(name: str) -> None:
    order, own, is_told = CANCELLABLE[name]

    assert len(told([order], own, cancellable=True)[0]) == is_told
    assert len(told([order], own, cancellable=False)[0]) == 1
    assert len(told([order], own)[0]) == 1


@pytest.mark.parametrize(
    ("members", "is_told"), [({}, True), (LATE, False), ({"status": "deleted"}, False)], ids=["can-be", "late", "over"]
)
def test_subscriptions_without_an_order_are_left_out_alike(members: dict[str, Any], is_told: bool) -> None:
    assert len(told([], [subscription(**members)], cancellable=True)[0]) == is_told


@pytest.mark.parametrize("status", ["completed", "cancelled", None])
def test_an_order_without_lines_is_told(status: str | None) -> None:
    [state], _ = told([an_order(status=status)])

    assert (state.status, state.line_items, state.cancelled_line_items) == (status, [], [])


def test_a_line_without_a_number_is_told_but_not_counted() -> None:
    [state], _ = told([an_order(software_line(number=None), order_id=SOFTWARE_ORDER)])

    assert (len(state.line_items), state.cancelled_line_items) == (1, [])


def test_lines_of_one_number_are_not_promised() -> None:
    """A request that names one of them is refused, as it could mean the other. The whole order may be cancelled."""
    twice = an_order(licence_line(0), licence_line(0, OTHER_GUID))
    found = [twice], [subscription(), subscription(id=OTHER_GUID)]

    [state], _ = told(*found, cancellable=True)

    assert [forecast(shown) for shown in state.line_items] == [(None, None), (None, None)]


def test_the_subscription_of_an_order_that_was_not_read_is_not_offered_as_one_without_order() -> None:
    """Who chooses it would cancel all of it, and the order may have bought a part."""
    orphan = subscription(order_id="ffffffffffff")

    assert ids(told([], [orphan])[0]) == [orphan.subscription_id]
    assert told([], [orphan], are_orders_whole=False) == ([], True)
