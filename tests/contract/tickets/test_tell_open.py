"""A request whose end nobody knows: the looks and their pauses, and the notes in between.

Instead of a wait each message is shown at once. Each pause may be shorter by the time that a test takes.
"""

import json
import logging
import time
from typing import NamedTuple

import pytest

from tests.conftest import CUSTOMER
from tests.support.forged_follow_ups import message, open_message, ticket_events
from tests.support.local_cloud import LocalCloud
from tests.support.telling import TellingApp, Tickets, post_as, tell
from tests.support.ticket_agents import SYSTEMS, cases, ticket_of

pytestmark = pytest.mark.anyio

EACH_SYSTEM = pytest.mark.parametrize("system", cases(SYSTEMS))
PAUSES_S = [120, 300, 900, 3_600, 21_600, 86_400]
OPEN = "It is not confirmed whether what the request asked for was done."
STILL_OPEN = "It is still not confirmed, after a day, whether what the request asked for was done"
SHORTER_S = 30  # a busy machine


class Look(NamedTuple):
    """One look: the pause after it, None after the last; and the first sentences of the notes so far."""

    pause_s: float | None
    notes: list[str]


@pytest.fixture(autouse=True)
def _audit(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cancel_order.audit")


async def look(app: TellingApp, tickets: Tickets, system: str, ticket: str) -> Look:
    """Look once, and return what came of it. The pause is one of PAUSES_S."""
    tickets.wake()
    await tell(app)
    waiting = tickets.queue()
    assert [left.queue for left in waiting] in ([], ["follow-up"])
    pause_s = None
    if waiting:
        [pause_s] = [pause for pause in PAUSES_S if pause - SHORTER_S < waiting[0].visible_in_s <= pause]
    return Look(pause_s, [note.split("\n")[0] for note in tickets.notes(system, ticket)])


@EACH_SYSTEM
async def test_an_open_end_is_told_at_the_fourth_and_at_the_last_look(
    telling_app: TellingApp,
    tickets: Tickets,
    cloud: LocalCloud,
    order_id: str,
    ticket_id: str,
    system: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A PATCH whose answer proves nothing, and an order that stays as it is."""
    ticket = ticket_of(system, ticket_id)
    cloud.fault(method="PATCH", path=order_id, status=200, body="unreadable")
    await post_as(telling_app, system, {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": ticket})
    cloud.forget_requests()

    looks = [await look(telling_app, tickets, system, ticket) for _ in range(7)]

    assert [found.pause_s for found in looks] == [*PAUSES_S, None]
    assert [len(found.notes) for found in looks] == [0, 0, 0, 1, 1, 1, 2]
    first, last = looks[-1].notes
    assert first.startswith(OPEN)
    assert last.startswith(STILL_OPEN)
    assert [(event["event"], event["state"]) for event in ticket_events(caplog)] == [
        ("told", "open"),
        ("told", "still_open"),
        ("still_open", "still_open"),
    ]
    assert set(cloud.methods()) == {"GET"}
    tickets.wake()
    await tell(telling_app)
    assert len(tickets.notes(system, ticket)) == 2


@EACH_SYSTEM
@pytest.mark.parametrize("looks_before", [1, 4, 6], ids=["before the first note", "after it", "at the last look"])
async def test_what_is_cancelled_in_between_is_told(
    telling_app: TellingApp, tickets: Tickets, order_id: str, ticket_id: str, system: str, looks_before: int
) -> None:
    ticket = ticket_of(system, ticket_id)
    tickets.forge(json.dumps(open_message(system, ticket, order_id)))
    for _ in range(looks_before):
        await look(telling_app, tickets, system, ticket)
    await post_as(telling_app, system, {"customerTenantId": CUSTOMER, "orderId": order_id})  # of no ticket

    found = await look(telling_app, tickets, system, ticket)

    assert found.pause_s is None
    *before, last = found.notes
    assert last == "Software 0, Software 1 and Software 2 are cancelled. Nothing is left to do."
    assert len(before) == (looks_before > 3)


@EACH_SYSTEM
async def test_no_note_says_open_after_a_repeat_was_refused(
    telling_app: TellingApp,
    tickets: Tickets,
    order_id: str,
    ticket_id: str,
    system: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The first request is still looked after, but nothing says that all is open, since a later note says more."""
    ticket = ticket_of(system, ticket_id)
    first = open_message(system, ticket, order_id, decidedAt=round(time.time() - 60, 3))
    tickets.forge(json.dumps(first))
    await look(telling_app, tickets, system, ticket)
    refused = message(system, ticket, request=first["request"], decidedAt=first["decidedAt"] + 1)
    tickets.forge(json.dumps(refused))
    await tell(telling_app)

    found = [await look(telling_app, tickets, system, ticket) for _ in range(6)]

    assert [look.pause_s for look in found] == [*PAUSES_S[1:], None]
    if system != "standard-webhooks":  # nobody can see there what was told
        [note] = found[-1].notes
        assert note.startswith("The request was refused: the product is of a kind or in a state")
        assert [event["event"] for event in ticket_events(caplog)] == ["told"]


@EACH_SYSTEM
async def test_a_repeat_whose_end_is_open_too(
    telling_app: TellingApp, tickets: Tickets, order_id: str, ticket_id: str, system: str
) -> None:
    """The first request's last note says that nobody looks any longer, and asks for the repeat."""
    ticket = ticket_of(system, ticket_id)
    found = []
    for ago_s in (200_000, 100_000):
        content = open_message(system, ticket, order_id, decidedAt=round(time.time() - ago_s, 3))
        tickets.forge(json.dumps(content))
        found += [await look(telling_app, tickets, system, ticket) for _ in range(7)]

    if system != "standard-webhooks":  # there the two requests' notes have the same ids
        assert [len(look.notes) for look in found] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4]
        assert [note[:20] for note in found[-1].notes] == [OPEN[:20], STILL_OPEN[:20]] * 2


@EACH_SYSTEM
async def test_a_dry_run_in_between(
    telling_app: TellingApp, tickets: Tickets, order_id: str, ticket_id: str, system: str
) -> None:
    """It shows how the order is now, and decides nothing about the request."""
    ticket = ticket_of(system, ticket_id)
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "account": "default", "ticketId": ticket}
    tickets.forge(json.dumps(open_message(system, ticket, order_id, decidedAt=round(time.time() - 60, 3))))
    await post_as(telling_app, system, body | {"dryRun": True})

    found = [await look(telling_app, tickets, system, ticket) for _ in range(7)]

    dry_run, first, last = found[-1].notes
    assert dry_run.startswith("This was a trial run; nothing was changed.")
    assert first.startswith(OPEN)
    assert last.startswith(STILL_OPEN)


@EACH_SYSTEM
async def test_a_repeat_that_cancels_what_was_refused_is_told_too(
    telling_app: TellingApp, tickets: Tickets, order_id: str, ticket_id: str, system: str
) -> None:
    ticket = ticket_of(system, ticket_id)
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "account": "default", "ticketId": ticket}
    tickets.forge(json.dumps(message(system, ticket, request=body | {"dryRun": False})))
    await tell(telling_app)
    await post_as(telling_app, system, body)
    await tell(telling_app)

    refused, cancelled = tickets.notes(system, ticket)
    assert refused.startswith("The request was refused")
    assert cancelled.startswith("Software 0, Software 1 and Software 2 are cancelled.")


@pytest.mark.parametrize(
    ("service", "path"), [("partner_center", "/orders/"), ("entra", "")], ids=["Partner Center", "Entra ID"]
)
async def test_a_look_that_fails_is_made_again(
    telling_app: TellingApp,
    tickets: Tickets,
    cloud: LocalCloud,
    order_id: str,
    ticket_id: str,
    service: str,
    path: str,
) -> None:
    """Though the order is cancelled, nothing is told before a look has shown it."""
    cloud.fault(service=service, path=path, status=503, headers={"retry-after": "59"}, times=100)
    tickets.forge(json.dumps(open_message("zendesk", ticket_id, order_id)))

    found = await look(telling_app, tickets, "zendesk", ticket_id)

    assert found == (120, [])
