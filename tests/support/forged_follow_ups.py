"""Follow-ups as a test puts them into the queue, markers of notes, and the audit events of tickets."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.tickets.follow_up import FollowUp
from tests.conftest import CUSTOMER
from tests.support.local_cloud import Json

GUID = "bd59b416-37f9-4d8f-8df3-5750111fc615"
UNKNOWN_ORDER = "no-such-order-000000000000000001"  # each look at it says order_not_found
EVENTS = {"told", "poisoned", "still_open", "not_told"}


def message(caller: str, ticket_id: str, **changes: Any) -> Json:
    """Return a follow-up of a request that was refused, so that it is told whatever the look shows."""
    request = {"customerTenantId": CUSTOMER, "orderId": UNKNOWN_ORDER, "account": "default", "dryRun": False}
    return {
        "caller": caller,
        "ticketId": ticket_id,
        "request": request,
        "code": "not_cancellable",
        "decidedAt": round(time.time(), 3),
        "correlationId": GUID,
        "looks": 0,
        "failures": 0,
        "reason": None,
    } | changes


def open_message(caller: str, ticket_id: str, order_id: str, **changes: Any) -> Json:
    """Return the intent of a request of which nobody knows how it ended."""
    request = {"customerTenantId": CUSTOMER, "orderId": order_id, "account": "default", "dryRun": False}
    return message(caller, ticket_id, **{"request": request, "code": None} | changes)


def key_of(content: Json) -> str:
    read = FollowUp.read(json.dumps(content).encode(), time.time())
    assert read
    return read.key


def marker(key: str, state: str, at: float) -> str:
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"[cancel-order {key} {state} {moment}]"


def ticket_events(caplog: pytest.LogCaptureFixture) -> list[Json]:
    """Return the audit events of tickets so far. *caplog* must take INFO of the logger `cancel_order.audit`."""
    lines = [record.getMessage() for record in caplog.records if record.name == "cancel_order.audit"]
    return [found for line in lines if (found := json.loads(line))["event"] in EVENTS]
