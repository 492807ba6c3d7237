"""The members and values of a request, and the report of each mistake in it."""

from typing import Any

import pytest

from tests.support.cancel_request import CUSTOMER, WHOLE, parse, refused

SUBSCRIPTION = "8c7f8209-0b7c-5b6e-9f0a-0d6b4f3f1a11"
SUBSCRIPTION_ADVICE = "send the subscription's id, a GUID, which Partner Center shows on the subscription's page"


def test_a_request_without_options_cancels_the_whole_order() -> None:
    request = parse(WHOLE)

    assert (request.line_items, request.account, request.dry_run) == (None, None, False)


def test_every_member_is_kept() -> None:
    body = WHOLE | {
        "lineItems": [{"lineItemNumber": 1, "offerId": "a:b:c"}, {"lineItemNumber": 0}],
        "account": "sandbox",
        "ticketId": "ZD-48151",
        "reason": "wrong edition — naïve ☃",
        "dryRun": True,
    }

    assert parse(body).model_dump(by_alias=True) == body | {
        "customerDomain": None,
        "subscriptionId": None,
        "when": "now",
        "lineItems": [{"lineItemNumber": 1, "offerId": "a:b:c"}, {"lineItemNumber": 0, "offerId": None}],
    }


def test_the_customer_is_put_in_lower_case_and_the_order_is_not() -> None:
    request = parse({"customerTenantId": CUSTOMER.upper(), "orderId": "AbCdEfGh"})

    assert (request.customer_tenant_id, request.order_id) == (CUSTOMER, "AbCdEfGh")


@pytest.mark.parametrize("order_id", ["2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1", "a68736758d9c", "0bed3bbca6c", CUSTOMER])
def test_every_form_of_order_id_is_accepted(order_id: str) -> None:
    assert parse(WHOLE | {"orderId": order_id}).order_id == order_id


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        pytest.param({"customerTenantId": None}, "/customerTenantId", id="customer-null"),
        pytest.param({"customerTenantId": "contoso.com"}, "/customerTenantId", id="customer-not-a-guid"),
        pytest.param({"customerTenantId": f"{{{CUSTOMER}"}, "/customerTenantId", id="customer-in-half-a-brace"),
        pytest.param({"customerTenantId": f"{CUSTOMER} {CUSTOMER}"}, "/customerTenantId", id="customer-twice"),
        pytest.param({"customerTenantId": 5}, "/customerTenantId", id="customer-number"),
        pytest.param({"orderId": "../subscriptions/x"}, "/orderId", id="order-with-path"),
        pytest.param({"orderId": "short"}, "/orderId", id="order-too-short"),
        pytest.param({"orderId": 12345678}, "/orderId", id="order-number"),
        pytest.param({"orderId": "ÄÖÜ-ÄÖÜ-ÄÖÜ"}, "/orderId", id="order-not-ascii"),
        pytest.param({"lineItems": None}, "/lineItems", id="lines-null"),
        pytest.param({"lineItems": []}, "/lineItems", id="lines-empty"),
        pytest.param({"lineItems": "0"}, "/lineItems", id="lines-text"),
        pytest.param({"lineItems": [0]}, "/lineItems/0", id="line-not-an-object"),
        pytest.param({"lineItems": [{}]}, "/lineItems/0/lineItemNumber", id="line-without-number"),
        pytest.param({"lineItems": [{"lineItemNumber": "0"}]}, "/lineItems/0/lineItemNumber", id="number-as-text"),
        pytest.param({"lineItems": [{"lineItemNumber": True}]}, "/lineItems/0/lineItemNumber", id="number-as-bool"),
        pytest.param({"lineItems": [{"lineItemNumber": 0.0}]}, "/lineItems/0/lineItemNumber", id="number-as-float"),
        pytest.param({"lineItems": [{"lineItemNumber": -1}]}, "/lineItems/0/lineItemNumber", id="number-negative"),
        pytest.param({"lineItems": [{"lineItemNumber": 2**31}]}, "/lineItems/0/lineItemNumber", id="number-too-large"),
        pytest.param({"lineItems": [{"lineItemNumber": 0, "offerId": None}]}, "/lineItems/0/offerId", id="offer-null"),
        pytest.param({"lineItems": [{"lineItemNumber": 0, "offerId": ""}]}, "/lineItems/0/offerId", id="offer-empty"),
        pytest.param({"lineItems": [{"lineItemNumber": 0, "quantity": 1}]}, "/lineItems/0/quantity", id="line-unknown"),
        pytest.param({"lineItems": [{"lineItemNumber": 0}, {"lineItemNumber": 0}]}, "/lineItems", id="line-twice"),
        pytest.param({"account": None}, "/account", id="account-null"),
        pytest.param({"account": ""}, "/account", id="account-empty"),
        pytest.param({"dryRun": None}, "/dryRun", id="dry-run-null"),
        pytest.param({"dryRun": "true"}, "/dryRun", id="dry-run-text"),
        pytest.param({"dryRun": 1}, "/dryRun", id="dry-run-number"),
        pytest.param({"ticketId": 48151}, "/ticketId", id="ticket-number"),
        pytest.param({"ticketId": "x" * 101}, "/ticketId", id="ticket-too-long"),
        pytest.param({"ticketId": "\ud800"}, "/ticketId", id="ticket-half-surrogate"),
        pytest.param({"reason": "x" * 1001}, "/reason", id="reason-too-long"),
        pytest.param({"lineitems": [{"lineItemNumber": 0}]}, "/lineitems", id="wrong-case-is-unknown"),
        pytest.param({"line_items": [{"lineItemNumber": 0}]}, "/line_items", id="snake-case-is-unknown"),
        pytest.param({"a/b~c": 1}, "/a~1b~0c", id="pointer-escaped"),
    ],
)
def test_a_mistake_is_refused_with_its_pointer(change: dict[str, Any], pointer: str) -> None:
    """If one of these were accepted, more could be cancelled than the caller meant."""
    error = refused(WHOLE | change)

    assert (error.code, error.status) == ("invalid_request", 400)
    assert [mistake.pointer for mistake in error.errors] == [pointer]
    assert error.errors[0].message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"bogus": 1}, "is not a known field", id="unknown"),
        pytest.param({"lineItems": [{}]}, "is required", id="missing"),
        pytest.param({"account": None}, "must not be null; leave it out instead", id="null"),
        pytest.param({"reason": "\ud800"}, "holds half of a surrogate pair, which is no character", id="surrogate"),
    ],
)
def test_a_fault_is_told_in_plain_words(change: dict[str, Any], message: str) -> None:
    assert [fault.message for fault in refused(WHOLE | change).errors] == [message]


BLANKS = " \t\r\n\u00a0"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        pytest.param("customerTenantId", f"{BLANKS}{CUSTOMER}{BLANKS}", CUSTOMER, id="customer-in-blanks"),
        pytest.param("customerTenantId", f"{{{CUSTOMER.upper()}}}", CUSTOMER, id="customer-in-braces"),
        pytest.param("customerTenantId", f" {{ {CUSTOMER} }}\n", CUSTOMER, id="customer-in-both"),
        pytest.param("orderId", f"{BLANKS}a68736758d9c{BLANKS}", "a68736758d9c", id="order-in-blanks"),
        pytest.param("orderId", f"{{{CUSTOMER.upper()}}}", CUSTOMER.upper(), id="order-in-braces"),
    ],
)
def test_blanks_and_braces_around_an_id_are_taken_off(name: str, value: str, expected: str) -> None:
    """No id holds them, and people copy them along."""
    assert parse(WHOLE | {name: value}).model_dump(by_alias=True)[name] == expected


def test_blanks_around_an_offer_are_taken_off() -> None:
    lines = parse(WHOLE | {"lineItems": [{"lineItemNumber": 0, "offerId": " a:b:c\n"}]}).line_items

    assert lines
    assert lines[0].offer_id == "a:b:c"


TENANT_ADVICE = "send the customer's tenant id, a GUID, which Partner Center shows as Microsoft ID"
ORDER_ADVICE = "send the order's id as Partner Center's order history shows it"


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        pytest.param("", "is empty; the field was not filled in", id="empty"),
        pytest.param(BLANKS, "is empty; the field was not filled in", id="blank"),
        pytest.param(
            "{{ticket.id}}", "looks like a placeholder that was not filled in; check the template", id="zendesk"
        ),
        pytest.param("<<ticket^id>>", "looks like a placeholder that was not filled in; check the template", id="halo"),
        pytest.param(
            "${ticket}", "looks like a placeholder that was not filled in; check the template", id="servicenow"
        ),
        pytest.param("<order id>", "looks like a placeholder that was not filled in; check the template", id="angles"),
        pytest.param(
            "[CUSTOMER]", "looks like a placeholder that was not filled in; check the template", id="brackets"
        ),
        pytest.param("{% if x %}", "looks like a placeholder that was not filled in; check the template", id="liquid"),
        pytest.param(f"https://example.com/orders/{CUSTOMER}", "is a link; send only the id in it", id="link"),
        pytest.param("www.example.com/orders/5", "is a link; send only the id in it", id="link-without-scheme"),
        pytest.param("contoso.onmicrosoft.com", "looks like a domain; ADVICE", id="domain"),
        pytest.param("bücher.example", "looks like a domain; ADVICE", id="domain-with-umlaut"),
        pytest.param("admin@contoso.com", "looks like an e-mail address; ADVICE", id="e-mail"),
    ],
)
def test_a_wrong_id_is_told_by_what_it_looks_like(value: str, fault: str) -> None:
    """The person at the ticket cannot read a pattern."""
    faults = refused(WHOLE | {"customerTenantId": value, "orderId": value}).errors

    assert [error.message for error in faults] == [
        fault.replace("ADVICE", advice) for advice in (TENANT_ADVICE, ORDER_ADVICE)
    ]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        pytest.param({"customerTenantId": "12345"}, f"is no GUID; {TENANT_ADVICE}", id="customer"),
        pytest.param({"orderId": "#12345"}, f"is a number with #, not an id; {ORDER_ADVICE}", id="order-number"),
        pytest.param(
            {"orderId": "Order #4711"}, f"is a number with #, not an id; {ORDER_ADVICE}", id="order-number-in-words"
        ),
        pytest.param(
            {"orderId": "short"},
            f"has other characters or another length than an order id; {ORDER_ADVICE}",
            id="order-too-short",
        ),
        pytest.param(
            {"orderId": "a68736758d9c a68736758d9c"},
            f"has other characters or another length than an order id; {ORDER_ADVICE}",
            id="two-orders",
        ),
    ],
)
def test_any_other_wrong_id_is_told_in_words(change: dict[str, Any], fault: str) -> None:
    assert [error.message for error in refused(WHOLE | change).errors] == [fault]


def test_a_subscription_takes_the_place_of_the_order() -> None:
    request = parse({"customerTenantId": CUSTOMER, "subscriptionId": f" {{{SUBSCRIPTION}}} "})

    assert (request.order_id, request.subscription_id) == (None, SUBSCRIPTION)


@pytest.mark.parametrize(
    ("body", "pointer", "fault"),
    [
        pytest.param(
            {"customerTenantId": CUSTOMER},
            "/orderId",
            "is missing; send orderId, or subscriptionId for a subscription",
            id="neither",
        ),
        pytest.param(
            {"customerTenantId": CUSTOMER, "orderId": None},
            "/orderId",
            "is missing; send orderId, or subscriptionId for a subscription",
            id="null",
        ),
        pytest.param(
            WHOLE | {"subscriptionId": SUBSCRIPTION},
            "/orderId",
            "must not be sent beside subscriptionId; send one of the two",
            id="both",
        ),
        pytest.param(
            WHOLE | {"subscriptionId": None},
            "/subscriptionId",
            "must not be null; leave it out instead",
            id="order-and-null",
        ),
        pytest.param(
            {"customerTenantId": CUSTOMER, "subscriptionId": SUBSCRIPTION, "lineItems": [{"lineItemNumber": 0}]},
            "/lineItems",
            "belongs to orderId; a subscription is cancelled as a whole",
            id="lines-of-a-subscription",
        ),
        pytest.param(
            {"customerTenantId": CUSTOMER, "subscriptionId": "8178ac72b28d"},
            "/subscriptionId",
            f"is no GUID, but may be an order's id, which belongs into orderId; {SUBSCRIPTION_ADVICE}",
            id="an-order",
        ),
        pytest.param(
            {"customerTenantId": CUSTOMER, "subscriptionId": ""},
            "/subscriptionId",
            "is empty; the field was not filled in",
            id="empty",
        ),
        pytest.param(
            {"customerTenantId": CUSTOMER, "subscriptionId": "contoso.com"},
            "/subscriptionId",
            f"looks like a domain; {SUBSCRIPTION_ADVICE}",
            id="domain",
        ),
        pytest.param(
            {"customerTenantId": CUSTOMER, "subscriptionId": "sub#1"},
            "/subscriptionId",
            f"is no GUID; {SUBSCRIPTION_ADVICE}",
            id="anything-else",
        ),
    ],
)
def test_a_request_names_an_order_or_a_subscription(body: dict[str, Any], pointer: str, fault: str) -> None:
    assert [(error.pointer, error.message) for error in refused(body).errors] == [(pointer, fault)]


def test_the_end_of_the_term_can_be_asked_for() -> None:
    assert parse(WHOLE | {"when": "term_end"}).when == "term_end"


@pytest.mark.parametrize("when", [None, "", "later", "TERM_END", "termEnd", True])
def test_any_other_time_is_refused(when: object) -> None:
    """A cancellation at once must not come from a time that was not understood."""
    assert [error.pointer for error in refused(WHOLE | {"when": when}).errors] == ["/when"]


def test_ticket_and_reason_may_be_null() -> None:
    request = parse(WHOLE | {"ticketId": None, "reason": None})

    assert (request.ticket_id, request.reason) == (None, None)


def test_all_mistakes_are_reported_at_once() -> None:
    error = refused({"orderId": "x", "lineItems": [{"lineItemNumber": "0"}], "dryRun": "yes", "bogus": 1})

    assert {mistake.pointer for mistake in error.errors} == {
        "/customerTenantId",
        "/orderId",
        "/lineItems/0/lineItemNumber",
        "/dryRun",
        "/bogus",
    }


def test_a_value_from_the_request_is_not_repeated() -> None:
    """A body may hold values that must not reach a log, so only the names of its members are reported."""
    error = refused(WHOLE | {"orderId": "s3cret value", "dryRun": "s3cret"})

    assert "s3cret" not in repr([error.detail, error.errors, str(error)])


def test_at_most_50_mistakes_are_reported() -> None:
    error = refused(WHOLE | {f"x{number}": 1 for number in range(5000)})

    assert len(error.errors) == 50
