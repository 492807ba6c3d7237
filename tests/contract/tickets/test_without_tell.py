"""Without `tell`, or without a ticket, nothing of telling tickets is asked for, loaded or needed."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from azure.keyvault.secrets._shared import http_challenge_cache

from shared.settings import Settings
from tests.conftest import CUSTOMER
from tests.support.in_process import App
from tests.support.local_cloud import ROOT, Json, LocalCloud
from tests.support.telling import Tickets, post_as, ticket_records, without_tell, worker

pytestmark = pytest.mark.anyio

WITH_TICKET = {"ticketId": "48"}


async def traffic(settings: Settings, cloud: LocalCloud, body: Json) -> Counter[str]:
    """Return the requests of a worker that starts and cancels an order."""
    cloud.forget_requests()
    http_challenge_cache.clear()  # azure-keyvault-secrets keeps a vault's challenge for the whole process
    async with worker(settings, cloud) as app:
        answer = await post_as(app, "zendesk", body)
    assert answer.outcome == "cancelled"
    return Counter(cloud.traffic())


async def test_a_ticket_costs_three_requests(
    telling_settings: Settings, telling_cloud: LocalCloud, order_ids: Iterator[str]
) -> None:
    def body() -> Json:
        return {"customerTenantId": CUSTOMER, "orderId": next(order_ids)}

    untold = await traffic(without_tell(telling_settings), telling_cloud, body() | WITH_TICKET)
    without_ticket = await traffic(telling_settings, telling_cloud, body())
    told = await traffic(telling_settings, telling_cloud, body() | WITH_TICKET)

    assert without_ticket == untold
    assert told - untold == Counter({"identity GET 200": 1, "queue POST 201": 1, "queue PUT 204": 1})
    assert untold - told == Counter()
    assert "ticketing" not in " ".join(told)


@pytest.mark.parametrize("has_ticket", [True, False], ids=["ticket", "no-ticket"])
async def test_a_queue_or_system_that_fails_changes_nothing(
    telling_settings: Settings,
    telling_cloud: LocalCloud,
    caplog: pytest.LogCaptureFixture,
    order_id: str,
    has_ticket: bool,
) -> None:
    for service in ("queue", "ticketing"):
        telling_cloud.fault(service=service, hang_up="before", times=99)
    telling_cloud.fault(service="identity", path="storage", hang_up="before", times=99)
    settings = without_tell(telling_settings) if has_ticket else telling_settings
    body = {"customerTenantId": CUSTOMER, "orderId": order_id} | (WITH_TICKET if has_ticket else {})

    async with worker(settings, telling_cloud) as app:
        answer = await post_as(app, "zendesk", body)

    assert answer.outcome == "cancelled"
    assert ticket_records(caplog) == []


async def test_the_timer_sends_nothing(telling_settings: Settings, telling_cloud: LocalCloud, tickets: Tickets) -> None:
    tickets.forge("{}")
    telling_cloud.forget_requests()

    async with worker(without_tell(telling_settings), telling_cloud) as app:
        await app.runtime.tell_tickets()

    assert telling_cloud.requests() == []
    assert len(tickets.queue("follow-up")) == 1


async def test_the_health_report_names_no_caller(telling_settings: Settings, telling_cloud: LocalCloud) -> None:
    async with worker(without_tell(telling_settings), telling_cloud) as app:
        report = await App(app.runtime).get()

    assert report.body["callers"] == {}
    assert telling_cloud.requests("queue") == []
    assert telling_cloud.requests("ticketing") == []


# A cold start pays for every import.
CANCEL = """
import asyncio, json, sys
from shared.runtime import worker
from tests.support.in_process import App

async def main():
    body, headers = json.loads(sys.stdin.read())
    answer = await App(worker()).post(body.encode(), **headers)
    loaded = sorted(name for name in sys.modules if name.startswith("shared."))
    print(json.dumps([answer.outcome, loaded]))

asyncio.run(main())
"""


@pytest.mark.parametrize("has_tell", [False, True], ids=["without-tell", "with-tell"])
def test_only_an_app_that_tells_tickets_loads_what_tells_them(
    telling_cloud: LocalCloud, order_id: str, has_tell: bool
) -> None:
    environment = telling_cloud.description["environment"]
    callers = json.loads(environment["CALLERS"])
    if not has_tell:
        for caller in callers.values():
            caller.pop("tell", None)
    key = telling_cloud.description["callers"]["freshdesk"]["key"]
    body = json.dumps({"customerTenantId": CUSTOMER, "orderId": order_id} | WITH_TICKET)

    done = subprocess.run(  # noqa: S603  (our own interpreter and code)
        [sys.executable, "-c", CANCEL],
        cwd=ROOT,
        env={**os.environ, **environment, "CALLERS": json.dumps(callers)},
        input=json.dumps([body, {"x-caller-key": key}]),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    outcome, loaded = json.loads(done.stdout)
    assert outcome == "cancelled"
    rooms = [name for name in loaded if name.startswith(("shared.tickets", "shared.ticketing"))]
    assert bool(rooms) is has_tell
    assert bool(telling_cloud.requests("queue")) is has_tell
