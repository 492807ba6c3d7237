"""The form of an answer: the normalized order, or a problem."""

import json

import pytest

from tests.conftest import CUSTOMER
from tests.support.in_process import App, respond
from tests.support.local_cloud import LocalCloud, software_order

LINE_MEMBERS_OF_SUBSCRIPTIONS = (
    *(
        "code",
        "cancellable",
        "subscriptionStatus",
        "autoRenew",
        "termEndsOn",
        "endsAtTerm",
        "replaces",
        "cancellableUntil",
        "refund",
    ),
)

pytestmark = pytest.mark.anyio


async def test_the_answer_is_the_normalized_order(app: App, cloud: LocalCloud, order_id: str) -> None:
    answer = await app.post(
        {
            "customerTenantId": CUSTOMER,
            "orderId": order_id,
            "lineItems": [{"lineItemNumber": 0}],
            "ticketId": "ZD-48151",
            "reason": "wrong edition",
        }
    )

    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    [_, patch] = cloud.requests("partner_center")
    offers = [line["offerId"] for line in cloud.order(order_id)["lineItems"]]
    assert answer.body == {
        "outcome": "partially_cancelled",
        "message": "Software 0 is cancelled. Other products of the order are not cancelled: Software 1 and Software 2.",
        "orderId": order_id,
        "subscriptionId": None,
        "when": "now",
        "alternateId": order_id[:6] + "000000",
        "customerTenantId": CUSTOMER,
        "status": "completed",
        "billingCycle": "one_time",
        "currencyCode": "USD",
        "creationDate": "2026-11-19T17:33:56.130649Z",
        "dryRun": False,
        "cancelledLineItems": [0],
        "lineItems": [
            {
                "lineItemNumber": number,
                "offerId": offers[number],
                "friendlyName": f"Software {number}",
                "quantity": 0 if number == 0 else 1,
                "termDuration": "P3Y",
                "subscriptionId": None,
                "cancelled": number == 0,
                **dict.fromkeys(LINE_MEMBERS_OF_SUBSCRIPTIONS),
            }
            for number in range(3)
        ],
        "account": "default",
        "ticketId": "ZD-48151",
        "requestId": patch["headers"]["ms-requestid"],
        "correlationId": patch["headers"]["ms-correlationid"],
    }


async def test_ticket_and_reason_do_not_reach_microsoft(app: App, cloud: LocalCloud, order_id: str) -> None:
    """Both are for the partner's own records."""
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": "ZD-48151", "reason": "wrong edition"}

    await app.post(body)

    assert "PATCH" in cloud.methods()
    assert "ZD-48151" not in str(cloud.requests())
    assert "wrong edition" not in str(cloud.requests())


async def test_half_characters_in_an_order_do_not_break_the_answer(app: App, cloud: LocalCloud, order_id: str) -> None:
    order = software_order(order_id, CUSTOMER, status="cancelled")
    order["lineItems"][0]["friendlyName"] = "Snow \ud83d"
    cloud.fault(method="PATCH", body=json.dumps(order))

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.status == 200
    assert answer.body["lineItems"][0]["friendlyName"] == "Snow ?"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [("*/*", "application/json"), ("application/problem+json, */*", "application/problem+json")],
)
async def test_a_problem_is_json_unless_the_problem_type_is_asked_for(app: App, accept: str, media_type: str) -> None:
    """Logic Apps encodes every other type in base64."""
    response = await respond(lambda: app.runtime, b"", accept=accept)

    assert response.mimetype == media_type
