"""The look and the queue while a ticket is told, and follow-ups that cannot be told. As in test_tell_faults.py."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator

import anyio
import pytest
from azure.identity import ManagedIdentityCredential
from azure.storage.queue import QueueClient

from shared.connections.pool import Connections
from shared.credentials.cached_secrets import storage_tokens
from shared.runtime import Runtime
from shared.settings import Settings
from shared.tickets.intent import TEXT_SPARE_BYTES
from shared.tickets.queue import TEXT_LIMIT_BYTES, Queue, QueueFailed
from shared.tickets.tell import HANDED_OUT
from tests.conftest import CUSTOMER
from tests.support.fault_matrix.telling import (
    FOLLOW_UPS,
    LOOK,
    QUEUE,
    TAKEN_OFTEN,
    TOLD,
    End,
    QueueRow,
)
from tests.support.forged_follow_ups import message, open_message, ticket_events
from tests.support.local_cloud import Json, LocalCloud
from tests.support.telling import TellingApp, Tickets, post_as, tell
from tests.support.told_tickets import (
    FAR_S,
    ToldTicket,
    refused_in_each,
    tell_later,
)
from tests.support.waiting import wait_for_request

pytestmark = pytest.mark.anyio

DAY_S = 86_400.0


@pytest.fixture(autouse=True)
def _audit(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cancel_order.audit")


# The look.


@pytest.mark.parametrize(("control", "end"), LOOK.values(), ids=map(" ".join, LOOK))
async def test_a_look_that_fails_tells_nothing_and_is_made_again(
    telling_app: TellingApp,
    telling_settings: Settings,
    cloud: LocalCloud,
    tickets: Tickets,
    order_id: str,
    ticket_id: str,
    control: Json,
    end: End,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The order is cancelled, and nobody knows; another request was refused, and that is told without a look."""
    async with Runtime(telling_settings) as runtime:
        await post_as(
            TellingApp(runtime, cloud.description), "jira", {"customerTenantId": CUSTOMER, "orderId": order_id}
        )
    ticket = ToldTicket(tickets, open_message("zendesk", ticket_id, order_id))
    [refused] = refused_in_each(tickets, ("jira",), ticket_id)
    cloud.fault(**control, times=1000)

    await tell(telling_app)

    ticket.check(end, ticket_events(caplog))
    refused.check(TOLD, ticket_events(caplog))
    cloud.clear_faults()
    await tell_later(tickets, telling_settings)
    [note] = ticket.notes
    assert note.startswith("Software 0, Software 1 and Software 2 are cancelled.")


# The queue.


@pytest.mark.parametrize("row", QUEUE.values(), ids=map(" ".join, QUEUE))
async def test_a_fault_of_the_queue_loses_and_repeats_no_note(
    telling_app: TellingApp,
    telling_settings: Settings,
    cloud: LocalCloud,
    tickets: Tickets,
    order_id: str,
    ticket_id: str,
    row: QueueRow,
    caplog: pytest.LogCaptureFixture,
) -> None:
    kind, control, end = row
    content = open_message("zendesk", ticket_id, order_id) if kind == "open" else message("zendesk", ticket_id)
    ticket = ToldTicket(tickets, content)
    if kind == "poison":
        tickets.set_status("zendesk", ticket_id, "missing")
    cloud.fault(**{"service": "queue"} | control)

    if end.run_fails:
        with pytest.raises(QueueFailed):
            await tell(telling_app)
    else:
        await tell(telling_app)

    ticket.check(end, [event for event in ticket_events(caplog) if not end.again_s])
    cloud.clear_faults()
    tickets.set_status("zendesk", ticket_id, "open")
    if kind == "open":
        await post_as(telling_app, "zendesk", {"customerTenantId": CUSTOMER, "orderId": order_id})
    await tell_later(tickets, telling_settings)
    assert len(ticket.notes) == 1


@pytest.mark.parametrize("kind", ["told", "open", "poison"])
async def test_a_follow_up_that_is_gone_meanwhile_fails_no_run(
    telling_app: TellingApp, cloud: LocalCloud, tickets: Tickets, order_id: str, ticket_id: str, kind: str
) -> None:
    """Another has deleted it while the run was at it. The run ends well, and nothing is told twice."""
    ticket_path, patch = f"/tickets/{ticket_id}.json", {"service": "ticketing", "path": f"/tickets/{ticket_id}.json"}
    if kind == "open":
        patch, ticket_path = {"service": "partner_center", "path": f"/orders/{order_id}"}, f"/orders/{order_id}"
    content = open_message("zendesk", ticket_id, order_id) if kind == "open" else message("zendesk", ticket_id)
    ticket = ToldTicket(tickets, content)
    if kind == "poison":
        tickets.set_status("zendesk", ticket_id, "missing")
    cloud.fault(**patch, delay_s=FAR_S)

    async with anyio.create_task_group() as group:
        group.start_soon(tell, telling_app)
        await wait_for_request(cloud, str(patch["service"]), None, ticket_path)
        await asyncio.to_thread(tickets.clear)
        await asyncio.to_thread(cloud.clear_faults)

    assert len(ticket.notes) == (kind == "told")
    assert [left.queue for left in tickets.queue()] == ["follow-up-poison"] * (kind == "poison")


def compact(content: Json) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


@pytest.fixture
async def queue(telling_settings: Settings) -> AsyncIterator[Queue]:
    connections, tokens = Connections(), storage_tokens(telling_settings)
    yield Queue(telling_settings.queue_service_uri, connections, tokens)
    tokens.close()
    await connections.aclose()


@pytest.mark.parametrize("kind", ["told", "poison"])
async def test_the_longest_follow_up_has_room_for_its_counters_and_reason(
    telling_app: TellingApp, cloud: LocalCloud, tickets: Tickets, queue: Queue, ticket_id: str, kind: str
) -> None:
    """With the longest text that a call puts there is room for the counters and the reason."""
    content = message("zendesk", ticket_id)
    lines = [{"lineItemNumber": number, "offerId": "x"} for number in range(1_000)]
    content["request"] = content["request"] | {"lineItems": lines}
    for line in lines:
        missing = TEXT_LIMIT_BYTES - TEXT_SPARE_BYTES - len(compact(content))
        line["offerId"] = "x" * min(1 + missing, 200)
    text = compact(content)
    assert len(text) == TEXT_LIMIT_BYTES - TEXT_SPARE_BYTES
    await queue.put(text, 0)
    cloud.fault(service="ticketing", status=503)
    await tell(telling_app)
    tickets.wake()
    if kind == "poison":
        tickets.set_status("zendesk", ticket_id, "missing")

    await tell(telling_app)

    assert len(tickets.notes("zendesk", ticket_id)) == (kind == "told")
    left = [(entry.queue, (entry.content or {})["reason"]) for entry in tickets.queue()]
    assert left == ([] if kind == "told" else [("follow-up-poison", "ticket_not_found")])


async def test_a_follow_up_that_grows_too_long_is_poisoned_as_it_is(
    telling_app: TellingApp, tickets: Tickets, queue: Queue, ticket_id: str
) -> None:
    """Another's, which has letters that are longer when they are written in our form."""
    content = message("halo", ticket_id)
    lines = [{"lineItemNumber": number, "offerId": "€" * 150} for number in range(90)]
    content["request"] = content["request"] | {"lineItems": lines}
    text = json.dumps(content, ensure_ascii=False)
    await queue.put(text.encode(), 0)

    await tell(telling_app)

    assert [(left.queue, left.text) for left in tickets.queue()] == [("follow-up-poison", text)]


@pytest.mark.long
async def test_a_follow_up_that_was_handed_out_too_often_is_poisoned(
    telling_app: TellingApp, tickets: Tickets, queue: Queue, ticket_id: str
) -> None:
    """One that ends each run would come back for ever."""
    [ticket] = refused_in_each(tickets, ("zendesk",), ticket_id)
    for _ in range(HANDED_OUT):
        assert len(await queue.take(1)) == 1
        tickets.wake()

    await tell(telling_app)

    [left] = tickets.queue()
    assert left.queue == "follow-up-poison"
    assert left.content == ticket.content | {"reason": FOLLOW_UPS[TAKEN_OFTEN].reason}
    assert f"{HANDED_OUT:,} times" in TAKEN_OFTEN


async def test_a_follow_up_that_is_not_in_base64_is_one_too(
    telling_app: TellingApp, telling_settings: Settings, tickets: Tickets, ticket_id: str
) -> None:
    """Some tools put a text back as it is. One that is no follow-up keeps its text."""
    identity = ManagedIdentityCredential(client_id=telling_settings.azure_client_id)
    with identity, QueueClient(str(telling_settings.queue_service_uri), "follow-up", credential=identity) as client:
        await asyncio.to_thread(client.send_message, json.dumps(message("zendesk", ticket_id)))
        await asyncio.to_thread(client.send_message, "<&> is no follow-up")

    await tell(telling_app)

    assert len(tickets.notes("zendesk", ticket_id)) == 1
    assert [(left.queue, left.text) for left in tickets.queue()] == [("follow-up-poison", "<&> is no follow-up")]


async def test_a_message_that_is_too_long_for_base64_is_cut(
    telling_app: TellingApp, telling_settings: Settings, tickets: Tickets
) -> None:
    """A message has up to 64 KiB. It would come back every five minutes."""
    identity = ManagedIdentityCredential(client_id=telling_settings.azure_client_id)
    with identity, QueueClient(str(telling_settings.queue_service_uri), "follow-up", credential=identity) as client:
        await asyncio.to_thread(client.send_message, "!" * 64 * 1024)

    await tell(telling_app)

    assert [(left.queue, left.text) for left in tickets.queue()] == [("follow-up-poison", "!" * 48 * 1024)]


# The follow-up itself.


def bad_follow_up(fault: str, ticket_id: str) -> Json:
    content = message("zendesk", ticket_id, code=None)
    changes: dict[str, Json] = {
        "no caller of this name": {"caller": "nobody"},
        "a caller without `tell`": {"caller": "halo"},
        "a ticket id of another form": {"ticketId": f"IT-{ticket_id}"},
        "a customer that the account may not use": {"request": content["request"] | {"account": "limited"}},
        "an account that is off": {"request": content["request"] | {"account": "closed"}},
        "an account that is not there": {"request": content["request"] | {"account": "nobody"}},
        "a text in another form": {"unknown": 1},
        "a time in the future": {"decidedAt": time.time() + DAY_S},
        "a ticketing system that has failed for a day": {
            "code": "not_cancellable",
            "failures": 5,
            "decidedAt": time.time() - DAY_S - 1,
        },
    }
    return content | changes[fault]


@pytest.mark.parametrize("fault", [fault for fault in FOLLOW_UPS if fault != TAKEN_OFTEN])
async def test_a_follow_up_that_cannot_be_told_is_poisoned_with_its_reason(
    telling_app: TellingApp,
    cloud: LocalCloud,
    tickets: Tickets,
    ticket_id: str,
    fault: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    content = bad_follow_up(fault, ticket_id)
    tickets.forge(json.dumps(content))
    cloud.fault(service="ticketing", status=503)

    await tell(telling_app)

    [left] = tickets.queue()
    [event] = ticket_events(caplog)
    reason = FOLLOW_UPS[fault].reason
    assert left.queue == "follow-up-poison"
    assert (event["event"], event["reason"]) == ("poisoned", reason)
    assert left.content == (content if reason == "message_unreadable" else content | {"reason": reason})
    assert cloud.requests("partner_center", "PATCH") == []
