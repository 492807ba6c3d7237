"""The operator's alerts and queries on records that the function really logged, aged as each case wants them."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared import audit
from tests.conftest import CUSTOMER
from tests.support.kql import ALERTS, Traces
from tests.support.local_cloud import LocalCloud

LIMIT_S = 20

type Json = dict[str, Any]


class Logged:
    """One call of each kind, and one look at the health of every account, as the audit log has them."""

    def __init__(self, cloud: LocalCloud, order_ids: Iterator[str]) -> None:
        self.cloud = cloud
        self.order_ids = order_ids
        self.sending: dict[str, Json] = {}
        self.decided: dict[str, Json] = {}
        self.cancelled = self.call(ticketId="ZD-7")
        self.refused = self.call("not_cancellable", {"status": 400, "body": {"code": 800040, "description": "no"}})
        down = {"method": "GET", "status": 503, "headers": {"Retry-After": "0"}, "times": 4}
        self.failed = self.call("partner_center_unavailable", down, dryRun=True)
        self.pending = self.call("pending", {"method": "PATCH", "body": "garbage"}, down)
        lost = {"method": "PATCH", "hang_up": "after"}, {"method": "PATCH", "status": 404}
        self.unknown = self.call("outcome_unknown", *lost, down)
        # At an account of its own: for the second that was asked for, its calls are turned away.
        slow_down = {"status": 429, "headers": {"Retry-After": "1"}, "times": 4}
        self.throttled = self.call("throttled", slow_down, account="secret-china", wait="1")
        self.health = self.look()

    def call(self, word: str = "cancelled", *faults: Json, wait: str = "8", **more: object) -> Json:
        """Return the record of a call that was to end in *word*."""
        self.cloud.forget()
        for fault in faults:
            self.cloud.fault(**fault)
        body = {"customerTenantId": CUSTOMER, "orderId": next(self.order_ids), "account": "default"} | more

        answer = self.cloud.post(body, prefer=f"wait={wait}").json()

        assert (answer.get("outcome") or answer["code"]) == word, answer
        request_id = answer["requestId"]
        found = self.wait(lambda record: record.get("requestId") == request_id and record["event"] == "decided")
        self.sending |= {one["orderId"]: one for one in self.records() if one["event"] == "sending"}
        return found

    def look(self) -> dict[str, Json]:
        self.cloud.forget()
        headers = {"x-functions-key": self.cloud.description["functionKey"]}
        answer = self.cloud.http.get(self.cloud.description["functionUrl"], headers=headers).json()
        last = list(answer["accounts"])[-1]
        self.wait(lambda record: record["event"] == "health" and record["account"] == last)
        return {one["account"]: one for one in self.records() if one["event"] == "health"}

    def records(self) -> list[Json]:
        lines = self.cloud.log.read_text().splitlines()
        return [json.loads(line[line.index("{") :]) for line in lines if " cancel_order.audit {" in line]

    def wait(self, wanted: Any) -> Json:
        deadline = time.monotonic() + LIMIT_S
        while not (found := [record for record in self.records() if wanted(record)]):
            assert time.monotonic() < deadline, "not logged"
            time.sleep(0.02)
        return found[-1]


@pytest.fixture(scope="module")
def logged(whole_cloud: LocalCloud, _order_ids: Iterator[str]) -> Iterator[Logged]:
    try:
        yield Logged(whole_cloud, _order_ids)
    finally:
        whole_cloud.forget()


@pytest.fixture
def healthy(logged: Logged) -> Json:
    return logged.health["default"]


def orders(rows: list[Json]) -> list[str]:
    return [row["orderId"] for row in rows]


def test_no_alert_is_raised_while_all_is_well(logged: Logged, healthy: Json) -> None:
    ages = (1, 12, 20, 60, 125, 130)
    records = [logged.cancelled, logged.refused, logged.sending[logged.cancelled["orderId"]], healthy]
    traces = Traces([(record, age) for record in records for age in ages])

    assert {name: rows for name in ALERTS if (rows := traces.run(name))} == {}


def test_a_call_that_was_sent_and_never_decided_is_found_by_its_order(logged: Logged) -> None:
    lost, done = logged.sending[logged.cancelled["orderId"]], logged.sending[logged.pending["orderId"]]

    traces = Traces([(lost, 15), (done, 15), (logged.pending, 15), (logged.refused, 14)])

    [row] = traces.run("sending-without-decided")
    for member in ("account", "customerTenantId", "orderId", "ticketId", "requestId", "correlationId"):
        assert row[member] == lost[member]
    assert Traces([(lost, 5)]).run("sending-without-decided") == [], "it may still be running"
    assert Traces([(lost, 40)]).run("sending-without-decided") == [], "told of already"


@pytest.mark.parametrize(
    ("alert", "kind", "age"), [("outcome-unknown", "unknown", 15), ("pending-not-followed-up", "pending", 125)]
)
def test_an_open_end_is_told_of_unless_a_later_call_has_found_out(
    logged: Logged, alert: str, kind: str, age: int
) -> None:
    opened: Json = getattr(logged, kind)
    later = logged.cancelled | {"orderId": opened["orderId"]}
    told = [opened["orderId"]]

    assert orders(Traces([(opened, age)]).run(alert)) == told
    assert orders(Traces([(opened, age), (later, age - 5)]).run(alert)) == []
    assert orders(Traces([(opened, age), (later, age + 5)]).run(alert)) == told, (
        "what was known before counts for nothing"
    )
    assert orders(Traces([(opened, age), (logged.cancelled, age - 5)]).run(alert)) == told, "another order's"
    assert orders(Traces([(opened, age), (logged.failed | later | {"outcome": None}, age - 5)]).run(alert)) == told
    assert orders(Traces([(opened, 5)]).run(alert)) == [], "too soon"


def test_a_refused_credential_is_told_of_by_account(logged: Logged) -> None:
    found = Traces((record, 3) for record in logged.health.values()).run("credentials-rejected")

    codes = {row["account"]: row["code"] for row in found}
    assert codes["expired"] == "credentials_rejected"
    assert codes["no-secret"] == "misconfigured"
    refused = ("credentials_rejected", "misconfigured")
    assert codes == {name: one["code"] for name, one in logged.health.items() if one["code"] in refused}


def test_an_account_without_a_token_is_told_of_at_the_second_look(logged: Logged, healthy: Json) -> None:
    """Refused credentials have an alert of their own."""
    ill = logged.health["entra-unreachable"]

    assert Traces([(ill, 3), (healthy, 3), (healthy, 8)]).run("unhealthy") == []
    [row] = Traces([(ill, 3), (ill, 8)]).run("unhealthy")
    assert (row["account"], row["code"], row["records"]) == ("entra-unreachable", "credentials_unavailable", 2)
    assert Traces([(logged.health["expired"], 3), (logged.health["expired"], 8)]).run("unhealthy") == []


def test_a_credential_that_ends_soon_is_told_of_from_its_newest_record(logged: Logged) -> None:
    dated = logged.health["user-global"]
    soon = (datetime.now(UTC) + timedelta(days=13)).isoformat().replace("+00:00", "Z")

    assert dated["expiresOn"], "or the case shows nothing"
    assert Traces([(dated, 3)]).run("credential-expiring") == []
    [row] = Traces([(dated, 9), (dated | {"expiresOn": soon}, 3)]).run("credential-expiring")
    assert (row["account"], row["credential"]) == ("user-global", "refreshToken")
    assert Traces([(dated, 3), (dated | {"expiresOn": soon}, 9)]).run("credential-expiring") == [], "renewed since"


def test_a_refresh_token_that_was_not_stored_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    audit.not_stored("user-global")
    [record] = [json.loads(one.getMessage()) for one in caplog.records if one.name == audit.log.name]

    [row] = Traces([(record, 30), (record, 90)]).run("refresh-token-not-stored")

    assert (row["account"], row["records"]) == ("user-global", 2)


def test_throttled_calls_are_counted(logged: Logged) -> None:
    traces = Traces([(logged.throttled, 1), (logged.throttled, 2), (logged.cancelled, 1)])

    assert [row["account"] for row in traces.run("throttled")] == ["secret-china", "secret-china"]


def test_the_error_rate_wants_a_fifth_of_all_calls_and_more_than_a_few(logged: Logged) -> None:
    assert Traces([(logged.failed, 1)] * 4).run("error-rate") == []
    assert Traces([(logged.failed, 1)] * 5 + [(logged.refused, 1)] * 21).run("error-rate") == []
    assert Traces([(logged.failed, 1)] * 5 + [(logged.refused, 1)] * 20).run("error-rate") == [
        {"calls": 25, "failed": 5}
    ]


def test_the_workbooks_queries_count_what_happened(logged: Logged) -> None:
    calls = [logged.cancelled, logged.refused, logged.throttled, logged.failed, logged.pending, logged.unknown]
    traces = Traces([(record, 1) for record in (*calls, *logged.sending.values(), *logged.health.values())])

    assert {row["result"]: row["calls"] for row in traces.run("outcomes")} == dict.fromkeys(
        ["cancelled", "not_cancellable", "throttled", "partner_center_unavailable", "pending", "outcome_unknown"], 1
    )
    counted = ("account", "calls", "cancelled", "pending", "refused", "failed", "customers")
    assert [[row[name] for name in counted] for row in traces.run("accounts-and-callers")] == [
        ["default", 5, 1, 1, 1, 2, 1],
        ["secret-china", 1, 0, 0, 1, 0, 1],
    ]
    [row] = traces.run("refusals")
    assert (row["partnerCenterCode"], row["code"], row["orders"]) == ("800040", "not_cancellable", 1)
    assert sum(row["throttled"] for row in traces.run("throttling")) == 1
    assert sum(row["requests"] for row in traces.run("throttling")) == sum(record["attempts"] for record in calls)


def test_the_workbook_splits_latency_into_token_and_partner_center(logged: Logged) -> None:
    slow = logged.cancelled | {"tokenMs": 30, "partnerCenterMs": 400, "totalMs": 440}
    quick = logged.cancelled | {"tokenMs": 0, "partnerCenterMs": 100, "totalMs": 110}
    turned_away = logged.throttled | {"attempts": 0, "totalMs": 1}
    assert slow.keys() == turned_away.keys() == logged.refused.keys(), "no name is made up here"

    [row] = Traces([(record, 1) for record in (quick, quick, slow, turned_away)]).run("latency")

    row.pop("timestamp")
    assert row == {
        "calls": 3,
        "tokenP95": 30,
        "partnerCenterP50": 100,
        "partnerCenterP95": 400,
        "totalP50": 110,
        "totalP95": 440,
    }


def test_the_workbook_shows_every_credential_with_what_ends_first_on_top(logged: Logged) -> None:
    found = Traces((record, 3) for record in logged.health.values()).run("credentials")

    assert {row["account"]: row["healthy"] for row in found} == {
        name: one["healthy"] for name, one in logged.health.items()
    }
    ends = [row["expiresOn"] for row in found if row["expiresOn"]]
    assert ends == sorted(ends)
    assert found[0]["expiresOn"] is not None
    assert {89, 90} & {row["daysLeft"] for row in found if row["credential"] == "refreshToken"}


@pytest.mark.parametrize("wanted", ["orderId", "ticketId"])
def test_one_order_or_ticket_is_told_from_the_start(logged: Logged, wanted: str) -> None:
    sending = logged.sending[logged.cancelled["orderId"]]
    traces = Traces([(logged.cancelled, 1), (sending, 1.1), (logged.refused, 1), (logged.health["default"], 1)])

    rows = traces.run("order", **{"ORDER-OR-TICKET": logged.cancelled[wanted]})

    assert [(row["event"], row["outcome"]) for row in rows] == [("sending", ""), ("decided", "cancelled")]
    assert rows[1]["requestId"] == logged.cancelled["requestId"]
