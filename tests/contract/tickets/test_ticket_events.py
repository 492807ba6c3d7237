"""Real records about tickets have the form of the table in docs/audit.md, and raise the alerts that read them."""

import json
import re
import time
from datetime import datetime
from typing import Any

import pytest

from shared.audit import ID_SHOWN
from shared.caller_settings import MEMBERS_OF_TELL
from tests.conftest import CUSTOMER
from tests.support.kql import Traces
from tests.support.local_cloud import ROOT, Json, LocalCloud
from tests.support.telling import TICKET_EVENTS, TellingApp, Tickets, post_as, tell, ticket_records

pytestmark = pytest.mark.anyio

PAGE = (ROOT / "docs/audit.md").read_text().partition("## Records about tickets\n")[2].partition("\n## ")[0]
ROWS = {
    name: (types, text) for name, types, text in re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|", PAGE, re.MULTILINE)
}
TYPES: dict[str, tuple[type, ...]] = {"text": (str,), "integer": (int,), "number": (int, float), "null": (type(None),)}
ABOUT_TICKETS = ("not-told", "poisoned", "still-open")  # a unit test runs the other alerts on such records
GUID = "1438ea3d-b515-45c7-9ec1-27ee0cc8e6bd"


def check_form(record: Json) -> None:
    """Fail unless *record* is as the page says."""
    assert list(record) == list(ROWS)
    for name, (types, _) in ROWS.items():
        allowed = [kind for word in types.split(" or ") for kind in TYPES[word.strip()]]
        assert type(record[name]) in allowed, name
    for name in ("event", "state"):
        text = str(record[name]).partition(":")[0]
        assert record[name] is None or re.search(f"`{text}(:CODE)?`", ROWS[name][1]), record[name]
    assert record["system"] is None or f"`{record['system']}`" in ROWS["system"][1]
    assert datetime.fromisoformat(record["time"]).tzinfo
    assert record["reason"] is None or re.fullmatch(r"[a-z_]+", record["reason"])
    assert (record["reason"] is None) is (record["event"] in {"told", "still_open"})
    assert record["attempts"] >= 1
    assert record["correlationId"] is None or re.fullmatch(r"[0-9a-f-]{36}", record["correlationId"])


def records_of(caplog: pytest.LogCaptureFixture) -> list[Json]:
    found = ticket_records(caplog)
    for record in found:
        check_form(record)
    return found


def message(order_id: str, ticket_id: str, **members: Any) -> str:
    request = {"customerTenantId": CUSTOMER, "orderId": order_id, "account": "default", "dryRun": False}
    return json.dumps(
        {
            "caller": "zendesk",
            "ticketId": ticket_id,
            "request": request,
            "code": None,
            "decidedAt": time.time() - 90_000,
            "correlationId": GUID,
            "looks": 0,
            "failures": 0,
            "reason": None,
        }
        | members
    )


async def make_told(app: TellingApp, order_id: str, ticket_id: str) -> None:
    await post_as(app, "zendesk", {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": ticket_id})
    await tell(app)


async def make_not_told(app: TellingApp, cloud: LocalCloud, order_id: str, ticket_id: str) -> None:
    cloud.fault(service="queue", status=500, times=3)
    await post_as(app, "zendesk", {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": ticket_id})


async def test_each_event_raises_its_alert(
    telling_app: TellingApp,
    telling_cloud: LocalCloud,
    tickets: Tickets,
    caplog: pytest.LogCaptureFixture,
    order_id: str,
    ticket_id: str,
) -> None:
    tickets.forge(message(order_id, ticket_id, looks=6))
    tickets.forge(message(order_id, ticket_id, caller="nobody", code="not_cancellable"))
    await tell(telling_app)  # before the order is cancelled
    await make_told(telling_app, order_id, ticket_id)
    await make_not_told(telling_app, telling_cloud, order_id, ticket_id)

    found = {(record["event"], record["state"]): record for record in records_of(caplog)}

    assert {event for event, _ in found} == set(TICKET_EVENTS)
    alerts = {
        ("not_told", "cancelled"): ["not-told"],
        ("poisoned", None): ["poisoned"],
        ("still_open", "still_open"): ["still-open"],
        ("told", "still_open"): [],
        ("told", "cancelled"): [],
    }
    assert found.keys() == alerts.keys()
    for key, expected in alerts.items():
        raised = {alert for minutes in (8, 15) for alert in ABOUT_TICKETS if Traces([(found[key], minutes)]).run(alert)}
        assert sorted(raised) == expected


async def test_a_message_that_cannot_be_read_has_its_record(
    telling_app: TellingApp, tickets: Tickets, caplog: pytest.LogCaptureFixture
) -> None:
    tickets.forge("no JSON")

    await tell(telling_app)

    [record] = records_of(caplog)
    assert (record["event"], record["reason"]) == ("poisoned", "message_unreadable")
    for name in ("caller", "system", "ticketId", "state", "ageS", "correlationId"):
        assert record[name] is None


@pytest.mark.parametrize("system", ["zendesk", "freshdesk", "freshservice", "jira", "standard-webhooks"])
async def test_each_system_has_its_name_in_the_record(
    telling_app: TellingApp, caplog: pytest.LogCaptureFixture, ticket_id: str, system: str
) -> None:
    own_id = f"IT-{ticket_id}" if system == "jira" else ticket_id
    answer = await post_as(telling_app, system, {"orderId": "x", "ticketId": own_id})
    await tell(telling_app)

    [record] = records_of(caplog)
    assert (record["event"], record["state"]) == ("told", "refused:invalid_request")
    assert (record["caller"], record["ticketId"], record["attempts"]) == (system, own_id, 1)
    assert record["system"] == {"standard-webhooks": "webhook"}.get(system, system) in MEMBERS_OF_TELL
    assert record["correlationId"] == answer.body["correlationId"]
    assert 0 <= record["ageS"] < 600


async def test_attempts_are_counted_until_the_ticket_is_told(
    telling_app: TellingApp,
    telling_cloud: LocalCloud,
    tickets: Tickets,
    caplog: pytest.LogCaptureFixture,
    ticket_id: str,
) -> None:
    await post_as(telling_app, "freshdesk", {"orderId": "x", "ticketId": ticket_id})
    telling_cloud.fault(service="ticketing", status=503, times=2)
    for _ in range(3):
        await tell(telling_app)
        tickets.wake()

    [record] = records_of(caplog)
    assert (record["event"], record["attempts"]) == ("told", 3)


async def test_an_id_that_is_none_is_cut_and_without_credentials(
    telling_app: TellingApp, caplog: pytest.LogCaptureFixture
) -> None:
    for ticket_id in ("x" * 5_000, "Bearer eyJhbGciOi.eyJhdWQi.PLANTED", "😀" * 5_000):
        await post_as(telling_app, "zendesk", {"orderId": "x", "ticketId": ticket_id})

    found = [record["ticketId"] for record in records_of(caplog)]
    assert found[0] == "x" * (ID_SHOWN - 1) + "…"
    assert found[1] == "…"
    assert found[2].endswith("…")
    assert all(len(line.getMessage()) < 31_000 for line in caplog.records if line.name == "cancel_order.audit")
