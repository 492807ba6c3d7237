"""Alerts, saved queries and queries to paste about tickets, run on records in the form of docs/audit.md."""

from datetime import UTC, datetime

import pytest

from shared.rfc3339 import rfc3339
from tests.support.kql import ALERTS, Traces, queries_to_paste
from tests.support.local_cloud import Json

CORRELATION_ID = "1438ea3d-b515-45c7-9ec1-27ee0cc8e6bd"
TOLD: Json = {
    "time": rfc3339(datetime(2026, 12, 1, tzinfo=UTC)),
    "event": "told",
    "caller": "helpdesk",
    "system": "zendesk",
    "ticketId": "48151",
    "state": "cancelled",
    "reason": None,
    "attempts": 1,
    "ageS": 31.5,
    "correlationId": CORRELATION_ID,
}
NOT_TOLD = TOLD | {"event": "not_told", "reason": "queue_unavailable", "ageS": None}
POISONED = TOLD | {"event": "poisoned", "state": "refused:not_cancellable", "reason": "ticket_not_found"}
UNREADABLE = POISONED | dict.fromkeys(("caller", "system", "ticketId", "state", "ageS", "correlationId"))
STILL_OPEN = TOLD | {"event": "still_open", "state": "still_open", "ageS": 112_000}
DECIDED: Json = {
    "time": TOLD["time"],
    "event": "decided",
    "account": "default",
    "orderId": "o-1",
    "lineItems": [0],
    "outcome": "pending",
    "ticketId": "48151",
    "correlationId": CORRELATION_ID,
}

EACH_ALERT = pytest.mark.parametrize(
    ("alert", "record", "age"),
    [("not-told", NOT_TOLD, 15), ("poisoned", POISONED, 8), ("still-open", STILL_OPEN, 15)],
)


def test_tickets_that_are_told_raise_no_alert() -> None:
    traces = Traces([(TOLD, age) for age in range(1, 40)])

    assert {alert: rows for alert in ALERTS if (rows := traces.run(alert))} == {}


@EACH_ALERT
def test_a_ticket_that_is_not_told_raises_its_alert_and_no_other(alert: str, record: Json, age: int) -> None:
    traces = Traces([(record, age), (TOLD, age)])

    assert [name for name in ALERTS if traces.run(name)] == [alert]
    [row] = traces.run(alert)
    for member in ("caller", "system", "ticketId", "state", "correlationId"):
        assert row[member] == record[member]


@EACH_ALERT
def test_each_record_is_in_one_run_of_the_alert_or_in_two(alert: str, record: Json, age: int) -> None:
    """*age* is in the middle of the time that the query covers."""
    every = {"poisoned": 5}.get(alert, 15)
    traces = Traces([(record | {"ticketId": str(minutes)}, minutes + 0.5) for minutes in range(60)])

    found = sorted(int(row["ticketId"]) for row in traces.run(alert))

    assert age in found
    assert found == list(range(found[0], found[-1] + 1)), "the time has no gap"
    assert every <= len(found) < 2 * every


def test_a_message_that_nobody_can_read_raises_the_alert() -> None:
    """It names no caller and no ticket; somebody else may have written it."""
    [row] = Traces([(UNREADABLE, 8)]).run("poisoned")

    assert (row["caller"], row["system"], row["reason"]) == ("", "", "ticket_not_found")


def test_the_workbook_counts_notes_by_system_and_state() -> None:
    notes = [TOLD, TOLD | {"ticketId": "2"}, TOLD | {"state": "dry_run"}, TOLD | {"system": "jira", "ticketId": "A-1"}]

    rows = Traces([(record, 1) for record in (*notes, *notes[:1], POISONED, DECIDED)]).run("tickets")

    assert {(row["system"], row["caller"], row["state"]): (row["notes"], row["tickets"]) for row in rows} == {
        ("zendesk", "helpdesk", "cancelled"): (3, 2),
        ("zendesk", "helpdesk", "dry_run"): (1, 1),
        ("jira", "helpdesk", "cancelled"): (1, 1),
    }


def test_the_workbook_shows_the_time_from_decision_to_note() -> None:
    late_by_design = [TOLD | {"state": state, "ageS": 90_000} for state in ("open", "still_open")]
    notes = [TOLD | {"ageS": age} for age in (2, 2, 2, 60)]

    [row] = Traces([(record, 1) for record in (*notes, *late_by_design)]).run("time-to-note")

    assert (row["system"], row["notes"], row["p50"], row["longest"]) == ("zendesk", 4, 2, 60)


def test_the_workbook_shows_why_tickets_were_not_told() -> None:
    rows = Traces([(record, 1) for record in (NOT_TOLD, POISONED, POISONED, STILL_OPEN, TOLD)]).run("untold")

    assert {row["event"]: (row["reason"], row["records"], row["tickets"]) for row in rows} == {
        "poisoned": ("ticket_not_found", 2, 1),
        "not_told": ("queue_unavailable", 1, 1),
        "still_open": ("", 1, 1),
    }


def test_everything_about_a_ticket_includes_its_notes() -> None:
    traces = Traces([(DECIDED, 3), (TOLD, 1), (TOLD | {"ticketId": "2"}, 1)])

    rows = traces.run("order", **{"ORDER-SUBSCRIPTION-OR-TICKET": "48151"})

    assert [(row["event"], row["system"], row["state"]) for row in rows] == [
        ("decided", "", ""),
        ("told", "zendesk", "cancelled"),
    ]


# docs/operate.md


@pytest.mark.parametrize(("alert", "record"), [("not-told", NOT_TOLD), ("poisoned", POISONED)])
def test_the_operator_finds_the_tickets_and_the_reason(alert: str, record: Json) -> None:
    rows = Traces([(record, 50), (record | {"ticketId": "2"}, 1), (TOLD, 1)]).rows(queries_to_paste()[alert])

    assert [row["ticketId"] for row in rows] == ["2", "48151"]
    assert {(row["state"], row["reason"]) for row in rows} == {(record["state"], record["reason"])}


def test_the_operator_finds_what_an_open_ticket_named() -> None:
    text = queries_to_paste()["still-open"].replace("CORRELATION-ID", CORRELATION_ID)
    another = DECIDED | {"correlationId": "another"}

    rows = Traces([(STILL_OPEN, 15), (DECIDED, 1900), (another, 1900)]).rows(text)

    assert [(row["event"], row["orderId"], row["state"]) for row in rows] == [
        ("decided", "o-1", ""),
        ("still_open", "", "still_open"),
    ]
    assert (rows[0]["account"], rows[0]["lineItems"]) == ("default", "[0]")
