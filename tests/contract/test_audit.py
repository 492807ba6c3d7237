"""The audit record: what an operator has in hand when a ticket and an order disagree."""

import asyncio
import hashlib
import json
import logging
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from shared.runtime import Runtime
from shared.settings import KeyCaller, Settings
from tests.conftest import CUSTOMER
from tests.contract.conftest import App, post
from tests.support.local_cloud import LocalCloud

pytestmark = pytest.mark.anyio

README = (Path(__file__).parents[2] / "docs/audit.md").read_text()
[SCHEMA] = [
    schema for text in re.findall(r"```json\n(.*?)```", README, re.DOTALL) if "$schema" in (schema := json.loads(text))
]


def whole(order_id: str, **more: Any) -> dict[str, Any]:
    return {"customerTenantId": CUSTOMER, "orderId": order_id} | more


def records(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return the records so far, each held to the published schema."""
    found = [json.loads(one.getMessage()) for one in caplog.records if one.name == "cancel_order.audit"]
    for one in found:
        jsonschema.validate(one, SCHEMA, format_checker=jsonschema.FormatChecker())
    return found


async def test_a_cancellation_is_recorded_before_and_after(
    app: App, caplog: pytest.LogCaptureFixture, order_id: str
) -> None:
    """The host may kill a worker at any time: a "sending" alone is the sign to look."""
    body = whole(order_id, lineItems=[{"lineItemNumber": 2}], ticketId="ZD-1", reason="line\nbreak")

    _, answer, _ = await app.post(body, idempotency_key="key-1", webhook_id="msg_1")

    sending, decided = records(caplog)
    same = {
        "caller": None,
        "account": "default",
        "customerTenantId": CUSTOMER,
        "orderId": order_id,
        "lineItems": [2],
        "dryRun": False,
        "ticketId": "ZD-1",
        "reason": "line\nbreak",
        "deliveryId": "msg_1",
        "idempotencyKey": "key-1",
        "requestId": answer["requestId"],
        "correlationId": answer["correlationId"],
    }
    assert sending.items() >= (same | {"event": "sending", "outcome": None, "code": None, "status": None}).items()
    assert decided.items() >= (same | {"event": "decided", "outcome": "partially_cancelled", "status": 200}).items()
    assert (sending["attempts"], decided["attempts"]) == (1, 2)  # the read, then the PATCH
    assert 0 < decided["partnerCenterMs"] + decided["tokenMs"] <= decided["totalMs"] + 2
    assert all("\n" not in one.getMessage() for one in caplog.records)


async def test_repeats_are_one_sending(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture, order_id: str
) -> None:
    cloud.fault(method="PATCH", status=503, times=2, headers={"Retry-After": "0"})

    await app.post(whole(order_id))

    sending, decided = records(caplog)
    assert (sending["event"], decided["event"], decided["attempts"]) == ("sending", "decided", 3)


async def test_a_patch_that_reached_nobody_was_not_being_sent(
    app: App, caplog: pytest.LogCaptureFixture, order_id: str
) -> None:
    """A "sending" sends somebody to look at the order; here nothing can have arrived."""
    await app.post(whole(order_id, account="unreachable"))

    [decided] = records(caplog)
    assert (decided["event"], decided["code"]) == ("decided", "partner_center_unavailable")
    assert decided["attempts"] > 0


@pytest.mark.parametrize(
    ("failure", "code"),
    [(RuntimeError, "internal_error"), (TimeoutError, "partner_center_unavailable")],  # the latter is repeated
)
async def test_nothing_is_sent_without_its_record(
    app: App, cloud: LocalCloud, order_id: str, failure: type[Exception], code: str
) -> None:
    """Whatever ends a worker, the line is there before the first byte: here it cannot be written."""

    def fails(record: logging.LogRecord) -> bool:
        if '"sending"' in record.getMessage():
            raise failure("no log")
        return True

    log = logging.getLogger("cancel_order.audit")
    log.addFilter(fails)
    try:
        _, problem, _ = await app.post(whole(order_id))
    finally:
        log.removeFilter(fails)

    assert problem["code"] == code
    assert cloud.order(order_id)["status"] == "completed"
    assert cloud.requests("partner_center") == []


async def test_a_refusal_names_its_code_and_partner_centers(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture, order_id: str
) -> None:
    cloud.fault(method="PATCH", status=400, body={"code": "800063", "description": "no"})

    await app.post(whole(order_id))

    decided = records(caplog)[-1]
    assert (decided["status"], decided["code"], decided["partnerCenterCode"]) == (
        422,
        "use_subscription_cancel",
        "800063",
    )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "invalid_json"),
        ({"orderId": "x"}, "invalid_request"),
        (whole("some-order", account="nowhere"), "unknown_account"),
        (whole("some-order", account="closed"), "account_off"),
        (whole("some-order", account="unreachable"), "partner_center_unavailable"),
        (b" " * 70_000, "body_too_large"),
    ],
)
async def test_every_answer_is_one_decided(app: App, caplog: pytest.LogCaptureFixture, body: object, code: str) -> None:
    await app.post(body, prefer="wait=1")

    decided = [one for one in records(caplog) if one["event"] == "decided"]
    assert [one["code"] for one in decided] == [code]


async def test_a_dry_run_sends_nothing(app: App, caplog: pytest.LogCaptureFixture, order_id: str) -> None:
    await app.post(whole(order_id, account="rehearsal"))

    [decided] = records(caplog)
    assert (decided["event"], decided["outcome"], decided["dryRun"]) == ("decided", "dry_run", True)


async def test_bugs_and_interruptions_are_decided_too(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture, order_id: str
) -> None:
    def broken() -> Runtime:
        raise RuntimeError("a bug")

    await post(broken, {})
    cloud.fault(method="PATCH", delay_s=60)
    call = asyncio.create_task(app.post(whole(order_id)))
    while not await asyncio.to_thread(cloud.requests, "partner_center"):  # noqa: ASYNC110  (in another process)
        await asyncio.sleep(0.01)
    call.cancel()
    await call

    decided = [one["code"] for one in records(caplog) if one["event"] == "decided"]
    assert decided == ["internal_error", "outcome_unknown"]


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("x-zendesk-webhook-invocation-id", "01F1VH0Y3Q5Z7"),
        ("x-atlassian-webhook-identifier", "f2b4"),
        ("x-ms-workflow-run-id", "08585287554177334956853859655CU82"),
    ],
)
async def test_a_delivery_is_known_by_its_own_id(
    app: App, caplog: pytest.LogCaptureFixture, header: str, value: str
) -> None:
    await app.post({}, **{header.replace("-", "_"): value})

    assert records(caplog)[0]["deliveryId"] == value


async def test_ids_are_cut_and_cannot_forge_a_line(app: App, caplog: pytest.LogCaptureFixture) -> None:
    await app.post({}, webhook_id="x" * 5000, idempotency_key='"}\n{"event": "decided"')

    [decided] = records(caplog)
    assert len(decided["deliveryId"]) == 200
    assert decided["idempotencyKey"] == '"}\n{"event": "decided"'


async def test_the_record_survives_an_app_that_logs_warnings_only(app: App, caplog: pytest.LogCaptureFixture) -> None:
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.WARNING)
    try:
        await app.post({})
    finally:
        root.setLevel(level)

    assert len(records(caplog)) == 1


async def test_the_callers_name_is_in_the_record(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    key = "its-own-key-of-32-random-bytes-and-more"
    helpdesk = KeyCaller(proof="key", sha256=hashlib.sha256(key.encode()).hexdigest())
    async with Runtime(settings.model_copy(update={"callers": {"helpdesk": helpdesk}})) as runtime:
        await App(runtime).post({}, x_caller_key=key)
        await App(runtime).post({}, x_caller_key="another")

    assert [one["caller"] for one in records(caplog)] == ["helpdesk", None]
