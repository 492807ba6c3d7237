"""What may be sent, and how every fault of it is told."""

import json
from typing import Any

import pytest

from shared.contract import BODY_LIMIT_BYTES, CancelRequest, check_size, parse_cancel_request, preferred_wait_s
from shared.errors import InvalidRequest

CUSTOMER = "bd59b416-37f9-4d8f-8df3-5750111fc615"
ORDER = "UKXASSO1dezh3HdxClHxSp5UEFXGbAnt1"
WHOLE: dict[str, Any] = {"customerTenantId": CUSTOMER, "orderId": ORDER}


def parse(body: object, **headers: str) -> CancelRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_cancel_request(raw, {name.replace("_", "-"): value for name, value in headers.items()})


def refused(body: object, **headers: str) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse(body, **headers)
    return caught.value


def test_the_least_request_means_the_whole_order_for_real() -> None:
    request = parse(WHOLE)

    assert (request.line_items, request.account, request.dry_run) == (None, None, False)


def test_everything_given_is_kept() -> None:
    body = WHOLE | {
        "lineItems": [{"lineItemNumber": 1, "offerId": "a:b:c"}, {"lineItemNumber": 0}],
        "account": "sandbox",
        "ticketId": "ZD-48151",
        "reason": "wrong edition — naïve ☃",
        "dryRun": True,
    }

    assert parse(body).model_dump(by_alias=True) == body | {
        "lineItems": [{"lineItemNumber": 1, "offerId": "a:b:c"}, {"lineItemNumber": 0, "offerId": None}]
    }


def test_the_customer_is_lowered_and_the_order_is_not() -> None:
    request = parse({"customerTenantId": CUSTOMER.upper(), "orderId": "AbCdEfGh"})

    assert (request.customer_tenant_id, request.order_id) == (CUSTOMER, "AbCdEfGh")


@pytest.mark.parametrize("order_id", ["2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1", "a68736758d9c", "0bed3bbca6c", CUSTOMER])
def test_every_family_of_order_ids_is_taken(order_id: str) -> None:
    assert parse(WHOLE | {"orderId": order_id}).order_id == order_id


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        pytest.param({"customerTenantId": None}, "/customerTenantId", id="customer-null"),
        pytest.param({"customerTenantId": "contoso.com"}, "/customerTenantId", id="customer-not-a-guid"),
        pytest.param({"customerTenantId": f"{{{CUSTOMER}}}"}, "/customerTenantId", id="customer-in-braces"),
        pytest.param({"customerTenantId": CUSTOMER + "\n"}, "/customerTenantId", id="customer-with-newline"),
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
def test_a_fault_is_refused_and_pointed_at(change: dict[str, Any], pointer: str) -> None:
    """Any of these, let through, could cancel more than was meant."""
    error = refused(WHOLE | change)

    assert (error.code, error.status) == ("invalid_request", 400)
    assert [fault.pointer for fault in error.errors] == [pointer]
    assert error.errors[0].message


def test_ticket_and_reason_may_be_null_for_they_cancel_nothing() -> None:
    request = parse(WHOLE | {"ticketId": None, "reason": None})

    assert (request.ticket_id, request.reason) == (None, None)


def test_all_faults_come_at_once() -> None:
    error = refused({"orderId": "x", "lineItems": [{"lineItemNumber": "0"}], "dryRun": "yes", "bogus": 1})

    assert {fault.pointer for fault in error.errors} == {
        "/customerTenantId",
        "/orderId",
        "/lineItems/0/lineItemNumber",
        "/dryRun",
        "/bogus",
    }


def test_what_was_sent_is_not_repeated() -> None:
    """A body may hold what must not reach a log: only the names of its fields come back."""
    error = refused(WHOLE | {"orderId": "s3cret value", "dryRun": "s3cret"})

    assert "s3cret" not in repr([error.detail, error.errors, str(error)])


def test_a_flood_of_faults_is_cut_off() -> None:
    error = refused(WHOLE | {f"x{number}": 1 for number in range(5000)})

    assert len(error.errors) == 50


DOCUMENTED_TRAILING_COMMA = b'{\n    "id": "UKXASSO1dezh3HdxClHxSp5UEFXGbAnt1",\n    "status": "cancelled",\n}'
DOCUMENTED_CURLY_QUOTES = '{\n    “id”: “2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1",\n    status": "cancelled"\n}'.encode()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"", "chunked", id="empty"),
        pytest.param(b"\xef\xbb\xbf{}", "byte order mark", id="bom"),
        pytest.param(b"\xff\xfe{\x00}\x00", "UTF-8", id="utf-16"),
        pytest.param(b'{"orderId": "\xed\xa0\x80"}', "UTF-8", id="raw-surrogate"),
        pytest.param(DOCUMENTED_TRAILING_COMMA, "line 3, column 26. Remove the comma", id="trailing-comma"),
        pytest.param(DOCUMENTED_CURLY_QUOTES, "line 2, column 5. Replace curly quotes", id="curly-quotes"),
        pytest.param(b"{'orderId': 1}", "double quotes", id="single-quotes"),
        pytest.param(b'{"dryRun": True}', "true, false and null", id="python-literal"),
        pytest.param(b'{"orderId": {{ticket.order}}}', "placeholder", id="placeholder-left"),
        pytest.param(b'{"reason": "two\nlines"}', "Escape line breaks", id="raw-newline"),
        pytest.param(b'{"a": NaN}', "NaN", id="nan"),
        pytest.param(b'{"a": -Infinity}', "NaN and Infinity", id="infinity"),
        pytest.param(b'{"lineItems": [{"lineItemNumber": 0}], "lineItems": null}', "twice", id="name-twice"),
        pytest.param(b'{"lineItems": [{"lineItemNumber": 0, "lineItemNumber": 1}]}', "twice", id="name-twice-inside"),
        pytest.param(b"[" * 60_000, "nested", id="deep"),
        pytest.param(b'{"a":' * 10_000, "nested", id="deep-objects"),
        pytest.param(b"1" * 5000, "too long", id="long-number"),
        pytest.param(b"{} {}", "line 1, column 4", id="two-documents"),
    ],
)
def test_what_is_not_json_says_where_and_how_to_cure_it(body: bytes, words: str) -> None:
    error = refused(body)

    assert (error.code, error.status) == ("invalid_json", 400)
    assert words in error.detail
    assert error.errors[0].pointer == ""


@pytest.mark.parametrize("body", [[], None, "text", 1, True], ids=repr)
def test_json_that_is_no_object_is_refused(body: object) -> None:
    assert refused(body).code == "invalid_request"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="missing"),
        pytest.param({"content_type": "application/json"}, id="json"),
        pytest.param({"content_type": 'Application/JSON; charset="UTF-8"'}, id="case-and-charset"),
        pytest.param({"content_type": "application/vnd.api+json"}, id="json-suffix"),
        pytest.param({"content_encoding": "identity"}, id="identity"),
    ],
)
def test_json_by_any_name_is_taken(headers: dict[str, str]) -> None:
    assert parse(WHOLE, **headers)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"content_type": "text/plain"}, id="text"),
        pytest.param({"content_type": "application/x-www-form-urlencoded"}, id="form"),
        pytest.param({"content_type": ""}, id="empty"),
        pytest.param({"content_type": "application/json; charset=utf-16"}, id="utf-16"),
        pytest.param({"content_encoding": "gzip"}, id="gzip"),
    ],
)
def test_another_media_type_is_refused(headers: dict[str, str]) -> None:
    error = refused(WHOLE, **headers)

    assert (error.code, error.status) == ("unsupported_media_type", 415)


def test_64_kib_is_the_limit() -> None:
    check_size(b" " * BODY_LIMIT_BYTES)
    with pytest.raises(InvalidRequest) as caught:
        check_size(b" " * (BODY_LIMIT_BYTES + 1))

    assert (caught.value.code, caught.value.status) == ("body_too_large", 413)


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, None),
        ("wait=20", 20),
        ("respond-async, wait = 20", 20),
        ('Wait="7"; x=1', 7),
        ("wait=0", 0),
        ("wait=3, wait=9", 3),
        ("wait", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait=٣", None),
        ("wait=9999999999", None),
        ("waiting=3", None),
        ("", None),
    ],
)
def test_prefer_wait(prefer: str | None, seconds: int | None) -> None:
    """What is malformed is ignored, as RFC 7240 asks for any preference."""
    assert preferred_wait_s(prefer) == seconds
