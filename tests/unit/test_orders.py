"""Partner Center's order protocol, stated as tables over its own samples."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.contract import LineItem, LineItemRef
from shared.errors import CancelRefused, PartnerCenterError
from shared.partner_center.orders import (
    Order,
    cancel_body,
    lines_to_cancel,
    order_url,
    read_error,
    read_order,
    request_headers,
    shows_cancellation,
)

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
    wanted = order_id or (order["id"] if isinstance(order, dict) else "ORDER-ID")
    return read_order(json.dumps(order).encode(), wanted)


def understood(order: object) -> Order:
    found = read(order, "ORDER-ID")
    assert found is not None
    return found


def line(number: int | None = 0, quantity: int | None = 1, offer_id: str | None = "A:B:C", **more: Any) -> LineItem:
    plain = {"friendly_name": None, "term_duration": None, "subscription_id": None, "cancelled": quantity == 0}
    return LineItem(line_item_number=number, offer_id=offer_id, quantity=quantity, **plain | more)


def order(*lines: LineItem, status: str | None = "completed") -> Order:
    """Return an order as it is read from the wire, where its status decides for each line too."""
    read = [one.model_copy(update={"cancelled": one.cancelled or status == "cancelled"}) for one in lines]
    return Order(order_id="ORDER-ID", status=status, line_items=read)


def ref(number: int, offer_id: str | None = None) -> LineItemRef:
    given = {"lineItemNumber": number} | ({} if offer_id is None else {"offerId": offer_id})
    return LineItemRef.model_validate(given)


@pytest.mark.parametrize("name", ORDERS)
def test_every_sample_reads_whole(name: str) -> None:
    wire = sample(name)

    found = read(wire)

    assert found is not None
    assert (found.order_id, found.alternate_id) == (wire["id"], wire.get("alternateId"))
    assert (found.status, found.billing_cycle, found.currency_code) == (
        wire["status"],
        wire["billingCycle"],
        wire["currencyCode"],
    )
    assert found.creation_date is not None
    assert found.creation_date.endswith("Z")
    assert [(one.line_item_number, one.offer_id, one.quantity) for one in found.line_items] == [
        (one["lineItemNumber"], one["offerId"], one["quantity"]) for one in wire["lineItems"]
    ]


def test_pascal_case_reads_like_camel_case() -> None:
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
    """The two samples of the documentation show one each, so neither alone may be believed."""
    by_quantity = read(sample("software-multiline-partial-cancel-response"))
    by_status = read(sample("software-perpetual-sandbox-cancelled-response"))

    assert by_quantity is not None
    assert by_status is not None
    assert [one.cancelled for one in by_quantity.line_items] == [True, False]
    assert [(one.cancelled, one.quantity) for one in by_status.line_items] == [(True, 1)]
    assert (by_quantity.is_cancelled, by_status.is_cancelled) == (False, True)


@pytest.mark.parametrize(
    ("found", "whole"),
    [
        pytest.param(order(status="cancelled"), True, id="no-lines-status-decides"),
        pytest.param(order(status="completed"), False, id="no-lines-living"),
        pytest.param(order(status=None), False, id="no-lines-no-status"),
        pytest.param(order(line(quantity=0), line(1, quantity=0)), True, id="completed-with-all-0"),
        pytest.param(order(line(quantity=0), line(1, quantity=None)), False, id="unknown-is-not-0"),
        pytest.param(order(line(quantity=3), status="cancelled"), True, id="cancelled-keeps-quantities"),
    ],
)
def test_wholly_cancelled(found: Order, whole: bool) -> None:
    assert found.is_cancelled is whole


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
def test_dates(value: object, date: str | None) -> None:
    assert understood({"id": "ORDER-ID", "creationDate": value}).creation_date == date


@pytest.mark.parametrize(
    ("value", "quantity"),
    [(0, 0), (0.0, 0), (-1, -1), (False, None), ("0", None), (0.5, None), (None, None), (1e300, None), (10**30, None)],
)
def test_only_a_number_is_a_quantity(value: object, quantity: int | None) -> None:
    """False is 0 to Python; taken for one it would report a living line as cancelled."""
    found = understood({"id": "ORDER-ID", "lineItems": [{"lineItemNumber": 0, "quantity": value}]})

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
def test_what_is_no_order_or_another_is_none(body: bytes) -> None:
    assert read_order(body, "ORDER-ID") is None


@pytest.mark.parametrize(
    ("wire", "asked"),
    [
        pytest.param({"id": "LONG-ID1", "alternateId": "c403d91b21d2"}, "c403d91b21d2", id="by-alternate-id"),
        pytest.param({"id": "EEBA9D00-7b46-443a-917e-22887a8fc993"}, "eeba9d00-7B46-443a-917e-22887a8fc993", id="guid"),
        pytest.param({"status": "cancelled"}, "ORDER-ID", id="without-id"),
        pytest.param({"Id": None, "LineItems": None}, "ORDER-ID", id="null-id"),
    ],
)
def test_an_order_is_known_by_either_id(wire: dict[str, Any], asked: str) -> None:
    assert read(wire, asked) is not None


def test_the_case_of_an_id_that_is_no_guid_tells_orders_apart() -> None:
    assert read({"id": "order-id", "status": "cancelled"}, "ORDER-ID") is None


def test_a_byte_order_mark_is_no_obstacle() -> None:
    assert read_order(b'\xef\xbb\xbf{"id": "ORDER-ID"}', "ORDER-ID") is not None


def test_odd_members_never_make_an_order_unreadable() -> None:
    found = understood(
        {
            "id": "ORDER-ID",
            "status": 7,
            "currencyCode": ["USD"],
            "lineItems": [None, "x", {"offerId": 1, "friendlyName": "\ud800", "termDuration": {}}],
        }
    )

    assert (found.status, found.currency_code) == (None, None)
    assert found.line_items == [line(None, None, None, friendly_name="?")]


def test_lines_are_checked_and_completed_from_the_order() -> None:
    found = order(line(0), line(1, offer_id="D:E:F"), line(2, quantity=0))

    assert lines_to_cancel(found, [ref(1, "d:e:f"), ref(2)]) == [found.line_items[1]]


def test_nothing_is_left_to_cancel_in_a_cancelled_order() -> None:
    assert lines_to_cancel(order(line(0), status="cancelled"), [ref(0)]) == []
    assert lines_to_cancel(order(status="cancelled"), [ref(0)]) == []


@pytest.mark.parametrize(
    ("found", "asked"),
    [
        pytest.param(order(line(0)), ref(1), id="no-such-line"),
        pytest.param(order(line(0)), ref(0, "X:Y:Z"), id="another-offer"),
        pytest.param(order(line(0, offer_id=None)), ref(0, "A:B:C"), id="offer-unknown"),
        pytest.param(order(line(0), line(0)), ref(0), id="number-twice"),
        pytest.param(order(line(None)), ref(0), id="number-missing"),
        pytest.param(order(), ref(0), id="no-lines"),
        pytest.param(order(line(0), status="cancelled"), ref(1), id="no-such-line-though-cancelled"),
    ],
)
def test_a_line_that_cannot_be_matched_is_refused(found: Order, asked: LineItemRef) -> None:
    with pytest.raises(CancelRefused) as caught:
        lines_to_cancel(found, [asked])

    assert caught.value.code == "line_item_mismatch"


@pytest.mark.parametrize(
    ("found", "asked", "shown"),
    [
        pytest.param(order(line(quantity=0), line(1)), None, False, id="whole-not-by-one-line"),
        pytest.param(order(line(quantity=0), line(1, quantity=0)), None, True, id="whole-by-all-lines"),
        pytest.param(order(line(quantity=0), line(1)), [0], True, id="the-line"),
        pytest.param(order(line(quantity=0), line(1)), [0, 1], False, id="one-of-the-lines"),
        pytest.param(order(line(quantity=0), line(1)), [7], False, id="a-line-that-is-not-there"),
        pytest.param(order(line(quantity=0), line(0)), [0], False, id="one-of-two-of-that-number"),
        pytest.param(order(status="cancelled"), [7], True, id="whole-order-covers-every-line"),
    ],
)
def test_shows_cancellation(found: Order, asked: list[int] | None, shown: bool) -> None:
    assert shows_cancellation(found, None if asked is None else [ref(number) for number in asked]) is shown


@pytest.mark.parametrize(
    ("body", "code", "description"),
    [
        (b'{"code": "800061", "description": "no", "data": [], "source": "x"}', "800061", "no"),
        (b'{"code": 0, "description": "bad status"}', "0", "bad status"),
        (b'{"Code": 800061, "Description": "no"}', "800061", "no"),
        (b'\xef\xbb\xbf{"code": "800061"}', "800061", None),
        (b'{"statusCode": 429, "message": "slow"}', "429", "slow"),
        (b'{"error": "invalid_client", "error_description": "AADSTS7000215"}', "invalid_client", "AADSTS7000215"),
        (b'{"error": {"code": "Forbidden", "message": "no"}}', "Forbidden", "no"),
        (b"Authentication failed. MFA required. (10001)", "10001", "Authentication failed. MFA required. (10001)"),
        (b"gone", None, "gone"),
        (b"", None, None),
        (b"<html><body>502</body></html>", None, None),
        (b'{"code": "8000', None, None),
        (b'{"code": true, "description": 5}', None, None),
        (b"[1]", None, None),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_every_form_of_an_error_body_is_read(body: bytes, code: str | None, description: str | None) -> None:
    assert read_error(body) == PartnerCenterError(code, description)


def test_an_error_that_echoes_the_token_does_not_pass_it_on() -> None:
    said = read_error(b'{"code": "1", "description": "bad header: Bearer abc.def and eyJhbGciOi.eyJhdWQi.sig-na_ture"}')

    assert said.description == "bad header: … and …"


def test_a_description_is_cut_at_its_documented_length() -> None:
    assert len(read_error(b'{"description": "%s"}' % (b"x" * 5000)).description or "") == 1024


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        pytest.param(None, "request-cancel-order", id="whole"),
        pytest.param([line(0, offer_id="DG7GMGF0FKZV:0003:DG7GMGF0DWMS")], "request-cancel-lines", id="lines"),
    ],
)
def test_the_body_is_the_documented_one(lines: list[LineItem] | None, name: str) -> None:
    documented = sample(name)

    assert json.loads(cancel_body(documented["id"], lines)) == documented


def test_a_line_without_offer_is_sent_by_number() -> None:
    assert json.loads(cancel_body("ORDER-ID", [line(3, offer_id=None)]))["lineItems"] == [{"lineItemNumber": 3}]


def test_path_and_headers() -> None:
    assert order_url("https://root", "guid", "a/b") == "https://root/v1/customers/guid/orders/a%2Fb"
    headers = request_headers("token", "request", "correlation")
    assert headers["Authorization"] == "Bearer token"
    assert (headers["MS-RequestId"], headers["MS-CorrelationId"]) == ("request", "correlation")
    assert "If-Match" not in headers  # only legacy orders carry an ETag, and no order sample sends one
