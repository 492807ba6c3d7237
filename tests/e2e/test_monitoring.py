"""The operator's alerts and queries, run on records that the function logged, with the ages that each case needs."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from shared import audit
from shared.rfc3339 import rfc3339
from tests.conftest import CUSTOMER
from tests.support.built_in_orders import LICENCE_CUSTOMER, subscription_of
from tests.support.functions_host import audit_records
from tests.support.kql import ALERTS, Traces, queries_to_paste
from tests.support.local_cloud import Json, LocalCloud
from tests.support.waiting import wait_until

LIMIT_S = 20
BY_CALLER = "accounts-and-callers"


class Logged:
    """Makes one call of each kind and one health check, and keeps their audit records.

    Attributes:
        sending: the records before the cancellation was sent, by order id.
        cancelled, refused, failed, pending, unknown, throttled: the record of the call with that result.
        health: the records of the health check by account.
    """

    def __init__(self, cloud: LocalCloud, order_ids: Iterator[str]) -> None:
        self.cloud = cloud
        self.order_ids = order_ids
        self.sending: dict[str, Json] = {}
        self.cancelled = self.call(ticketId="ZD-7")
        self.refused = self.call("not_cancellable", {"status": 400, "body": {"code": 800040, "description": "no"}})
        down = {"method": "GET", "status": 503, "headers": {"Retry-After": "0"}, "times": 4}
        self.failed = self.call("partner_center_unavailable", down, dryRun=True)
        self.pending = self.call("pending", {"method": "PATCH", "body": "garbage"}, down)
        lost = {"method": "PATCH", "hang_up": "after"}, {"method": "PATCH", "status": 404}
        self.unknown = self.call("outcome_unknown", *lost, down)
        # An account of its own, because the function then refuses its calls for a second.
        slow_down = {"status": 429, "headers": {"Retry-After": "1"}, "times": 4}
        self.throttled = self.call("throttled", slow_down, account="secret-china", wait="1")
        self.health = self.check_health()

    def call(self, expected: str = "cancelled", *faults: Json, wait: str = "8", **more: object) -> Json:
        """Return the record of a call that must end with the outcome or code *expected*."""
        self.cloud.forget()
        for fault in faults:
            self.cloud.fault(**fault)
        body = {"customerTenantId": CUSTOMER, "orderId": next(self.order_ids), "account": "default"} | more

        answer = self.cloud.post(body, prefer=f"wait={wait}").json()

        assert (answer.get("outcome") or answer["code"]) == expected, answer
        request_id = answer["requestId"]
        decided = self.wait_for(lambda record: record.get("requestId") == request_id and record["event"] == "decided")
        self.sending |= {record["orderId"]: record for record in self.records() if record["event"] == "sending"}
        return decided

    def check_health(self) -> dict[str, Json]:
        self.cloud.forget()
        headers = {"x-functions-key": self.cloud.description["functionKey"]}
        answer = self.cloud.http.get(self.cloud.description["functionUrl"], headers=headers).json()
        last = list(answer["accounts"])[-1]
        self.wait_for(lambda record: record["event"] == "health" and record["account"] == last)
        return {record["account"]: record for record in self.records() if record["event"] == "health"}

    def records(self) -> list[Json]:
        return audit_records(self.cloud.log.read_text())

    def wait_for(self, matches: Callable[[Json], bool]) -> Json:
        deadline = time.monotonic() + LIMIT_S
        while not (found := [record for record in self.records() if matches(record)]):
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


SUBSCRIPTION = "6C0E38A1-6B3F-4B1C-9D3F-0C8A3B1F6A11"


def by_subscription(record: Json) -> Json:
    """Return *record* as that of a request that names a subscription."""
    sent = {"id": SUBSCRIPTION, "requestId": record["requestId"], "code": None, "replaced": None}
    changes = {"orderId": None, "subscriptionId": SUBSCRIPTION, "lineItems": None, "lineItemsLeftOut": 0}
    assert record.keys() >= {*changes, "when", "route", "subscriptions"}, "this test invents a member"
    return record | changes | {"route": "subscription", "subscriptions": [sent]}


def targets(rows: list[Json]) -> list[str]:
    return [row["orderOrSubscription"] for row in rows]


def test_looks_are_counted_by_caller_and_customer(logged: Logged) -> None:
    url = logged.cloud.description["functionUrl"].replace("cancel_order", "find_orders")
    headers = {"x-functions-key": logged.cloud.description["functionKey"]}
    earlier = len(logged.records())
    for customer in (LICENCE_CUSTOMER, LICENCE_CUSTOMER, "99999999-9999-4999-8999-999999999999"):
        logged.cloud.http.get(url, params={"customerTenantId": customer}, headers=headers)

    def found() -> list[Json]:
        return [record for record in logged.records()[earlier:] if record["event"] == "found"]

    wait_until(lambda: [record["status"] for record in found()] == [200, 200, 404], "the looks are not logged")
    records = found()

    rows = {row["customerTenantId"]: row for row in Traces([(record, 1) for record in records]).run("looks")}

    assert rows.keys() == {LICENCE_CUSTOMER, "99999999-9999-4999-8999-999999999999"}
    assert rows[LICENCE_CUSTOMER]["looks"] == 2
    assert rows[LICENCE_CUSTOMER]["orders"] > 10
    assert rows["99999999-9999-4999-8999-999999999999"]["refused"] == 1


def test_no_alert_is_raised_while_everything_works(logged: Logged, healthy: Json) -> None:
    ages = (1, 12, 20, 60, 125, 130)
    records = [logged.cancelled, logged.refused, logged.sending[logged.cancelled["orderId"]], healthy]
    traces = Traces([(record, age) for record in records for age in ages])

    assert {name: rows for name in ALERTS if (rows := traces.run(name))} == {}


def test_a_call_without_a_recorded_result_raises_an_alert_for_its_order(logged: Logged) -> None:
    lost, done = logged.sending[logged.cancelled["orderId"]], logged.sending[logged.pending["orderId"]]

    traces = Traces([(lost, 15), (done, 15), (logged.pending, 15), (logged.refused, 14)])

    [row] = traces.run("sending-without-decided")
    for member in ("account", "customerTenantId", "ticketId", "requestId", "correlationId"):
        assert row[member] == lost[member]
    assert row["orderOrSubscription"] == lost["orderId"]
    assert targets(Traces([(by_subscription(lost), 15)]).run("sending-without-decided")) == [SUBSCRIPTION]
    assert Traces([(lost, 5)]).run("sending-without-decided") == [], "the call may still be running"
    assert Traces([(lost, 40)]).run("sending-without-decided") == [], "the alert was raised before"


UNCERTAIN = pytest.mark.parametrize(
    ("alert", "kind", "age"), [("outcome-unknown", "unknown", 15), ("pending-not-followed-up", "pending", 125)]
)
TARGET = ("account", "customerTenantId", "orderId", "subscriptionId", "lineItems", "lineItemsLeftOut")


def same_target(record: Json, other: Json) -> Json:
    """Return *record* as if it were about the order and the lines of *other*."""
    return record | {member: other[member] for member in TARGET}


@UNCERTAIN
def test_an_uncertain_result_raises_an_alert_unless_a_later_call_has_an_outcome(
    logged: Logged, alert: str, kind: str, age: int
) -> None:
    uncertain: Json = getattr(logged, kind)
    known = same_target(logged.cancelled, uncertain)
    failed = same_target(logged.failed, uncertain)
    raised = [uncertain["orderId"]]

    assert targets(Traces([(uncertain, age)]).run(alert)) == raised
    assert targets(Traces([(uncertain, age), (known, age - 5)]).run(alert)) == [], "a later call knows"
    assert targets(Traces([(uncertain, age), (known, age + 5)]).run(alert)) == raised, "an earlier call does not count"
    assert targets(Traces([(uncertain, age), (logged.cancelled, age - 5)]).run(alert)) == raised, "another order's call"
    assert targets(Traces([(uncertain, age), (failed, age - 5)]).run(alert)) == raised, "a failed call knows nothing"
    assert targets(Traces([(uncertain, 5)]).run(alert)) == [], "too soon"


@UNCERTAIN
def test_an_uncertain_subscription_is_settled_by_a_call_for_the_same_one(
    logged: Logged, alert: str, kind: str, age: int
) -> None:
    uncertain = by_subscription(getattr(logged, kind))
    known = same_target(logged.cancelled, uncertain)
    in_lower_case = known | {"subscriptionId": SUBSCRIPTION.lower()}
    another = known | {"subscriptionId": SUBSCRIPTION.replace("6C", "7C")}

    assert targets(Traces([(uncertain, age)]).run(alert)) == [SUBSCRIPTION.lower()]
    assert Traces([(uncertain, age), (in_lower_case, age - 5)]).run(alert) == []
    assert len(Traces([(uncertain, age), (another, age - 5)]).run(alert)) == 1
    assert len(Traces([(uncertain, age), (logged.cancelled, age - 5)]).run(alert)) == 1, "an order's call"


@UNCERTAIN
@pytest.mark.parametrize(
    ("asks", "later", "outcome", "is_raised"),
    [
        pytest.param("now", "term_end", "scheduled", True, id="it-still-bills-until-its-end"),
        pytest.param("now", "term_end", "already_scheduled", True, id="it-bills-until-its-end-as-before"),
        pytest.param("now", "term_end", "already_cancelled", False, id="it-is-cancelled"),
        pytest.param("now", "term_end", "dry_run", False, id="somebody-has-looked"),
        pytest.param("term_end", "term_end", "scheduled", False, id="it-ends-with-its-term"),
        pytest.param("term_end", "now", "cancelled", False, id="it-has-ended-before-its-term"),
        pytest.param("term_end", "now", "dry_run", False, id="somebody-has-looked-otherwise"),
    ],
)
def test_an_end_with_the_term_settles_no_request_to_cancel_now(
    logged: Logged, alert: str, kind: str, age: int, asks: str, later: str, outcome: str, is_raised: bool
) -> None:
    uncertain = by_subscription(getattr(logged, kind)) | {"when": asks}
    known = same_target(logged.cancelled, uncertain) | {"when": later, "outcome": outcome}

    assert len(Traces([(uncertain, age)]).run(alert)) == 1
    assert len(Traces([(uncertain, age), (known, age - 5)]).run(alert)) == is_raised


@UNCERTAIN
def test_a_record_of_version_1_1_counts_as_one_for_now(logged: Logged, alert: str, kind: str, age: int) -> None:
    """The alerts see records from before an upgrade."""
    old = {name: value for name, value in getattr(logged, kind).items() if name != "when"}
    known = same_target(logged.cancelled, old)

    assert len(Traces([(old, age)]).run(alert)) == 1
    assert Traces([(old, age), (known, age - 5)]).run(alert) == []


def licence_that_goes_on(record: Json, code: str, patches: list[str | None]) -> Json:
    """Return *record* as that of a `term_end` whose PATCHes of one subscription ended with *patches*."""
    sent = [{"id": SUBSCRIPTION, "requestId": record["requestId"], "code": end, "replaced": None} for end in patches]
    return record | {"when": "term_end", "outcome": None, "code": code, "subscriptions": sent}


@pytest.mark.parametrize(
    ("code", "patches", "is_raised"),
    [
        pytest.param("unexpected_answer", [None, "unexpected_answer"], True, id="half-done"),
        pytest.param("unexpected_answer", ["unexpected_answer"], True, id="refused-in-an-unknown-way"),
        pytest.param("unexpected_answer", [], False, id="nothing-sent"),
        pytest.param("some_lines_refused", [None, "unexpected_answer"], True, id="among-several-lines"),
        pytest.param("some_lines_unfinished", [None, "unexpected_answer"], True, id="among-several-lines-some-open"),
        pytest.param("some_lines_refused", [None, None], False, id="done-by-the-other-spelling"),
        pytest.param("not_cancellable", ["order_busy", "not_cancellable"], False, id="a-refusal"),
    ],
)
def test_auto_renew_that_is_off_alone_raises_an_alert(
    logged: Logged, code: str, patches: list[str | None], is_raised: bool
) -> None:
    """Nothing is put back, and the customer would pay for an extended term."""
    goes_on = licence_that_goes_on(logged.refused, code, patches)

    rows = Traces([(goes_on, 15), (goes_on | {"when": "now"}, 15)]).run("end-not-scheduled")

    assert targets(rows) == [goes_on["orderId"]] * is_raised


def test_the_record_of_a_licence_that_goes_on_raises_the_alert(logged: Logged) -> None:
    """Partner Center ignores the scheduled action, so that auto-renew is off alone."""
    subscription_id = subscription_of("licences-five", 4)
    before = logged.cloud.subscription(subscription_id)
    logged.cloud.put(f"subscriptions/{subscription_id}/behaviour", {"actions": "ignore"})
    request = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": subscription_id, "when": "term_end"}

    record = logged.call("unexpected_answer", orderId=None, **request)
    logged.cloud.put(f"subscriptions/{subscription_id}", before)
    logged.cloud.put(f"subscriptions/{subscription_id}/behaviour", {"actions": "scheduleType"})

    [row] = Traces([(record, 15)]).run("end-not-scheduled")
    assert (row["orderOrSubscription"], row["requestId"]) == (subscription_id, record["requestId"])


def test_lines_that_nobody_has_finished_raise_an_alert(logged: Logged) -> None:
    """Some lines of the order live on, and the ticket asked for all of them."""
    unfinished = logged.unknown | {"code": "some_lines_unfinished"}
    done = same_target(logged.cancelled, unfinished)

    assert targets(Traces([(unfinished, 15)]).run("outcome-unknown")) == [unfinished["orderId"]]
    assert Traces([(unfinished, 15), (done, 12)]).run("outcome-unknown") == []


@UNCERTAIN
@pytest.mark.parametrize(
    ("lines", "later", "is_raised"),
    [
        pytest.param([0], [{"lineItems": [0]}], False, id="the-same-line"),
        pytest.param([0], [{"lineItems": [2, 0]}], False, id="more-lines"),
        pytest.param([0], [{"lineItems": None}], False, id="the-whole-order"),
        pytest.param([0], [{"lineItems": [1]}], True, id="another-line"),
        pytest.param([1], [{"lineItems": [10, 11]}], True, id="a-number-with-the-same-digit"),
        pytest.param([0, 1], [{"lineItems": [0]}], True, id="one-line-of-two"),
        pytest.param([0, 1], [{"lineItems": [0]}, {"lineItems": [1]}], False, id="both-lines-one-by-one"),
        pytest.param(None, [{"lineItems": [0]}, {"lineItems": [1]}], True, id="lines-do-not-make-the-whole-order"),
        pytest.param([0], [{"lineItems": [0], "account": "sandbox"}], True, id="another-account"),
        pytest.param([0], [{"lineItems": [0], "customerTenantId": "another"}], True, id="another-customer"),
        pytest.param([0], [{"lineItems": None, "account": "sandbox"}], True, id="another-accounts-whole-order"),
    ],
)
def test_only_a_call_that_covers_its_lines_settles_an_uncertain_result(
    logged: Logged,
    alert: str,
    kind: str,
    age: int,
    lines: list[int] | None,
    later: list[Json],
    is_raised: bool,
) -> None:
    """The other lines, or an order of the same id at another account, may still live and cost money."""
    uncertain: Json = getattr(logged, kind) | {"lineItems": lines}
    known = [same_target(logged.cancelled, uncertain) | changes for changes in later]

    rows = Traces([(uncertain, age), *((record, age - 5) for record in known)]).run(alert)

    assert len(rows) == is_raised
    assert all(row["requestId"] == uncertain["requestId"] for row in rows)


@UNCERTAIN
def test_lines_that_a_record_could_not_name_are_settled_by_the_whole_order(
    logged: Logged, alert: str, kind: str, age: int
) -> None:
    uncertain: Json = getattr(logged, kind) | {"lineItems": [0, 1], "lineItemsLeftOut": 1}
    some = same_target(logged.cancelled, uncertain) | {"lineItemsLeftOut": 0}
    whole = some | {"lineItems": None}

    assert len(Traces([(uncertain, age), (some, age - 5)]).run(alert)) == 1
    assert Traces([(uncertain, age), (whole, age - 5)]).run(alert) == []


@UNCERTAIN
@pytest.mark.parametrize("lines", [None, [999]], ids=str)
def test_a_later_call_settles_only_lines_that_its_record_names(
    logged: Logged, alert: str, kind: str, age: int, lines: list[int] | None
) -> None:
    """A record that left lines out names some of them; it is no record of the whole order."""
    uncertain: Json = getattr(logged, kind) | {"lineItems": lines}
    known = same_target(logged.cancelled, uncertain) | {"lineItems": [0, 1], "lineItemsLeftOut": 1}

    assert len(Traces([(uncertain, age), (known, age - 5)]).run(alert)) == 1


def test_a_refused_credential_raises_an_alert_for_its_account(logged: Logged) -> None:
    rows = Traces((record, 3) for record in logged.health.values()).run("credentials-rejected")

    codes = {row["account"]: row["code"] for row in rows}
    assert codes["expired"] == "credentials_rejected"
    assert codes["no-secret"] == "misconfigured"
    refused = ("credentials_rejected", "misconfigured")
    assert codes == {name: record["code"] for name, record in logged.health.items() if record["code"] in refused}


def test_an_account_without_a_token_raises_an_alert_at_the_second_check(logged: Logged, healthy: Json) -> None:
    """Refused credentials have an alert of their own."""
    unhealthy = logged.health["entra-unreachable"]

    assert Traces([(unhealthy, 3), (healthy, 3), (healthy, 8)]).run("unhealthy") == []
    [row] = Traces([(unhealthy, 3), (unhealthy, 8)]).run("unhealthy")
    assert (row["account"], row["code"], row["records"]) == ("entra-unreachable", "credentials_unavailable", 2)
    assert Traces([(logged.health["expired"], 3), (logged.health["expired"], 8)]).run("unhealthy") == []


def test_the_newest_record_of_a_credential_that_ends_soon_raises_an_alert(logged: Logged) -> None:
    ends_late = logged.health["user-global"]
    in_13_days = (datetime.now(UTC) + timedelta(days=13)).isoformat().replace("+00:00", "Z")
    ends_soon = ends_late | {"expiresOn": in_13_days}

    assert ends_late["expiresOn"], "without a date this case would show nothing"
    assert Traces([(ends_late, 3)]).run("credential-expiring") == []
    [row] = Traces([(ends_late, 9), (ends_soon, 3)]).run("credential-expiring")
    assert (row["account"], row["credential"]) == ("user-global", "refreshToken")
    assert Traces([(ends_late, 3), (ends_soon, 9)]).run("credential-expiring") == [], "it was renewed since"


def test_a_refresh_token_that_was_not_stored_raises_an_alert(caplog: pytest.LogCaptureFixture) -> None:
    """It is recorded with the next call, since the host drops what is logged while no call runs."""
    audit.not_stored("user-global")
    assert caplog.records == []
    audit.checked("default", {})
    record, _ = (json.loads(line.getMessage()) for line in caplog.records if line.name == audit.log.name)

    [row] = Traces([(record, 30), (record, 90)]).run("refresh-token-not-stored")

    assert (row["account"], row["records"]) == ("user-global", 2)


def test_throttled_calls_count_for_their_account(logged: Logged) -> None:
    traces = Traces([(logged.throttled, 1), (logged.throttled, 2), (logged.cancelled, 1)])

    assert [row["account"] for row in traces.run("throttled")] == ["secret-china", "secret-china"]


def test_the_error_rate_needs_five_failures_and_a_fifth_of_all_calls(logged: Logged) -> None:
    assert Traces([(logged.failed, 1)] * 4).run("error-rate") == []
    assert Traces([(logged.failed, 1)] * 5 + [(logged.refused, 1)] * 21).run("error-rate") == []
    assert Traces([(logged.failed, 1)] * 5 + [(logged.refused, 1)] * 20).run("error-rate") == [
        {"calls": 25, "failed": 5}
    ]


def test_the_workbook_counts_calls_by_result(logged: Logged) -> None:
    calls = [logged.cancelled, logged.refused, logged.throttled, logged.failed, logged.pending, logged.unknown]
    traces = Traces([(record, 1) for record in (*calls, *logged.sending.values(), *logged.health.values())])

    assert {row["result"]: row["calls"] for row in traces.run("outcomes")} == dict.fromkeys(
        ["cancelled", "not_cancellable", "throttled", "partner_center_unavailable", "pending", "outcome_unknown"], 1
    )
    columns = (
        "account",
        "calls",
        "cancelled",
        "scheduled",
        "pending",
        "refused",
        "failed",
        "customers",
        "bySubscription",
    )
    assert [[row[column] for column in columns] for row in traces.run(BY_CALLER)] == [
        ["default", 5, 1, 0, 1, 1, 2, 1, 0],
        ["secret-china", 1, 0, 0, 0, 1, 0, 1, 0],
    ]
    ends = [(logged.cancelled | {"outcome": outcome}, 1) for outcome in ("scheduled", "already_scheduled")]
    assert [row["scheduled"] for row in Traces(ends).run(BY_CALLER)] == [2]
    assert sum(row["bySubscription"] for row in Traces([(by_subscription(logged.pending), 1)]).run(BY_CALLER)) == 1
    [row] = traces.run("refusals")
    assert (row["partnerCenterCode"], row["code"]) == ("800040", "not_cancellable")
    assert (row["orders"], row["subscriptions"]) == (1, 0)
    [row] = Traces([(by_subscription(logged.refused), 1)]).run("refusals")
    assert (row["orders"], row["subscriptions"]) == (0, 1)
    assert sum(row["throttled"] for row in traces.run("throttling")) == 1
    assert sum(row["requests"] for row in traces.run("throttling")) == sum(record["attempts"] for record in calls)


def test_the_workbook_splits_latency_into_token_and_partner_center(logged: Logged) -> None:
    slow = logged.cancelled | {"tokenMs": 30, "partnerCenterMs": 400, "totalMs": 440}
    quick = logged.cancelled | {"tokenMs": 0, "partnerCenterMs": 100, "totalMs": 110}
    not_sent = logged.throttled | {"attempts": 0, "totalMs": 1}
    assert slow.keys() == not_sent.keys() == logged.refused.keys(), "this test invents a member"

    [row] = Traces([(record, 1) for record in (quick, quick, slow, not_sent)]).run("latency")

    row.pop("timestamp")
    assert row == {
        "calls": 3,
        "tokenP95": 30,
        "partnerCenterP50": 100,
        "partnerCenterP95": 400,
        "totalP50": 110,
        "totalP95": 440,
    }


def test_the_workbook_lists_every_credential_and_starts_with_the_first_to_end(logged: Logged) -> None:
    rows = Traces((record, 3) for record in logged.health.values()).run("credentials")

    assert {row["account"]: row["healthy"] for row in rows} == {
        name: record["healthy"] for name, record in logged.health.items()
    }
    dates = [row["expiresOn"] for row in rows if row["expiresOn"]]
    assert dates == sorted(dates)
    assert rows[0]["expiresOn"] is not None
    assert {89, 90} & {row["daysLeft"] for row in rows if row["credential"] == "refreshToken"}


@pytest.mark.parametrize("member", ["orderId", "ticketId"])
def test_the_records_of_one_order_or_ticket_start_with_the_oldest(logged: Logged, member: str) -> None:
    sending = logged.sending[logged.cancelled["orderId"]]
    traces = Traces([(logged.cancelled, 1), (sending, 1.1), (logged.refused, 1), (logged.health["default"], 1)])

    rows = traces.run("order", **{"ORDER-SUBSCRIPTION-OR-TICKET": logged.cancelled[member]})

    assert [(row["event"], row["outcome"]) for row in rows] == [("sending", ""), ("decided", "cancelled")]
    assert rows[1]["requestId"] == logged.cancelled["requestId"]


@pytest.mark.parametrize("wanted", [SUBSCRIPTION, SUBSCRIPTION.lower()])
def test_the_records_of_one_subscription_have_the_calls_for_its_order(logged: Logged, wanted: str) -> None:
    by_order = by_subscription(logged.cancelled) | {"orderId": logged.cancelled["orderId"], "subscriptionId": None}
    traces = Traces([(by_subscription(logged.pending), 1), (by_order, 2), (logged.refused, 3)])

    rows = traces.run("order", **{"ORDER-SUBSCRIPTION-OR-TICKET": wanted})

    assert [(row["outcome"], row["route"]) for row in rows] == [
        ("cancelled", "subscription"),
        ("pending", "subscription"),
    ]
    assert [(row["orderId"], row["subscriptionId"]) for row in rows] == [(by_order["orderId"], ""), ("", SUBSCRIPTION)]


# docs/operate.md


def pasted(alert: str, traces: Traces, **names: str) -> list[Json]:
    """Return the rows of the query that the operator pastes for *alert*, with the names in capitals filled in."""
    text = queries_to_paste()[alert]
    for name, value in names.items():
        assert name in text
        text = text.replace(name, value)
    return traces.rows(text)


BY_ORDER = pytest.mark.parametrize(
    "alert", ["sending-without-decided", "outcome-unknown", "pending-not-followed-up", "end-not-scheduled"]
)


@BY_ORDER
def test_the_operator_finds_the_lines_and_the_calls_of_an_order(logged: Logged, alert: str) -> None:
    """Another ticket may name other lines of the same order: the operator must not take those."""
    sending, decided = logged.sending[logged.pending["orderId"]], logged.pending
    another = sending | {"lineItems": [1], "ticketId": "ZD-8", "requestId": logged.cancelled["requestId"]}
    traces = Traces([(decided, 1), (sending | {"lineItems": [0, 2]}, 2), (another, 3), (logged.cancelled, 1)])

    rows = pasted(alert, traces, **{"REQUEST-ID": decided["requestId"]})

    assert [(row["event"], row["outcome"]) for row in rows] == [("sending", ""), ("decided", "pending")]
    assert json.loads(rows[0]["lineItems"]) == [0, 2]
    assert {row["requestId"] for row in rows} == {decided["requestId"]}
    assert {(row["orderId"], row["subscriptionId"]) for row in rows} == {(decided["orderId"], "")}
    assert {row["asks"] for row in rows} == {"now"}


@BY_ORDER
def test_the_operator_finds_the_subscription_of_a_request_that_names_no_order(logged: Logged, alert: str) -> None:
    sending = by_subscription(logged.sending[logged.pending["orderId"]])

    [row] = pasted(alert, Traces([(sending, 15), (logged.pending, 1)]), **{"REQUEST-ID": sending["requestId"]})[:1]

    assert (row["event"], row["orderId"], row["subscriptionId"]) == ("sending", "", SUBSCRIPTION)
    assert row["lineItems"] == ""
    assert (row["route"], json.loads(row["subscriptions"])) == ("subscription", sending["subscriptions"])


def test_the_operator_finds_what_is_wrong_with_accounts(logged: Logged) -> None:
    """A refused credential, an account without a token, the credentials by their end, and a token not stored."""
    health = logged.health
    traces = Traces([*((record, 3) for record in health.values()), (health["entra-unreachable"], 8)])
    # The record is written with the next call, here a day later.
    failed_at = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
    not_stored = [({"time": rfc3339(at), "event": "not_stored", "account": "user-global"}, 3) for at in failed_at]

    refused = {row["account"]: (row["code"], row["records"]) for row in pasted("credentials-rejected", traces)}
    unhealthy = pasted("unhealthy", traces, ACCOUNT="entra-unreachable")
    ends = pasted("credential-expiring", traces)
    [grows_old] = pasted("refresh-token-not-stored", Traces(not_stored))

    assert refused["expired"] == ("credentials_rejected", 1)
    assert [(row["healthy"], row["code"]) for row in unhealthy] == [(False, "credentials_unavailable")] * 2
    assert {row["account"] for row in ends} == set(health)
    assert ends[0]["expiresOn"] is not None, "the first to end comes first"
    assert (grows_old["account"], grows_old["records"]) == ("user-global", 2)
    assert (grows_old["earliest"], grows_old["latest"]) == tuple(at.replace(tzinfo=None) for at in failed_at)


def test_the_operator_finds_who_is_throttled_and_what_fails(logged: Logged) -> None:
    calls = [(logged.cancelled, 2), *((record, 1) for record in (logged.throttled, logged.failed, logged.failed))]

    throttled = pasted("throttled", Traces(calls))
    failing = pasted("error-rate", Traces(calls))

    assert {row["account"]: (row["calls"], row["throttled"]) for row in throttled} == {
        "default": (3, 0),
        "secret-china": (1, 1),
    }
    assert {(row["customerTenantId"], row["orderId"]) for row in throttled} == {
        (record["customerTenantId"], record["orderId"]) for record in (logged.throttled, logged.failed)
    }
    [row] = failing
    assert (row["code"], row["account"], row["calls"]) == ("partner_center_unavailable", "default", 2)
    assert row["requestId"] == logged.failed["requestId"]
