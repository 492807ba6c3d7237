"""Faults while a ticket is told: no follow-up is lost, and in the end the ticket is told exactly once.

The tables are those of docs/when-things-break.md (tests/support/fault_matrix/telling.py). After each fault the test
looks where the follow-up is and what is in the ticket. Then the fault ends, time passes (each message shows at once),
and what is in the poison queue is put back as it is, as the operator does.
"""

import asyncio
import json
import logging
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import httpx
import pytest

from shared.connections.pool import Connections
from shared.credentials.cached_secrets import vault_secrets
from shared.settings import Settings
from shared.ticketing.note import Marker, Note
from shared.ticketing.system import TellFailed, write_once
from shared.ticketing.systems import open_system
from tests.support.fault_matrix.telling import (
    AGAIN,
    OF_OTHERS,
    OF_ZENDESK,
    TICKETING,
    TOKEN,
    TOLD,
    End,
    Row,
    poisoned,
)
from tests.support.forged_follow_ups import key_of, marker, message, ticket_events
from tests.support.local_cloud import Json, LocalCloud
from tests.support.telling import TellingApp, Tickets, tell
from tests.support.ticket_agents import READABLE, SYSTEMS, agent_of
from tests.support.told_tickets import (
    FAR_S,
    LIMIT_S,
    OTHERS,
    OTHERS_READABLE,
    WEBHOOK,
    ToldTicket,
    check_nothing_went_elsewhere,
    refused_in_each,
    requests_of,
    tell_later,
)
from tests.support.waiting import wait_for_request

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _audit(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cancel_order.audit")


def rows(table: dict[str, Row], systems: tuple[str, ...], *, is_reading: bool = False) -> list[Any]:
    """Return the cases for the rows: each with one system, by turns, and a long one with all of *systems*.

    The webhook is there too where its end is another one. Only long are those that wait for a time limit, and every
    second fault of a reading.
    """
    waits = {"timeout (not done)", "slow body"}
    cases = []
    for n, (name, row) in enumerate(table.items()):
        if is_reading and not row.reading:
            continue
        by_turns = {systems[n % len(systems)]} | ({WEBHOOK} if row.webhook else set())
        some = tuple(system for system in systems if system in by_turns)
        is_usual = name not in waits and not (is_reading and n % 2)
        if is_usual:
            cases.append(pytest.param(row, some, id=name))
        if not is_usual or some != systems:
            cases.append(pytest.param(row, systems, id=f"{name} in each", marks=pytest.mark.long))
    return cases


@contextmanager
def stand_in_client(cloud: LocalCloud) -> Iterator[httpx.Client]:
    trust = ssl.create_default_context(cafile=cloud.description["caFile"])
    with httpx.Client(verify=trust, trust_env=False, timeout=LIMIT_S) as http:
        yield http


@pytest.mark.parametrize(
    ("row", "systems"),
    [
        *rows(TICKETING, READABLE, is_reading=True),
        *rows(OF_ZENDESK, ("zendesk",), is_reading=True),
        *rows(OF_OTHERS, OTHERS_READABLE, is_reading=True),
    ],
)
async def test_a_fault_while_the_notes_are_read_loses_and_repeats_no_note(
    telling_app: TellingApp,
    telling_settings: Settings,
    cloud: LocalCloud,
    tickets: Tickets,
    ticket_id: str,
    row: Row,
    systems: tuple[str, ...],
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert row.reading
    told = refused_in_each(tickets, systems, ticket_id)
    for ticket in told:
        cloud.fault(**requests_of(ticket.system, ticket.ticket_id, is_reading=True), **row.control)

    await tell(telling_app)

    for ticket in told:
        ticket.check(row.reading, ticket_events(caplog))
    check_nothing_went_elsewhere(cloud)
    cloud.clear_faults()
    await tell_later(tickets, telling_settings)
    assert [len(ticket.notes) for ticket in told] == [1] * len(told)


@pytest.mark.parametrize(
    ("row", "systems"),
    [*rows(TICKETING, SYSTEMS), *rows(OF_ZENDESK, ("zendesk",)), *rows(OF_OTHERS, OTHERS)],
)
async def test_a_fault_while_the_note_is_written_loses_and_repeats_no_note(
    telling_app: TellingApp,
    telling_settings: Settings,
    cloud: LocalCloud,
    tickets: Tickets,
    ticket_id: str,
    row: Row,
    systems: tuple[str, ...],
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = refused_in_each(tickets, systems, ticket_id)
    for ticket in told:
        cloud.fault(**requests_of(ticket.system, ticket.ticket_id, is_reading=False), **row.control)

    await tell(telling_app)

    ends = [row.webhook if ticket.system == WEBHOOK and row.webhook else row.writing for ticket in told]
    for ticket, end in zip(told, ends, strict=True):
        ticket.check(end, ticket_events(caplog))
    check_nothing_went_elsewhere(cloud)
    cloud.clear_faults()
    await tell_later(tickets, telling_settings)
    # A webhook's receiver that says 2xx and does nothing cannot be told from one that has the note.
    assert [len(ticket.notes) for ticket in told] == [int(end != End()) for end in ends]


@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_ticket_that_is_gone_is_told_once_it_is_back(
    telling_app: TellingApp,
    telling_settings: Settings,
    tickets: Tickets,
    ticket_id: str,
    system: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Also one that is deleted or hidden from the function's account. It comes back."""
    [ticket] = refused_in_each(tickets, (system,), ticket_id)
    tickets.set_status(system, ticket.ticket_id, "missing")

    await tell(telling_app)

    ticket.check(poisoned("ticket_not_found"), ticket_events(caplog))
    tickets.set_status(system, ticket.ticket_id, "open")
    await tell_later(tickets, telling_settings)
    assert len(ticket.notes) == 1


@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_closed_ticket_is_told_once_it_is_open_again(
    telling_app: TellingApp,
    telling_settings: Settings,
    tickets: Tickets,
    ticket_id: str,
    system: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Zendesk takes no comment for it; the others do."""
    [ticket] = refused_in_each(tickets, (system,), ticket_id)
    tickets.set_status(system, ticket.ticket_id, "closed")

    await tell(telling_app)

    ticket.check(poisoned("note_refused") if system == "zendesk" else TOLD, ticket_events(caplog))
    tickets.set_status(system, ticket.ticket_id, "open")
    await tell_later(tickets, telling_settings)
    assert len(ticket.notes) == 1


@pytest.mark.parametrize("system", READABLE)
async def test_a_note_that_was_written_meanwhile_is_repeated_at_most_once(
    telling_app: TellingApp, telling_cloud: LocalCloud, tickets: Tickets, ticket_id: str, system: str
) -> None:
    """Zendesk refuses the second by its version; elsewhere there can be two, and no more later."""
    [ticket] = refused_in_each(tickets, (system,), ticket_id)
    telling_cloud.fault(**requests_of(system, ticket.ticket_id, is_reading=False), delay_s=FAR_S)
    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(tell, telling_app)
            asked = requests_of(system, ticket.ticket_id, is_reading=False)
            await wait_for_request(telling_cloud, "ticketing", asked["method"], asked["path"])
            with agent_of(system, telling_cloud.description) as agent:
                text = marker(key_of(ticket.content), "refused:not_cancellable", ticket.content["decidedAt"])
                await asyncio.to_thread(agent.write, ticket.ticket_id, text)
            await asyncio.to_thread(telling_cloud.clear_faults)

    assert len(ticket.notes) == (1 if system == "zendesk" else 2)
    assert tickets.queue() == []
    tickets.forge(json.dumps(ticket.content))
    await tell(telling_app)
    assert len(ticket.notes) == (1 if system == "zendesk" else 2)


@pytest.mark.parametrize(
    "body",
    [{}, [], "", 1, None, {"comments": [{"id": "x"}]}, {"comments": [{"id": None}]}, {"conversations": 1}, [[1]] * 100],
    ids=json.dumps,
)
async def test_a_page_of_another_form_is_no_page_of_notes(
    telling_app: TellingApp,
    telling_settings: Settings,
    cloud: LocalCloud,
    tickets: Tickets,
    ticket_id: str,
    body: object,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """JSON that is no page of notes. Only a list can be one at Freshdesk, where it means that there are no notes."""
    told = refused_in_each(tickets, READABLE, ticket_id)
    for ticket in told:
        asked = requests_of(ticket.system, ticket.ticket_id, is_reading=True)
        cloud.fault(**asked, status=200, body=body)

    await tell(telling_app)

    for ticket in told:
        is_no_page = ticket.system in {"zendesk", "jira"} or not isinstance(body, list)
        ticket.check(AGAIN if is_no_page else TOLD, ticket_events(caplog))
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    cloud.clear_faults()
    await tell_later(tickets, telling_settings)
    assert [len(ticket.notes) for ticket in told] == [1] * len(told)


@pytest.mark.parametrize(("control", "end"), TOKEN.values(), ids=TOKEN)
async def test_a_fault_of_zendesks_token_loses_no_note(
    telling_app: TellingApp,
    telling_settings: Settings,
    cloud: LocalCloud,
    tickets: Tickets,
    ticket_id: str,
    control: Json,
    end: End,
    caplog: pytest.LogCaptureFixture,
) -> None:
    [ticket] = refused_in_each(tickets, ("zendesk",), ticket_id)
    cloud.fault(service="ticketing", method="POST", path="/oauth/tokens", **control)

    await tell(telling_app)

    ticket.check(end, ticket_events(caplog))
    check_nothing_went_elsewhere(cloud)
    cloud.clear_faults()
    await tell_later(tickets, telling_settings)
    assert len(ticket.notes) == 1


@pytest.mark.parametrize("life", [0, -1, 59, "1800", None, True, 1e308, 10**400], ids=repr)
async def test_the_life_of_zendesks_token_can_be_anything(
    telling_app: TellingApp, cloud: LocalCloud, tickets: Tickets, ticket_id: str, life: object
) -> None:
    """At worst each request fetches a token of its own."""
    tell_setting = cloud.description["callers"]["zendesk"]["tell"]
    grant = {
        "grant_type": "client_credentials",
        "client_id": tell_setting["clientId"],
        "client_secret": tell_setting["secretValue"],
        "scope": "tickets:read tickets:write",
    }
    with stand_in_client(cloud) as http:
        token = http.post(f"{tell_setting['url']}/oauth/tokens", json=grant).json()["access_token"]
    body = json.dumps({"access_token": token, "expires_in": life})
    cloud.fault(service="ticketing", path="/oauth/tokens", status=200, body=body, times=9)
    [ticket] = refused_in_each(tickets, ("zendesk",), ticket_id)

    await tell(telling_app)

    assert len(ticket.notes) == 1


async def test_a_system_that_fails_for_long_is_given_up_after_a_day_alone(
    telling_app: TellingApp, cloud: LocalCloud, tickets: Tickets, ticket_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried each minute, 90 times here. It is given up after a day, not after some number of attempts."""
    [ticket] = refused_in_each(tickets, ("freshdesk",), ticket_id)
    cloud.fault(service="ticketing", status=429, headers={"retry-after": "60"}, times=1000)

    for _ in range(90):
        await tell(telling_app)
        tickets.wake()

    assert [left.queue for left in tickets.queue()] == ["follow-up"]
    assert ticket_events(caplog) == []
    cloud.clear_faults()
    await tell(telling_app)
    assert len(ticket.notes) == 1


@pytest.mark.parametrize("system", ["zendesk", "jira"])
async def test_a_system_whose_answers_come_slowly_has_failed(
    telling_settings: Settings, cloud: LocalCloud, ticket_id: str, system: str
) -> None:
    """Each answer comes in time, all of them together do not."""
    assert telling_settings.callers
    tell_setting = telling_settings.callers[system].tell
    assert tell_setting
    note = Note(Marker("0" * 16, "refused:not_cancellable", time.time()), "No.", {})
    ticket = f"IT-{ticket_id}" if system == "jira" else ticket_id
    cloud.fault(service="ticketing", delay_s=0.4, times=1000)
    connections, secrets = Connections(), vault_secrets(telling_settings)

    with pytest.raises(TellFailed) as failed:
        await write_once(open_system(tell_setting, connections, secrets), ticket, note, within_s=0.6)

    assert (failed.value.reason, failed.value.is_permanent) == ("no_answer", False)
    secrets.close()
    await connections.aclose()


async def test_a_failure_beyond_the_largest_count_is_followed_by_another_try(
    telling_app: TellingApp, cloud: LocalCloud, tickets: Tickets, ticket_id: str
) -> None:
    ticket = ToldTicket(tickets, message("freshdesk", ticket_id, failures=1_000))
    for _ in range(2):
        cloud.fault(service="ticketing", status=503)
        await tell(telling_app)
        tickets.wake()

    await tell(telling_app)

    assert len(ticket.notes) == 1
    assert tickets.queue() == []
