"""The reading of orders, from Partner Center's samples, and the request that cancels an order."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.contract import LineItemRef
from shared.errors import CancelRefused
from shared.partner_center.orders import (
    Order,
    OrderLine,
    cancel_body,
    lines_to_cancel,
    order_url,
    read_order,
    request_headers,
)
from tests.support.orders import line, line_ref, order

SAMPLES = Path(__file__).parents[1] / "samples" / "orders"
ORDERS = [
    "legacy-license-guid-etag-completed",
    "nce-license-pending-indirect",
    "reservation-completed",
    "reservation-pending-created",
    "saas-seat-based-pending",
    "software-multiline-partial-cancel-response",
    "software-perpetual-sandbox-cancelled-response",
]


def sample(name: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text())
    return parsed


def read(order: object, order_id: str | None = None) -> Order | None:
    expected_id = order_id or (order["id"] if isinstance(order, dict) else "ORDER-ID")
    return read_order(json.dumps(order).encode(), expected_id)


def read_odd(order: object) -> Order:
    found = read(order, "ORDER-ID")
    assert found is not None
    return found


@pytest.mark.parametrize("name", ORDERS)
def test_every_sample_is_read_completely(name: str) -> None:
    sent = sample(name)

    found = read(sent)

    assert found is not None
    assert (found.order_id, found.alternate_id) == (sent["id"], sent.get("alternateId"))
    assert (found.status, found.billing_cycle, found.currency_code) == (
        sent["status"],
        sent["billingCycle"],
        sent["currencyCode"],
    )
    assert found.creation_date is not None
    assert found.creation_date.endswith("Z")
    assert [(item.line_item_number, item.offer_id, item.quantity) for item in found.line_items] == [
        (item["lineItemNumber"], item["offerId"], item["quantity"]) for item in sent["lineItems"]
    ]


def test_pascal_case_is_read_like_camel_case() -> None:
    found = read(sample("request-legacy-order-patch-pascalcase"), "anything")

    assert found is not None
    assert (found.billing_cycle, found.creation_date, found.order_id) == ("annual", None, None)
    assert found.line_items == [
        line(
            0,
            2,
            "2828BE95-46BA-4F91-B2FD-0BEF192ECF60",
            friendly_name="Some friendly name",
            subscription_id="69829602-C219-40FD-A3D5-4150FCA41A19",
        )
    ]


def test_a_cancelled_line_shows_by_its_quantity_or_by_the_status_of_the_order() -> None:
    """Microsoft's two samples show one each, so neither alone is enough."""
    by_quantity = read(sample("software-multiline-partial-cancel-response"))
    by_status = read(sample("software-perpetual-sandbox-cancelled-response"))

    assert by_quantity is not None
    assert by_status is not None
    assert [item.cancelled for item in by_quantity.line_items] == [True, False]
    assert [(item.cancelled, item.quantity) for item in by_status.line_items] == [(True, 1)]
    assert (by_quantity.is_cancelled, by_status.is_cancelled) == (False, True)


@pytest.mark.parametrize(
    ("found", "is_cancelled"),
    [
        pytest.param(order(status="cancelled"), True, id="no-lines-status-decides"),
        pytest.param(order(status="completed"), False, id="no-lines-and-not-cancelled"),
        pytest.param(order(status=None), False, id="no-lines-no-status"),
        pytest.param(order(line(quantity=0), line(1, quantity=0)), True, id="completed-with-all-0"),
        pytest.param(order(line(quantity=0), line(1, quantity=None)), False, id="unknown-is-not-0"),
        pytest.param(order(line(quantity=3), status="cancelled"), True, id="cancelled-keeps-quantities"),
    ],
)
def test_an_order_is_cancelled_if_every_line_is(found: Order, is_cancelled: bool) -> None:
    assert found.is_cancelled is is_cancelled


@pytest.mark.parametrize(
    ("value", "date"),
    [
        ("2019-12-12T17:33:56.1306495Z", "2019-12-12T17:33:56.130649Z"),
        ("2018-03-06T17:37:05.253-08:00", "2018-03-07T01:37:05.253000Z"),
        ("2017-01-01T00:00:44.76+00:00", "2017-01-01T00:00:44.760000Z"),
        ("2017-01-01T00:00:44", "2017-01-01T00:00:44Z"),
        ("0001-01-01T00:00:00+14:00", None),
        ("soon", None),
        ("", None),
        (1551549000, None),
        (None, None),
    ],
)
def test_dates_are_in_utc_or_none(value: object, date: str | None) -> None:
    assert read_odd({"id": "ORDER-ID", "creationDate": value}).creation_date == date


@pytest.mark.parametrize(
    ("value", "quantity"),
    [(0, 0), (0.0, 0), (-1, -1), (False, None), ("0", None), (0.5, None), (None, None), (1e300, None), (10**30, None)],
)
def test_only_a_number_is_a_quantity(value: object, quantity: int | None) -> None:
    """False equals 0 in Python. Read as a quantity it would report an active line as cancelled."""
    found = read_odd({"id": "ORDER-ID", "lineItems": [{"lineItemNumber": 0, "quantity": value}]})

    assert found.line_items[0].quantity == quantity


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"<html>",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"code": 0}',
        b'{"id": "ANOTHER-ORDER", "status": "cancelled"}',
        b'{"id": "ANOTHER-ORDER", "alternateId": "third-order", "status": "cancelled"}',
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_body_without_this_order_is_none(body: bytes) -> None:
    assert read_order(body, "ORDER-ID") is None


@pytest.mark.parametrize(
    ("sent", "order_id"),
    [
        pytest.param({"id": "LONG-ID1", "alternateId": "c403d91b21d2"}, "c403d91b21d2", id="by-alternate-id"),
        pytest.param({"id": "EEBA9D00-7b46-443a-917e-22887a8fc993"}, "eeba9d00-7B46-443a-917e-22887a8fc993", id="guid"),
        pytest.param({"status": "cancelled"}, "ORDER-ID", id="without-id"),
        pytest.param({"Id": None, "LineItems": None}, "ORDER-ID", id="null-id"),
    ],
)
def test_an_order_is_recognised_by_either_id(sent: dict[str, Any], order_id: str) -> None:
    assert read(sent, order_id) is not None


def test_ids_that_are_no_guids_are_compared_with_case() -> None:
    assert read({"id": "order-id", "status": "cancelled"}, "ORDER-ID") is None


@pytest.mark.parametrize("status", ["cancelled", "Cancelled", "canceled", "CANCELED", " cancelled ", "cancelled\n"])
def test_a_status_is_read_in_each_spelling(status: str) -> None:
    found = read_odd({"id": "ORDER-ID", "status": status, "lineItems": [{"lineItemNumber": 0, "quantity": 1}]})

    assert found.status == "cancelled"
    assert found.is_cancelled


def test_a_blank_status_is_none() -> None:
    assert read_odd({"id": "ORDER-ID", "status": "  "}).status is None


def test_a_byte_order_mark_is_skipped() -> None:
    assert read_order(b'\xef\xbb\xbf{"id": "ORDER-ID"}', "ORDER-ID") is not None


def test_odd_members_never_make_an_order_unreadable() -> None:
    found = read_odd(
        {
            "id": "ORDER-ID",
            "status": 7,
            "currencyCode": ["USD"],
            "lineItems": [None, "x", {"offerId": 1, "friendlyName": "\ud800", "termDuration": {}}],
        }
    )

    assert (found.status, found.currency_code) == (None, None)
    assert found.line_items == [line(None, None, None)] * 2 + [line(None, None, None, friendly_name="?")]


@pytest.mark.parametrize("unreadable", [None, "x", [], {}], ids=str)
def test_an_order_with_a_line_that_cannot_be_read_is_not_cancelled(unreadable: object) -> None:
    cancelled = {"lineItemNumber": 0, "quantity": 0}

    assert read_odd({"id": "ORDER-ID", "lineItems": [cancelled]}).is_cancelled
    assert not read_odd({"id": "ORDER-ID", "lineItems": [cancelled, unreadable]}).is_cancelled


def test_requested_lines_are_checked_and_completed_from_the_order() -> None:
    found = order(line(0), line(1, offer_id="D:E:F"), line(2, quantity=0))

    assert lines_to_cancel(found, [line_ref(1, "d:e:f"), line_ref(2)]) == [found.line_items[1]]


def test_nothing_is_left_to_cancel_in_a_cancelled_order() -> None:
    assert lines_to_cancel(order(line(0), status="cancelled"), [line_ref(0)]) == []
    assert lines_to_cancel(order(status="cancelled"), [line_ref(0)]) == []


@pytest.mark.parametrize(
    ("found", "requested"),
    [
        pytest.param(order(line(0)), line_ref(1), id="no-such-line"),
        pytest.param(order(line(0)), line_ref(0, "X:Y:Z"), id="another-offer"),
        pytest.param(order(line(0, offer_id=None)), line_ref(0, "A:B:C"), id="offer-unknown"),
        pytest.param(order(line(0), line(0)), line_ref(0), id="two-lines-with-that-number"),
        pytest.param(order(line(None)), line_ref(0), id="number-missing"),
        pytest.param(order(), line_ref(0), id="no-lines"),
        pytest.param(order(line(0), status="cancelled"), line_ref(1), id="no-such-line-in-a-cancelled-order"),
    ],
)
def test_a_line_that_cannot_be_matched_is_refused(found: Order, requested: LineItemRef) -> None:
    with pytest.raises(CancelRefused) as caught:
        lines_to_cancel(found, [requested])

    assert caught.value.code == "line_item_mismatch"


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        pytest.param(None, "request-cancel-order", id="whole"),
        pytest.param([line(0, offer_id="DG7GMGF0FKZV:0003:DG7GMGF0DWMS")], "request-cancel-lines", id="lines"),
    ],
)
def test_the_patch_body_is_the_documented_one(lines: list[OrderLine] | None, name: str) -> None:
    documented = sample(name)

    assert json.loads(cancel_body(documented["id"], lines)) == documented


def test_a_line_without_offer_is_sent_by_number() -> None:
    assert json.loads(cancel_body("ORDER-ID", [line(3, offer_id=None)]))["lineItems"] == [{"lineItemNumber": 3}]


def test_url_and_headers() -> None:
    assert order_url("https://root", "guid", "a/b") == "https://root/v1/customers/guid/orders/a%2Fb"
    headers = request_headers("token", "request", "correlation")
    assert headers["Authorization"] == "Bearer token"
    assert (headers["Accept"], headers["Content-Type"]) == ("application/json", "application/json")
    assert (headers["MS-RequestId"], headers["MS-CorrelationId"]) == ("request", "correlation")
    assert "If-Match" not in headers  # only legacy orders have an ETag, and no sample sends one


def test_the_term_of_a_line_is_read() -> None:
    assert read_odd({"lineItems": [{"termDuration": "P1Y"}]}).line_items[0].term_duration == "P1Y"


def test_an_id_of_a_guids_length_is_compared_with_case() -> None:
    """Case tells base64url ids apart, whatever their length or their dashes."""
    for order_id in ("a" * 36, "a-b-c-d-e-f-long"):
        body = json.dumps({"id": order_id.upper(), "status": "cancelled"}).encode()
        assert read_order(body, order_id) is None
