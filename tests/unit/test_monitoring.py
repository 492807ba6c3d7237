"""Alerts, saved queries and the workbook fit the audit record, the outcomes and codes, and each other.

tests/e2e/test_monitoring.py runs the queries on records that the function logs.
"""

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from shared.contract import Outcome
from shared.credentials.health import AccountHealth
from shared.errors import all_codes
from tests.support.bicep import INFRA, ROOT, parse
from tests.support.kql import ALERTS, QUERIES, Traces, queries_to_paste, query

ALERTS_BICEP = parse(INFRA / "monitoring/alerts.bicep")["variables"]
WORKBOOK_BICEP = parse(INFRA / "monitoring/workbook.bicep")["variables"]
RULES: dict[str, Any] = {rule["name"]: rule for rule in ALERTS_BICEP["alerts"]["value"]}
SAVED_QUERIES = [*WORKBOOK_BICEP["queries"]["value"], *WORKBOOK_BICEP["orderQuery"]["value"]]

# The schemas of audit records are the only JSON blocks with a "$schema" in the documents.
[FOUND_SCHEMA, SCHEMA] = [
    json.loads(block)
    for page in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
    for block in re.findall(r"```json\n(.*?)```", page.read_text(), re.DOTALL)
    if "$schema" in json.loads(block)
]
HEALTH_MEMBERS = {str(field.alias) for field in AccountHealth.model_fields.values()} - {"detail"}
ABOUT_TICKETS = (ROOT / "docs/audit.md").read_text().partition("## Records about tickets\n")[2].partition("\n## ")[0]
TICKET_MEMBERS = set(re.findall(r"^\| `(\w+)` \|", ABOUT_TICKETS, re.MULTILINE))
STATES = set(re.findall(r"`([a-z_]+)(?::CODE)?`", re.findall(r"^\| `state` \|.*$", ABOUT_TICKETS, re.MULTILINE)[0]))
MEMBERS = {
    "sending": set(SCHEMA["properties"]),
    "decided": set(SCHEMA["properties"]),
    "not_stored": {"time", "event", "account"},
    "found": set(FOUND_SCHEMA["properties"]),
    "health": {"time", "event", "account", *HEALTH_MEMBERS},
    **dict.fromkeys(("told", "not_told", "poisoned", "still_open"), TICKET_MEMBERS),
}
ROUTES = set(SCHEMA["properties"]["route"]["enum"]) - {None}
WHEN = set(SCHEMA["properties"]["when"]["enum"]) - {None}
VALUES = {*Outcome, *(code for code, _ in all_codes()), *MEMBERS, *ROUTES, *WHEN, *STATES}
OTHER_TEXTS = {'{"time"', "day", "ORDER-SUBSCRIPTION-OR-TICKET", '"'}

# The values that Azure allows for windowSize and evaluationFrequency of a log alert.
TIMES = (
    {f"PT{minutes}M": timedelta(minutes=minutes) for minutes in (5, 10, 15, 30, 45)}
    | {f"PT{hours}H": timedelta(hours=hours) for hours in range(1, 7)}
    | {"P1D": timedelta(days=1)}
)

EACH_ALERT = pytest.mark.parametrize("name", ALERTS)
EACH_QUERY = pytest.mark.parametrize("name", [*ALERTS, *QUERIES])


def file_of(load_text_content: Any) -> str:
    """Return the path in a call of Bicep's loadTextContent."""
    return str(load_text_content["function"]["parameters"]["file_path"])


def minutes_ago(text: str) -> list[int]:
    return [int(minutes) for minutes in re.findall(r"ago\((\d+)m\)", text)]


def test_every_query_file_is_used_under_its_own_name() -> None:
    assert sorted(RULES) == ALERTS
    assert sorted(saved["name"] for saved in SAVED_QUERIES) == QUERIES
    assert {name: file_of(rule["query"]) for name, rule in RULES.items()} == {
        name: f"alerts/{name}.kql" for name in ALERTS
    }
    assert {saved["name"]: file_of(saved["text"]) for saved in SAVED_QUERIES} == {
        name: f"queries/{name}.kql" for name in QUERIES
    }


@EACH_QUERY
def test_a_query_runs_and_starts_with_a_comment(name: str) -> None:
    assert query(name).startswith("// ")
    assert Traces().columns(name)


@EACH_QUERY
def test_a_query_names_members_that_its_records_have(name: str) -> None:
    """Kusto reads a missing member as null, so an alert on a misspelt member would never fire."""
    text = query(name)
    events = set(re.findall(r"'(\w+)'", " ".join(re.findall(r"event\)? (?:==|in) .*", text)))) & MEMBERS.keys()
    used = set(re.findall(r"\brecord\.(\w+)", text))

    assert used, "the pattern above finds no members in this query"
    assert events or name == "order"
    for event in events:
        assert used <= MEMBERS[event], event
    assert used <= set().union(*MEMBERS.values())


@EACH_QUERY
def test_a_query_compares_with_outcomes_codes_and_events_that_exist(name: str) -> None:
    code = "\n".join(line.partition("//")[0] for line in query(name).splitlines())

    assert set(re.findall(r"'([^']*)'", code)) - VALUES - OTHER_TEXTS == set()


@EACH_ALERT
def test_an_alerts_window_covers_the_time_in_its_query(name: str) -> None:
    rule = RULES[name]
    times = minutes_ago(query(name))

    assert TIMES[rule["every"]] <= TIMES[rule["window"]]
    assert timedelta(minutes=max(times, default=0)) <= TIMES[rule["window"]]
    assert rule["severity"] in range(4)


@EACH_ALERT
def test_an_alert_about_orders_or_tickets_misses_none(name: str) -> None:
    """The query covers more time than there is between two runs."""
    rule = RULES[name]
    if rule["dimensions"] not in ("byOrder", "byTicket", "byCause"):
        assert minutes_ago(query(name)) == []
        assert rule["resolves"] is True
        return
    first, last = minutes_ago(query(name))

    assert timedelta(minutes=first - last) > TIMES[rule["every"]]
    assert timedelta(minutes=first - last) < 2 * TIMES[rule["every"]], "one order would raise the alert three times"
    assert rule["resolves"] is False, "a person must close it: that the query no longer finds the order proves nothing"


def test_a_ticket_that_cannot_be_told_is_seen_within_minutes() -> None:
    """The longest wait is the end of the query's time, and the time until the next run."""
    _, last = minutes_ago(query("poisoned"))

    assert timedelta(minutes=last) + TIMES[RULES["poisoned"]["every"]] <= timedelta(minutes=10)


@EACH_ALERT
def test_an_alert_is_split_by_columns_that_its_query_has(name: str) -> None:
    columns = Traces().columns(name)
    by = {
        "byOrder": ALERTS_BICEP["order"]["value"],
        "byTicket": ALERTS_BICEP["ticket"]["value"],
        "byCause": ALERTS_BICEP["cause"]["value"],
        "byAccount": [dimension["name"] for dimension in ALERTS_BICEP["byAccount"]["value"]],
    }

    chosen = RULES[name]["dimensions"]

    assert max(map(len, by.values())) <= 6, "Azure allows no more dimensions"
    assert set(by[chosen] if chosen else []) <= set(columns)


def test_throttling_raises_an_alert_after_a_quarter_of_an_hour() -> None:
    rule = RULES["throttled"]

    assert rule["periods"] * TIMES[rule["window"]] == timedelta(minutes=15)
    assert {other["periods"] for name, other in RULES.items() if name != "throttled"} == {1}


@EACH_ALERT
def test_an_alert_says_what_to_do_first(name: str) -> None:
    """Its mail has only the title and this text."""
    assert RULES[name]["title"]
    assert RULES[name]["firstStep"].endswith(".")


def test_the_workbook_shows_every_saved_query_except_the_one_for_an_order() -> None:
    charts = WORKBOOK_BICEP["charts"]["value"]

    assert charts["loop_type"]["detail"] == {"item_name": "query", "array_name": "queries"}
    assert charts["config"]["content"]["timeContextFromParameter"] == "TimeRange"
    assert [saved["name"] for saved in WORKBOOK_BICEP["orderQuery"]["value"]] == ["order"]
    assert {saved["chart"] for saved in SAVED_QUERIES} <= {"table", "barchart", "linechart"}


# docs/operate.md

TO_PASTE = queries_to_paste()
NAMES = {"ACCOUNT", "REQUEST-ID", "CORRELATION-ID"}


def test_each_alert_has_a_query_to_paste() -> None:
    assert TO_PASTE.keys() == {*ALERTS, "unavailable"}


def test_the_queries_about_an_order_are_the_same() -> None:
    """The alerts lead to one another."""
    by_order = [name for name, rule in RULES.items() if rule["dimensions"] == "byOrder"]

    assert len({" ".join(TO_PASTE[name].split()) for name in by_order}) == 1


@pytest.mark.parametrize("alert", sorted(TO_PASTE))
def test_a_query_to_paste_names_what_its_records_have(alert: str) -> None:
    text = TO_PASTE[alert]
    used = set(re.findall(r"\brecord\.(\w+)", text))
    events = set(re.findall(r"'(\w+)'", " ".join(re.findall(r"event\)? (?:==|in) .*", text)))) & MEMBERS.keys()

    assert Traces().rows(text) == [] or alert == "unavailable"
    for event in events:
        assert used <= MEMBERS[event], event
    assert used <= set().union(*MEMBERS.values())
    assert set(re.findall(r"'([^']*)'", text)) - VALUES - {'{"time"', *NAMES} == set()


def test_the_query_about_the_availability_test_shows_its_last_results() -> None:
    rows = Traces().rows(TO_PASTE["unavailable"])

    assert [(row["location"], row["success"], row["message"]) for row in rows] == [("West Europe", "0", "401")]
