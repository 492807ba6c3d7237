"""Orders whose answers can surprise a client."""

import json

import httpx
import pytest

from infra.local.partner_center.entries import Entry, ProductKind
from infra.local.partner_center.orders import SHOWS_LATER_S
from infra.local.partner_center.server import PartnerCenter
from tests.support.built_in_orders import built_in
from tests.support.clock import Clock
from tests.support.local_cloud import Json
from tests.support.partner_center import (
    CUSTOMER,
    FIRST_LINE,
    OpenPartnerCenter,
    bearer,
    cancel,
    path_of,
    quantities,
    status_and_code,
)


def test_an_order_keeps_the_upper_and_lower_case_of_its_names(
    http: httpx.Client, partner_center: PartnerCenter
) -> None:
    order_id = built_in("pascal-case")
    before = partner_center.order(order_id)
    assert before

    body = {"id": order_id, "status": "cancelled", "lineItems": [FIRST_LINE]}
    answer = cancel(http, order_id, body=body).json()

    assert set(answer) == set(before)
    assert (answer["Status"], [line["Quantity"] for line in answer["LineItems"]]) == ("completed", [0, 1])
    assert cancel(http, order_id).json()["Status"] == "cancelled"


@pytest.mark.parametrize(("order", "name"), [({"id": "NO-STATUS"}, "status"), ({"Id": "NO-STATUS"}, "Status")])
def test_an_order_without_a_status_gets_one(
    http: httpx.Client, open_partner_center: OpenPartnerCenter, order: Json, name: str
) -> None:
    open_partner_center([Entry(order, CUSTOMER, ProductKind.SOFTWARE, "")])

    assert cancel(http, "NO-STATUS").json() == order | {name: "cancelled"}


@pytest.mark.usefixtures("partner_center")
def test_answers_of_one_order_begin_with_a_bom(http: httpx.Client) -> None:
    order_id = built_in("begins-with-a-bom")

    answers = [http.get(path_of(order_id), headers=bearer()), cancel(http, order_id)]

    for answer in answers:
        assert answer.content.startswith(b"\xef\xbb\xbf{")
    assert json.loads(answers[1].content)["status"] == "cancelled"


@pytest.mark.parametrize(
    ("name", "status", "second"), [("shows-later", 200, (400, "800061")), ("accepted", 202, (409, "800060"))]
)
def test_a_change_may_show_later(
    http: httpx.Client, partner_center: PartnerCenter, clock: Clock, name: str, status: int, second: tuple[int, str]
) -> None:
    """Until then a second PATCH is refused, and the order looks as if nothing had happened."""
    order_id = built_in(name)
    before = partner_center.order(order_id)

    answer = cancel(http, order_id, body={"id": order_id, "status": "cancelled", "lineItems": [FIRST_LINE]})

    assert answer.status_code == status
    assert answer.content == b"" if status == 202 else answer.json() == before
    assert answer.headers.get("location") == (path_of(order_id) if status == 202 else None)
    assert http.get(path_of(order_id), headers=bearer()).json() == before
    assert status_and_code(cancel(http, order_id)) == second
    assert http.get(path_of(order_id), headers=bearer()).json() == before
    clock.now += SHOWS_LATER_S
    assert quantities(http.get(path_of(order_id), headers=bearer()).json()) == [0, 1]


def test_an_order_may_never_change(http: httpx.Client, partner_center: PartnerCenter, clock: Clock) -> None:
    order_id = built_in("never-changes")
    before = partner_center.order(order_id)

    assert cancel(http, order_id).status_code == 200

    clock.now += 3600
    assert partner_center.order(order_id) == before
