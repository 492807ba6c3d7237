"""The query of a request to find orders, and the report of each mistake in it."""

import pytest

from shared.contract import FindRequest
from shared.errors import InvalidRequest
from shared.http_request import parse_query
from tests.support.cancel_request import CUSTOMER
from tests.support.subscriptions import GUID

QUERY = {"customerTenantId": CUSTOMER}


def parse(**query: str) -> FindRequest:
    return parse_query(FindRequest, QUERY | query)


def mistakes(query: dict[str, str]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRequest) as caught:
        parse_query(FindRequest, query)
    assert (caught.value.code, caught.value.status) == ("invalid_request", 400)
    return [(error.pointer, error.message) for error in caught.value.errors]


def test_a_customer_is_enough() -> None:
    assert parse().model_dump() == {
        "customer_domain": None,
        "customer_tenant_id": CUSTOMER,
        "account": None,
        "text": None,
        "subscription_id": None,
        "cancellable": False,
    }


def test_every_member_is_read() -> None:
    request = parse_query(
        FindRequest,
        {
            "customerDomain": "Contoso.com",
            "account": "sandbox",
            "text": " Basic ",
            "subscriptionId": f"{{{GUID}}}",
            "cancellable": "true",
        },
    )

    assert request.model_dump() == {
        "customer_domain": "contoso.com",
        "customer_tenant_id": None,
        "account": "sandbox",
        "text": "Basic",
        "subscription_id": GUID,
        "cancellable": True,
    }


@pytest.mark.parametrize(("text", "expected"), [("true", True), ("false", False), ("True", True), ("FALSE", False)])
def test_a_boolean_is_true_or_false(text: str, expected: bool) -> None:
    assert parse(cancellable=text).cancellable is expected


@pytest.mark.parametrize("text", ["", "1", "0", "yes", "null"])
def test_another_boolean_is_refused(text: str) -> None:
    assert [pointer for pointer, _ in mistakes(QUERY | {"cancellable": text})] == ["/cancellable"]


@pytest.mark.parametrize("word", ["true", "false"])
def test_these_two_words_can_be_looked_for(word: str) -> None:
    assert (parse(text=word).text, parse(account=word).account) == (word, word)


def test_what_the_host_takes_is_left_out() -> None:
    """The function key may stand in the query, with the id of its client."""
    assert parse(code="the-function-key", clientId="default") == parse()


@pytest.mark.parametrize(
    ("query", "pointer", "message"),
    [
        pytest.param({}, "/customerTenantId", "is missing; send customerTenantId, or customerDomain", id="no-customer"),
        pytest.param(
            QUERY | {"customerDomain": "contoso.com"},
            "/customerTenantId",
            "must not be sent beside customerDomain; send one of the two",
            id="two-customers",
        ),
        pytest.param(
            {"customerDomain": ""}, "/customerDomain", "is empty; the field was not filled in", id="domain-empty"
        ),
        pytest.param(QUERY | {"orderId": "8178ac72b28d"}, "/orderId", "is not a known field", id="order"),
        pytest.param(QUERY | {"Text": "x"}, "/Text", "is not a known field", id="another-case"),
        pytest.param(QUERY | {"subscription_id": GUID}, "/subscription_id", "is not a known field", id="snake-case"),
        pytest.param(QUERY | {"a/b~c": "1"}, "/a~1b~0c", "is not a known field", id="pointer-escaped"),
        pytest.param(QUERY | {"text": ""}, "/text", "String should have at least 1 character", id="text-empty"),
        pytest.param(QUERY | {"text": "  "}, "/text", "String should have at least 1 character", id="text-blank"),
        pytest.param(
            QUERY | {"text": "x" * 201}, "/text", "String should have at most 200 characters", id="text-too-long"
        ),
        pytest.param(
            QUERY | {"account": ""}, "/account", "String should have at least 1 character", id="account-empty"
        ),
        pytest.param(
            QUERY | {"subscriptionId": ""},
            "/subscriptionId",
            "is empty; the field was not filled in",
            id="subscription-empty",
        ),
    ],
)
def test_a_mistake_is_told_with_its_name(query: dict[str, str], pointer: str, message: str) -> None:
    assert mistakes(query) == [(pointer, message)]


def test_all_mistakes_are_told_at_once() -> None:
    pointers = {pointer for pointer, _ in mistakes({"text": "", "cancellable": "x", "limit": "5"})}

    assert pointers == {"/customerTenantId", "/text", "/cancellable", "/limit"}


def test_a_value_is_not_repeated() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(subscriptionId="s3cret value", cancellable="s3cret")

    assert "s3cret" not in repr([caught.value.detail, caught.value.errors, str(caught.value)])
