"""Follow-ups and orders, for tests of what tickets are told."""

import json
from typing import Any

from shared.contract import LineItem, OrderState
from shared.tickets.follow_up import FollowUp

NOW = 1_796_000_000.0
GUID = "bd59b416-37f9-4d8f-8df3-5750111fc615"
ORDER_ID = "UKXASSO1dezh3HdxClHxSp5UEFXGbAnt1"
REQUEST = {"customerTenantId": GUID, "orderId": ORDER_ID, "ticketId": "35436", "account": "default", "dryRun": False}
MESSAGE: dict[str, Any] = {
    "caller": "zendesk",
    "ticketId": "35436",
    "request": REQUEST,
    "code": None,
    "decidedAt": NOW,
    "correlationId": GUID,
    "looks": 0,
    "failures": 0,
    "reason": None,
}


def read(**changes: Any) -> FollowUp | None:
    return FollowUp.read(json.dumps(MESSAGE | changes).encode(), NOW)


def follow_up(**changes: Any) -> FollowUp:
    found = read(**changes)
    assert found is not None
    return found


def line(number: int | None, *, cancelled: bool = False, ends: bool | None = None) -> LineItem:
    return LineItem(
        line_item_number=number,
        offer_id="a",
        friendly_name="A",
        quantity=1,
        term_duration=None,
        subscription_id=None,
        cancelled=cancelled,
        ends_at_term=ends,
    )


def order(*lines: LineItem, status: str | None = "completed") -> OrderState:
    return OrderState(
        order_id=ORDER_ID,
        alternate_id=None,
        customer_tenant_id=GUID,
        status=status,
        billing_cycle=None,
        currency_code=None,
        creation_date=None,
        cancelled_line_items=[],
        line_items=list(lines),
    )
