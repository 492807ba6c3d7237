"""Alerts, saved queries and workbook: that they fit the audit record, the code's words, and each other.

tests/e2e/test_monitoring.py runs them on what the function logs.
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
from tests.support.kql import ALERTS, QUERIES, Traces, query

ALERTING = parse(INFRA / "monitoring/alerts.bicep")["variables"]
SHOWING = parse(INFRA / "monitoring/workbook.bicep")["variables"]
RULES: dict[str, Any] = {rule["name"]: rule for rule in ALERTING["alerts"]["value"]}
SAVED = [*SHOWING["queries"]["value"], *SHOWING["orderQuery"]["value"]]

README = (ROOT / "docs/audit.md").read_text()
[SCHEMA] = [
    schema for text in re.findall(r"```json\n(.*?)```", README, re.DOTALL) if "$schema" in (schema := json.loads(text))
]
OF_HEALTH = {str(field.alias) for field in AccountHealth.model_fields.values()} - {"detail"}
MEMBERS = {
    "sending": set(SCHEMA["properties"]),
    "decided": set(SCHEMA["properties"]),
    "not_stored": {"time", "event", "account"},
    "health": {"time", "event", "account", *OF_HEALTH},
}
WORDS = {*Outcome, *(code for code, _ in all_codes()), *MEMBERS}
OTHER_WORDS = {'{"time"', "day", "ORDER-OR-TICKET"}

# What Azure takes as windowSize and evaluationFrequency of a log alert.
TIMES = (
    {f"PT{minutes}M": timedelta(minutes=minutes) for minutes in (5, 10, 15, 30, 45)}
    | {f"PT{hours}H": timedelta(hours=hours) for hours in range(1, 7)}
    | {"P1D": timedelta(days=1)}
)

EACH_ALERT = pytest.mark.parametrize("name", ALERTS)
EACH = pytest.mark.parametrize("name", [*ALERTS, *QUERIES])


def file_of(loaded: Any) -> str:
    return str(loaded["function"]["parameters"]["file_path"])


def minutes(text: str) -> list[int]:
    return [int(found) for found in re.findall(r"ago\((\d+)m\)", text)]


def test_every_query_is_in_use_under_its_own_name() -> None:
    assert sorted(RULES) == ALERTS
    assert sorted(one["name"] for one in SAVED) == QUERIES
    assert {name: file_of(rule["query"]) for name, rule in RULES.items()} == {
        name: f"alerts/{name}.kql" for name in ALERTS
    }
    assert {one["name"]: file_of(one["text"]) for one in SAVED} == {name: f"queries/{name}.kql" for name in QUERIES}


@EACH
def test_a_query_runs_and_starts_by_saying_what_it_is_for(name: str) -> None:
    assert query(name).startswith("// ")
    assert Traces().columns(name)


@EACH
def test_a_query_names_members_that_its_records_have(name: str) -> None:
    """Kusto takes a member that is not there for null, and an alert on it would never fire."""
    text = query(name)
    events = set(re.findall(r"'(\w+)'", " ".join(re.findall(r"event\)? (?:==|in) .*", text)))) & MEMBERS.keys()
    used = set(re.findall(r"\brecord\.(\w+)", text))

    assert used, "or the pattern no longer finds them"
    assert events or name == "order"
    for event in events:
        assert used <= MEMBERS[event], event
    assert used <= set().union(*MEMBERS.values())


@EACH
def test_a_query_speaks_of_outcomes_codes_and_events_that_exist(name: str) -> None:
    code = "\n".join(line.partition("//")[0] for line in query(name).splitlines())

    assert set(re.findall(r"'([^']*)'", code)) - WORDS - OTHER_WORDS == set()


@EACH_ALERT
def test_an_alert_looks_at_as_much_as_its_query_does(name: str) -> None:
    rule = RULES[name]
    times = minutes(query(name))

    assert TIMES[rule["every"]] <= TIMES[rule["window"]]
    assert timedelta(minutes=max(times, default=0)) <= TIMES[rule["window"]]
    assert rule["severity"] in range(4)


@EACH_ALERT
def test_an_alert_about_an_order_is_raised_for_every_order(name: str) -> None:
    """The stretch of time that the query looks at is longer than the time from one look to the next."""
    rule = RULES[name]
    if rule["dimensions"] != "byOrder":
        assert minutes(query(name)) == []
        assert rule["resolves"] is True
        return
    first, last = minutes(query(name))

    assert timedelta(minutes=first - last) > TIMES[rule["every"]]
    assert first - last < 2 * 15, "or one order would be told of three times"
    assert rule["resolves"] is False, "that the query no longer finds it does not mean that somebody looked"


@EACH_ALERT
def test_an_alert_is_split_by_columns_that_its_query_has(name: str) -> None:
    columns = Traces().columns(name)
    by = {
        "byOrder": ALERTING["order"]["value"],
        "byAccount": [one["name"] for one in ALERTING["byAccount"]["value"]],
    }

    chosen = RULES[name]["dimensions"]

    assert len(by["byOrder"]) <= 6, "Azure takes no more"
    assert set(by[chosen] if chosen else []) <= set(columns)


def test_throttling_is_told_of_after_a_quarter_of_an_hour() -> None:
    rule = RULES["throttled"]

    assert rule["periods"] * TIMES[rule["window"]] == timedelta(minutes=15)
    assert {one["periods"] for name, one in RULES.items() if name != "throttled"} == {1}


def test_the_workbook_shows_every_saved_query_but_that_for_one_order() -> None:
    charts = SHOWING["charts"]["value"]

    assert charts["loop_type"]["detail"] == {"item_name": "query", "array_name": "queries"}
    assert charts["config"]["content"]["timeContextFromParameter"] == "TimeRange"
    assert [one["name"] for one in SHOWING["orderQuery"]["value"]] == ["order"]
    assert {one["chart"] for one in SAVED} <= {"table", "barchart", "linechart"}
