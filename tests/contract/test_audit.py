"""The audit record: what an operator reads when a ticket and an order disagree."""

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import jsonschema
import pytest

from shared import audit
from shared.call import Call
from shared.caller_settings import KeyCaller
from shared.errors import OurFault, all_codes
from shared.runtime import Runtime
from shared.settings import Settings
from tests.conftest import CUSTOMER
from tests.support.built_in_orders import LICENCE_CUSTOMER, subscription_of
from tests.support.in_process import App, post
from tests.support.local_cloud import Json, LocalCloud, domain_of
from tests.support.waiting import wait_for_request

pytestmark = pytest.mark.anyio

LICENCE_ORDER = "licence"

README = (Path(__file__).parents[2] / "docs/audit.md").read_text()
SCHEMAS = {
    event: schema
    for text in re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    if "$schema" in (schema := json.loads(text))
    for event in schema["properties"]["event"].get("enum", ["found"])
}


def records(caplog: pytest.LogCaptureFixture) -> list[Json]:
    """Return the audit records so far, each checked against the published schema."""
    found = [json.loads(line.getMessage()) for line in caplog.records if line.name == "cancel_order.audit"]
    for record in found:
        jsonschema.validate(record, SCHEMAS[record["event"]], format_checker=jsonschema.FormatChecker())
    return found


async def test_a_cancellation_is_recorded_before_and_after(
    app: App, caplog: pytest.LogCaptureFixture, order_id: str
) -> None:
    """The host may kill a worker at any time: a "sending" without a "decided" tells an operator to look."""
    answer = await app.post(
        {
            "customerTenantId": CUSTOMER,
            "orderId": order_id,
            "lineItems": [{"lineItemNumber": 2}],
            "ticketId": "ZD-1",
            "reason": "line\nbreak",
        },
        idempotency_key="key-1",
        webhook_id="msg_1",
    )

    sending, decided = records(caplog)
    same = {
        "caller": None,
        "account": "default",
        "customerTenantId": CUSTOMER,
        "customerDomain": None,
        "orderId": order_id,
        "lineItems": [2],
        "lineItemsLeftOut": 0,
        "dryRun": False,
        "ticketId": "ZD-1",
        "reason": "line\nbreak",
        "deliveryId": "msg_1",
        "idempotencyKey": "key-1",
        "requestId": answer.body["requestId"],
        "correlationId": answer.body["correlationId"],
    }
    assert sending.items() >= (same | {"event": "sending", "outcome": None, "code": None, "status": None}).items()
    assert decided.items() >= (same | {"event": "decided", "outcome": "partially_cancelled", "status": 200}).items()
    assert (sending["attempts"], decided["attempts"]) == (1, 2)  # the read, then the PATCH
    assert 0 < decided["partnerCenterMs"] + decided["tokenMs"] <= decided["totalMs"] + 2  # each is rounded
    assert all("\n" not in line.getMessage() for line in caplog.records)


async def test_a_customer_who_is_named_by_a_domain_is_recorded_with_its_tenant(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture, order_id: str
) -> None:
    domain = domain_of(cloud, CUSTOMER)

    answer = await app.post({"customerDomain": domain.upper(), "orderId": order_id})

    assert answer.outcome == "cancelled"
    for record in records(caplog):
        assert (record["customerTenantId"], record["customerDomain"]) == (CUSTOMER, domain)


async def test_a_look_for_orders_is_recorded(app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture) -> None:
    """It says who saw which customer's orders, not what was looked for."""
    domain = domain_of(cloud, LICENCE_CUSTOMER)

    answer = await app.find({"customerDomain": domain, "text": "visio"}, prefer="wait=20")

    [record] = records(caplog)
    assert (
        record.items()
        >= {
            "event": "found",
            "caller": None,
            "account": "default",
            "customerTenantId": LICENCE_CUSTOMER,
            "customerDomain": domain,
            "status": 200,
            "code": None,
            "orders": len(answer.body["orders"]),
            "more": False,
        }.items()
    )
    assert record["orders"] > 0
    assert record["attempts"] == len(cloud.requests("partner_center"))
    assert "visio" not in json.dumps(record).lower()


@pytest.mark.parametrize(
    ("query", "code", "tenant"),
    [
        pytest.param({}, "invalid_request", None, id="no-customer"),
        pytest.param({"customerDomain": "nobody.example"}, "customer_not_found", None, id="unknown-domain"),
        pytest.param({"customerTenantId": str(uuid4())}, "customer_not_found", "as-sent", id="unknown-tenant"),
    ],
)
async def test_a_look_that_fails_is_recorded(
    app: App, caplog: pytest.LogCaptureFixture, query: dict[str, str], code: str, tenant: str | None
) -> None:
    answer = await app.find(query, prefer="wait=20")

    [record] = records(caplog)
    assert (record["status"], record["code"]) == (answer.status, code)
    assert (record["orders"], record["more"]) == (None, None)
    assert record["customerTenantId"] == (query.get("customerTenantId") if tenant else None)


@pytest.fixture
def subscription_id(cloud: LocalCloud) -> Iterator[str]:
    """A licence in its window, which is put back as it was."""
    found = subscription_of(LICENCE_ORDER)
    before = cloud.subscription(found)
    yield found
    cloud.put(f"subscriptions/{found}", before)


@pytest.mark.parametrize("is_named", [True, False], ids=["by-its-subscription", "by-its-order"])
async def test_the_patch_of_a_subscription_is_recorded(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture, subscription_id: str, is_named: bool
) -> None:
    """The operator finds it by the id, and Partner Center's support by the request id."""
    order_id = cloud.subscription(subscription_id)["orderId"]
    named = {"subscriptionId": subscription_id} if is_named else {"orderId": order_id}

    answer = await app.post({"customerTenantId": LICENCE_CUSTOMER} | named)

    assert answer.outcome == "cancelled"
    sending, decided = records(caplog)
    sent = [{"id": subscription_id, "requestId": answer.body["requestId"], "code": None, "replaced": None}]
    for record in (sending, decided):
        assert record.items() >= ({"orderId": None, "subscriptionId": None} | named).items()
        assert (record["route"], record["subscriptions"]) == ("subscription", sent)
    [patch] = cloud.requests("partner_center", "PATCH")
    assert patch["headers"]["ms-requestid"] == sent[0]["requestId"]


async def test_what_a_term_end_takes_out_is_recorded_before_it_is_sent(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture, subscription_id: str
) -> None:
    """The operator puts it back by hand; the worker may end before Partner Center answers."""
    next_term = {"product": {"productId": "CFQ7TTC0LH18"}, "quantity": 8}
    before = cloud.subscription(subscription_id)
    cloud.put(f"subscriptions/{subscription_id}", before | {"scheduledNextTermInstructions": next_term})

    answer = await app.post(
        {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": subscription_id, "when": "term_end"}
    )

    assert answer.outcome == "scheduled"
    assert "scheduledNextTermInstructions" not in cloud.subscription(subscription_id)
    for record in records(caplog):
        assert record["when"] == "term_end"
        [patch] = record["subscriptions"]
        assert json.loads(patch["replaced"]) == {"autoRenewEnabled": True, "scheduledNextTermInstructions": next_term}


async def test_what_stopped_a_subscription_is_recorded(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture, subscription_id: str
) -> None:
    cloud.fault(method="PATCH", status=400, body={"code": "800081", "description": "no"})

    await app.post({"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": subscription_id})

    decided = records(caplog)[-1]
    assert (decided["code"], decided["partnerCenterCode"]) == ("not_cancellable", "800081")
    assert [patch["code"] for patch in decided["subscriptions"]] == ["not_cancellable"]


async def test_a_request_that_sends_no_patch_has_no_route(
    app: App, caplog: pytest.LogCaptureFixture, subscription_id: str
) -> None:
    """The account cancels orders only."""
    body = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": subscription_id, "account": "orders-only"}

    await app.post(body)

    [decided] = records(caplog)
    assert decided["code"] == "use_subscription_cancel"
    assert (decided["route"], decided["subscriptions"]) == (None, [])


async def test_repeats_are_one_sending(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture, order_id: str
) -> None:
    cloud.fault(method="PATCH", status=503, times=2, headers={"Retry-After": "0"})

    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    sending, decided = records(caplog)
    assert (sending["event"], decided["event"], decided["attempts"]) == ("sending", "decided", 3)


async def test_without_a_connection_no_sending_is_recorded(
    app: App, caplog: pytest.LogCaptureFixture, order_id: str
) -> None:
    """A "sending" makes somebody look at the order; here no PATCH can have arrived."""
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "account": "unreachable"})

    [decided] = records(caplog)
    assert (decided["event"], decided["code"]) == ("decided", "partner_center_unavailable")
    assert decided["attempts"] > 0


@pytest.mark.parametrize(
    ("failure", "code"),
    [(RuntimeError, "internal_error"), (TimeoutError, "partner_center_unavailable")],  # a TimeoutError is repeated
)
async def test_without_its_record_no_patch_is_sent(
    app: App, cloud: LocalCloud, order_id: str, failure: type[Exception], code: str
) -> None:
    """The record precedes the first byte, so it exists however the worker ends; here it cannot be written."""

    def fail(record: logging.LogRecord) -> bool:
        if '"sending"' in record.getMessage():
            raise failure("no log")
        return True

    log = logging.getLogger("cancel_order.audit")
    log.addFilter(fail)
    try:
        answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})
    finally:
        log.removeFilter(fail)

    assert answer.code == code
    assert cloud.order(order_id)["status"] == "completed"
    assert cloud.requests("partner_center") == []


async def test_a_refusal_names_its_code_and_partner_centers(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture, order_id: str
) -> None:
    cloud.fault(method="PATCH", status=400, body={"code": "800063", "description": "no"})

    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    decided = records(caplog)[-1]
    assert decided["status"] == 422
    assert decided["code"] == "use_subscription_cancel"
    assert decided["partnerCenterCode"] == "800063"


DECISIONS: dict[str, object] = {
    "invalid_json": b"{",
    "invalid_request": {"orderId": "x"},
    "unknown_account": {"customerTenantId": CUSTOMER, "orderId": "some-order", "account": "nowhere"},
    "account_off": {"customerTenantId": CUSTOMER, "orderId": "some-order", "account": "closed"},
    "partner_center_unavailable": {"customerTenantId": CUSTOMER, "orderId": "some-order", "account": "unreachable"},
    "body_too_large": b" " * 70_000,
}


@pytest.mark.parametrize("code", DECISIONS)
async def test_every_answer_has_one_decided(app: App, caplog: pytest.LogCaptureFixture, code: str) -> None:
    await app.post(DECISIONS[code], prefer="wait=1")

    decided = [record for record in records(caplog) if record["event"] == "decided"]
    assert [record["code"] for record in decided] == [code]


async def test_a_dry_run_has_no_sending(app: App, caplog: pytest.LogCaptureFixture, order_id: str) -> None:
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "account": "rehearsal"})

    [decided] = records(caplog)
    assert (decided["event"], decided["outcome"], decided["dryRun"]) == ("decided", "dry_run", True)


async def test_a_bug_has_its_decided(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Runtime:
        raise RuntimeError("a bug")

    await post(broken, {})

    [decided] = records(caplog)
    assert (decided["event"], decided["code"]) == ("decided", "internal_error")


async def test_a_call_that_the_host_cancels_has_its_decided(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture, order_id: str
) -> None:
    cloud.fault(method="PATCH", delay_s=60)

    call = asyncio.create_task(app.post({"customerTenantId": CUSTOMER, "orderId": order_id}))
    await wait_for_request(cloud, "partner_center")
    call.cancel()
    await call

    [_, decided] = records(caplog)
    assert (decided["event"], decided["code"]) == ("decided", "outcome_unknown")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("svix-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("x-zendesk-webhook-invocation-id", "01F1VH0Y3Q5Z7"),
        ("x-atlassian-webhook-identifier", "f2b4"),
        ("x-ms-workflow-run-id", "08585287554177334956853859655CU82"),
    ],
)
async def test_the_delivery_id_of_each_system_is_recorded(
    app: App, caplog: pytest.LogCaptureFixture, header: str, value: str
) -> None:
    await app.post({}, **{header: value})

    [decided] = records(caplog)
    assert decided["deliveryId"] == value


async def test_ids_are_cut_and_cannot_forge_a_line(app: App, caplog: pytest.LogCaptureFixture) -> None:
    await app.post({}, webhook_id="x" * 5000, idempotency_key='"}\n{"event": "decided"')

    [decided] = records(caplog)
    assert decided["deliveryId"] == "x" * 199 + "…"
    assert decided["idempotencyKey"] == '"}\n{"event": "decided"'


RECORD_LIMIT = 31_000  # bytes; Application Insights cuts at 32,768 characters
PATCHES = 60


async def test_the_longest_record_is_below_the_limit(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture
) -> None:
    """Application Insights cuts a longer line, and an alert cannot read JSON that is cut."""
    numbers = [2**31 - 1 - number for number in range(1500)]
    body = {
        "customerTenantId": CUSTOMER,
        "orderId": "x" * 64,
        "lineItems": [{"lineItemNumber": number} for number in numbers],
        "ticketId": "😀" * 100,
        "reason": "😀" * 1000,
    }
    cloud.fault(method="GET", status=400, body={"code": "😀" * 75_000})

    await app.post(json.dumps(body, ensure_ascii=False).encode(), webhook_id="😀" * 5000, idempotency_key="😀" * 5000)

    [decided] = records(caplog)
    [line] = [line.getMessage() for line in caplog.records if line.name == "cancel_order.audit"]
    assert len(line.encode()) < RECORD_LIMIT - longest_subscriptions(caplog)
    assert decided["lineItems"] == numbers[:300]
    assert decided["lineItemsLeftOut"] == 1200
    assert decided["ticketId"] == "😀" * 100
    cut = [decided[name] for name in ("reason", "deliveryId", "idempotencyKey", "partnerCenterCode")]
    assert all(text.startswith("😀" * 30) and text.endswith("…") for text in cut), "cut, and marked"


def longest_subscriptions(caplog: pytest.LogCaptureFixture) -> int:
    """Return the bytes that the subscriptions of a record can have, from the record of a call of PATCHES."""
    call = Call(correlation_id=str(uuid4()), headers={})
    for _ in range(PATCHES):
        patch = call.new_patch(str(uuid4()))
        patch.sent, patch.code = 1, max((code for code, _ in all_codes()), key=len)
        patch.replaced = json.dumps({"scheduledNextTermInstructions": ["😀"] * 1000}, ensure_ascii=False)
    caplog.clear()

    audit.decided(call, OurFault("internal_error", "a bug"))

    [decided] = records(caplog)
    assert decided["subscriptions"][0]["id"] == call.patches[0].subscription_id
    assert (len(decided["subscriptions"]), decided["subscriptionsLeftOut"]) == (50, PATCHES - 50)
    replaced = [patch["replaced"] for patch in decided["subscriptions"]]
    assert all(text.startswith('{"scheduledNext') and text.endswith("…") for text in replaced[:8])
    assert replaced[8:] == [None] * 42, "there is no room for more"
    return len(json.dumps(decided["subscriptions"]))


async def test_a_long_reason_in_any_language_is_kept_whole(app: App, caplog: pytest.LogCaptureFixture) -> None:
    body = {"customerTenantId": CUSTOMER, "orderId": "x" * 8, "account": "closed", "reason": "ж" * 1000}

    await app.post(body)

    assert records(caplog)[0]["reason"] == "ж" * 1000


async def test_a_token_that_a_caller_sends_along_is_not_recorded(app: App, caplog: pytest.LogCaptureFixture) -> None:
    token = "Bearer eyJhbGciOi.eyJhdWQi.PLANTED"
    body = {"customerTenantId": CUSTOMER, "orderId": "x" * 8, "account": "closed", "ticketId": token, "reason": token}

    await app.post(body, webhook_id=token, idempotency_key=token)

    [decided] = records(caplog)
    assert {decided[name] for name in ("ticketId", "reason", "deliveryId", "idempotencyKey")} == {"…"}


async def test_an_app_that_logs_warnings_only_still_writes_the_record(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.WARNING)
    try:
        await app.post({})
    finally:
        root.setLevel(level)

    assert len(records(caplog)) == 1


async def test_the_name_of_the_caller_is_recorded(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    key = "its-own-key-of-32-random-bytes-and-more"
    helpdesk = KeyCaller(proof="key", sha256=hashlib.sha256(key.encode()).hexdigest())
    async with Runtime(settings.model_copy(update={"callers": {"helpdesk": helpdesk}})) as runtime:
        await App(runtime).post({}, x_caller_key=key)
        await App(runtime).post({}, x_caller_key="another")

    assert [record["caller"] for record in records(caplog)] == ["helpdesk", None]
