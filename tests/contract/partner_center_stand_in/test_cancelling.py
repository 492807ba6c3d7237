"""Finding an order, and the effect of a PATCH on it."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import pytest

from infra.local.partner_center.catalogue import built_in_orders
from infra.local.partner_center.entries import Behaviour, ProductKind
from infra.local.partner_center.server import PartnerCenter
from tests.support.built_in_orders import built_in
from tests.support.local_cloud import Json
from tests.support.partner_center import (
    AZURE_CUSTOMER,
    CAL,
    CUSTOMER,
    FIRST_LINE,
    LEGACY,
    NOW,
    ONE_LINE,
    ONE_LINE_CUSTOMER,
    SQL,
    TWO_LINES,
    OpenPartnerCenter,
    bearer,
    cancel,
    path_of,
    quantities,
    status_and_code,
)


def test_a_whole_order_is_cancelled_and_keeps_its_quantities(http: httpx.Client, partner_center: PartnerCenter) -> None:
    before = partner_center.order(ONE_LINE)
    assert before

    answer = cancel(http, ONE_LINE, ONE_LINE_CUSTOMER)

    assert answer.status_code == 200
    assert answer.json() == before | {"status": "cancelled"}
    assert http.get(path_of(ONE_LINE, ONE_LINE_CUSTOMER), headers=bearer()).json() == answer.json()


def test_an_order_is_cancelled_with_its_last_line(http: httpx.Client, partner_center: PartnerCenter) -> None:
    order_id = built_in("software-three-lines")
    states = []
    for number in (1, 0, 2):
        line = {"lineItemNumber": number}
        cancel(http, order_id, body={"id": order_id, "status": "cancelled", "lineItems": [line]})
        order = partner_center.order(order_id)
        assert order
        states.append((order["status"], quantities(order)))

    assert states == [("completed", [1, 0, 1]), ("completed", [0, 0, 1]), ("cancelled", [0, 0, 0])]


def test_the_rest_of_an_order_can_be_cancelled_after_its_first_line(
    http: httpx.Client, partner_center: PartnerCenter
) -> None:
    order_id = built_in("line-0-cancelled-already")

    answer = cancel(http, order_id)

    assert (answer.json()["status"], quantities(partner_center.order(order_id))) == ("cancelled", [0, 1])


@pytest.mark.usefixtures("partner_center")
def test_an_order_that_is_already_cancelled_is_refused(http: httpx.Client) -> None:
    cancel(http, TWO_LINES)

    assert status_and_code(cancel(http, TWO_LINES)) == (400, "800061")
    assert status_and_code(cancel(http, built_in("cancelled-already"))) == (400, "800061")


@pytest.mark.usefixtures("partner_center")
@pytest.mark.parametrize(
    ("order_id", "customer", "expected"),
    [
        pytest.param(TWO_LINES, CUSTOMER, (200, None), id="id"),
        pytest.param("c403d91b21d2", CUSTOMER, (200, None), id="alternateId"),
        pytest.param(TWO_LINES, CUSTOMER.upper(), (200, None), id="customer in capitals"),
        pytest.param(TWO_LINES.upper(), CUSTOMER, (404, "20000"), id="id in other case"),
        pytest.param(LEGACY.upper(), AZURE_CUSTOMER, (200, None), id="GUID in other case"),
        pytest.param(TWO_LINES, ONE_LINE_CUSTOMER, (404, "20000"), id="another customer's order"),
        pytest.param("x" * 33, CUSTOMER, (404, "20000"), id="unknown order"),
        pytest.param(TWO_LINES, str(uuid4()), (403, "20002"), id="unknown customer"),
        pytest.param(
            built_in("stranger"), "4d3cf487-70f4-4e1e-9ff1-b2bfce8d9f04", (403, "20002"), id="no relationship"
        ),
        pytest.param(TWO_LINES, "contoso", (400, "800002"), id="customer not a GUID"),
    ],
)
def test_an_order_is_found_by_its_ids_and_its_customer(
    http: httpx.Client, order_id: str, customer: str, expected: tuple[int, Any]
) -> None:
    assert status_and_code(http.get(path_of(order_id, customer), headers=bearer())) == expected


def test_a_guid_is_answered_in_lower_case(http: httpx.Client, open_partner_center: OpenPartnerCenter) -> None:
    legacy = next(entry for entry in built_in_orders(NOW) if entry.order.get("id") == LEGACY)
    open_partner_center([replace(legacy, kind=ProductKind.SOFTWARE, behaviour=Behaviour.NO_LIMITS)])

    answer = cancel(http, LEGACY.upper(), AZURE_CUSTOMER)

    assert (answer.status_code, answer.json()["id"], answer.json()["status"]) == (200, LEGACY, "cancelled")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({"id": TWO_LINES, "status": "cancelled"}, ("cancelled", [1, 1]), id="whole"),
        pytest.param(
            {"id": TWO_LINES, "status": "cancelled", "lineItems": None}, ("cancelled", [1, 1]), id="lines null"
        ),
        pytest.param(
            {"id": TWO_LINES, "status": "cancelled", "lineItems": []}, ("cancelled", [1, 1]), id="lines empty"
        ),
        pytest.param({"id": "c403d91b21d2", "status": "cancelled"}, ("cancelled", [1, 1]), id="alternateId"),
        pytest.param({"Id": None, "Status": "Cancelled"}, ("cancelled", [1, 1]), id="PascalCase, id null"),
        pytest.param({"STATUS": "CANCELLED", "new": {"a": 1}}, ("cancelled", [1, 1]), id="capitals, unknown member"),
        pytest.param({"status": "cancelled", "lineItems": [FIRST_LINE]}, ("completed", [0, 1]), id="one line"),
        pytest.param(
            {"Status": "cancelled", "LineItems": [{"LineItemNumber": 1, "OfferId": CAL.lower(), "Quantity": 5}]},
            ("completed", [1, 0]),
            id="one line, PascalCase",
        ),
        pytest.param(
            {"status": "cancelled", "lineItems": [{"lineItemNumber": 1, "offerId": None}]},
            ("completed", [1, 0]),
            id="offer null",
        ),
        pytest.param({"id": TWO_LINES, "status": "completed"}, ("completed", [1, 1]), id="another status"),
        pytest.param({"id": TWO_LINES, "billingCycle": "annual"}, ("completed", [1, 1]), id="no status"),
    ],
)
def test_a_patch_cancels_the_order_or_its_lines(
    http: httpx.Client, partner_center: PartnerCenter, body: Json, expected: tuple[str, list[int]]
) -> None:
    answer = cancel(http, TWO_LINES, body=body)

    assert answer.status_code == 200
    assert (answer.json()["status"], quantities(answer.json())) == expected
    assert partner_center.order(TWO_LINES) == answer.json()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b'{"id": "' + TWO_LINES.encode() + b'", "status": "cancelled",}', "800002", id="broken JSON"),
        pytest.param(b"", "800002", id="empty"),
        pytest.param(b"[" * 100_000, "800002", id="too deep"),
        pytest.param(b"[]", "800002", id="not an object"),
        pytest.param(b'{"id": "another", "status": "cancelled"}', "3000", id="another id"),
        pytest.param(b'{"status": "canceled"}', 0, id="status with one l"),
        pytest.param(b'{"status": 5}', 0, id="status is a number"),
        pytest.param(b'{"status": "cancelled", "lineItems": {"lineItemNumber": 0}}', "3000", id="lines are not a list"),
        pytest.param(b'{"status": "cancelled", "lineItems": [{"offerId": "a:b:c"}]}', "3000", id="line without number"),
        pytest.param(b'{"status": "cancelled", "lineItems": [{"lineItemNumber": 2}]}', "800071", id="no such line"),
        pytest.param(
            b'{"status": "cancelled", "lineItems": [{"lineItemNumber": 0}, {"lineItemNumber": -1}]}',
            "800071",
            id="one line of two missing",
        ),
        pytest.param(
            f'{{"status": "cancelled", "lineItems": [{{"lineItemNumber": 1, "offerId": "{SQL}"}}]}}'.encode(),
            "800002",
            id="another line's offer",
        ),
    ],
)
def test_a_patch_that_makes_no_sense_changes_nothing(
    http: httpx.Client, partner_center: PartnerCenter, body: bytes, code: str | int
) -> None:
    before = partner_center.order(TWO_LINES)

    answer = http.patch(path_of(TWO_LINES), content=body, headers=bearer(**{"Content-Type": "application/json"}))

    assert status_and_code(answer) == (400, code)
    assert partner_center.order(TWO_LINES) == before


@pytest.mark.usefixtures("partner_center")
def test_an_unknown_status_has_the_answer_that_users_have_reported(http: httpx.Client) -> None:
    """Its code is a number, and its source is PartnerFD."""
    answer = cancel(http, TWO_LINES, body={"id": TWO_LINES, "status": "none"})

    assert answer.json() == {
        "code": 0,
        "description": "The provided value 'none' is not a valid OrderStatus.",
        "data": [],
        "source": "PartnerFD",
    }
