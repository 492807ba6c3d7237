"""The timer function's entry: what the host gives it, and what the host gets to know of a run that failed."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import anyio
import azure.functions as func
import pytest
from azure.functions.meta import Datum
from azure.functions.timer import TimerRequestConverter

from shared.errors import OurFault
from shared.runtime import worker
from shared.settings import Settings
from shared.tickets.queue import QueueFailed
from tell_ticket import main
from tests.conftest import CUSTOMER
from tests.support.forged_follow_ups import message
from tests.support.local_cloud import LocalCloud
from tests.support.telling import Tickets
from tests.support.waiting import wait_for_request

pytestmark = pytest.mark.anyio

FAR_S = 9e9  # until the faults are cleared
LIMIT_S = 30.0


@pytest.fixture
def tick() -> func.TimerRequest:
    """The parameter that the runtime makes of the host's message."""
    sent = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": True}
    request = TimerRequestConverter.decode(Datum(json.dumps(sent), "json"), trigger_metadata={})
    assert isinstance(request, func.TimerRequest)
    return request


@pytest.fixture
async def new_worker(telling_settings: Settings) -> AsyncIterator[None]:  # noqa: ARG001  (they are in the environment)
    """A process that has just started: nobody has built its Runtime."""
    worker.cache_clear()
    yield
    if worker.cache_info().currsize:
        await worker().__aexit__()
    worker.cache_clear()


@pytest.fixture
def by_hand(telling_cloud: LocalCloud) -> Iterator[str]:
    """The address that runs the function in the host's process."""
    yield f"{telling_cloud.description['controlUrl']}/timers/tell_ticket"
    telling_cloud.clear_faults()


@pytest.mark.usefixtures("new_worker")
async def test_a_run_tells_what_is_due(tick: func.TimerRequest, tickets: Tickets, ticket_id: str) -> None:
    tickets.forge(json.dumps(message("zendesk", ticket_id)))

    await main(tick)

    assert len(tickets.notes("zendesk", ticket_id)) == 1
    assert tickets.queue() == []


@pytest.mark.usefixtures("new_worker")
async def test_a_run_with_nothing_to_do_only_asks_the_queue(tick: func.TimerRequest, cloud: LocalCloud) -> None:
    await main(tick)

    assert [(request["service"], request["method"]) for request in cloud.requests("queue")] == [("queue", "GET")]
    assert cloud.requests("partner_center") == cloud.requests("ticketing") == cloud.requests("key_vault") == []


@pytest.mark.usefixtures("new_worker")
@pytest.mark.parametrize("service", ["queue", "ticketing"])
async def test_a_run_that_the_host_ends_fails(
    tick: func.TimerRequest, cloud: LocalCloud, tickets: Tickets, ticket_id: str, service: str
) -> None:
    """A CancelledError would leave the host without an answer. What was taken shows again."""
    tickets.forge(json.dumps(message("zendesk", ticket_id)))
    cloud.fault(service=service, delay_s=FAR_S)
    run = asyncio.create_task(main(tick))
    await wait_for_request(cloud, service)

    run.cancel()

    with anyio.fail_after(LIMIT_S), pytest.raises(RuntimeError, match="the host ended the run"):
        await run
    await asyncio.to_thread(cloud.clear_faults)
    await asyncio.to_thread(tickets.wake)
    await main(tick)
    assert len(tickets.notes("zendesk", ticket_id)) == 1
    assert tickets.queue() == []


@pytest.mark.usefixtures("new_worker")
@pytest.mark.parametrize(
    ("name", "value"), [("CALLERS", "{"), ("CALLERS", ""), ("PARTNER_CENTER_ACCOUNTS", "{}"), ("KEY_VAULT_URL", "")]
)
async def test_a_bad_setting_fails_each_run(
    tick: func.TimerRequest, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    for _ in range(2):
        with pytest.raises(OurFault, match=name):
            await main(tick)


@pytest.mark.usefixtures("new_worker")
async def test_a_missing_queue_fails_each_run(tick: func.TimerRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AzureWebJobsStorage__queueServiceUri")

    with pytest.raises(QueueFailed) as raised:
        await main(tick)

    assert raised.value.code == "misconfigured"


@pytest.mark.usefixtures("new_worker")
async def test_without_callers_to_tell_a_run_does_nothing(
    tick: func.TimerRequest, cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CALLERS")

    await main(tick)

    assert cloud.requests() == []


# In the host's process.


async def test_the_host_runs_it(
    by_hand: str, cloud: LocalCloud, tickets: Tickets, order_id: str, ticket_id: str
) -> None:
    content = message("zendesk", ticket_id, code=None)
    content["request"] = content["request"] | {"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True}
    tickets.forge(json.dumps(content))

    answer = await asyncio.to_thread(cloud.http.post, by_hand)

    assert answer.status_code == 200
    [note] = tickets.notes("zendesk", ticket_id)
    assert note.startswith("This was a trial run; nothing was changed.")
    assert tickets.queue() == []


async def test_the_host_logs_a_failed_run(by_hand: str, cloud: LocalCloud, tickets: Tickets, ticket_id: str) -> None:
    tickets.forge(json.dumps(message("zendesk", ticket_id)))
    cloud.fault(service="queue", status=503)
    before = cloud.log.read_text()

    answer = await asyncio.to_thread(cloud.http.post, by_hand)

    assert answer.status_code == 200
    assert "shared.tickets.queue.QueueFailed: " in cloud.log.read_text()[len(before) :]
    assert [(left.queue, left.visible_in_s) for left in tickets.queue()] == [("follow-up", 0)]
    await asyncio.to_thread(cloud.http.post, by_hand)
    assert len(tickets.notes("zendesk", ticket_id)) == 1


async def test_a_process_that_is_killed_in_a_run_loses_nothing(
    by_hand: str, cloud: LocalCloud, tickets: Tickets, ticket_id: str
) -> None:
    """The note was written, the follow-up not yet deleted. The next process finds the note."""
    tickets.forge(json.dumps(message("zendesk", ticket_id)))
    cloud.fault(service="queue", method="DELETE", delay_s=FAR_S, status=503)
    async with anyio.create_task_group() as group:
        group.start_soon(asyncio.to_thread, cloud.http.post, by_hand)
        await wait_for_request(cloud, "queue", "DELETE")
        killed = await asyncio.to_thread(cloud.http.post, f"{cloud.description['controlUrl']}/kill")
    assert killed.status_code == 200
    assert len(tickets.notes("zendesk", ticket_id)) == 1
    [left] = tickets.queue()
    assert left.visible_in_s > 200

    cloud.clear_faults()
    tickets.wake()
    await asyncio.to_thread(cloud.http.post, by_hand)

    assert len(tickets.notes("zendesk", ticket_id)) == 1
    assert tickets.queue() == []
