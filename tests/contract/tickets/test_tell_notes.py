"""The note in a ticket: its text, in each system; and that it is written once, beside any other notes of the ticket."""

import json
import logging
import re
import time
from collections.abc import Iterator

import pytest

from shared.runtime import Runtime
from shared.settings import Settings
from tests.conftest import CUSTOMER
from tests.support.built_in_orders import LICENCE_CUSTOMER, subscription_of
from tests.support.forged_follow_ups import GUID, UNKNOWN_ORDER, key_of, marker, message, ticket_events
from tests.support.local_cloud import Json, LocalCloud
from tests.support.telling import TellingApp, Tickets, post_as, tell
from tests.support.ticket_agents import READABLE, SYSTEMS, agent_of, cases, ticket_of

pytestmark = pytest.mark.anyio

EACH_SYSTEM = pytest.mark.parametrize("system", cases(SYSTEMS))
EACH_READABLE = pytest.mark.parametrize("system", cases(READABLE))
REFUSED = "The request was refused: the product is of a kind or in a state"


@pytest.fixture(autouse=True)
def _audit(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cancel_order.audit")


@pytest.fixture
def licence(cloud: LocalCloud) -> Iterator[str]:
    """A licence's subscription, which is put back afterwards."""
    subscription_id = subscription_of("licence")
    before = cloud.subscription(subscription_id)
    yield subscription_id
    cloud.put(f"subscriptions/{subscription_id}", before)


@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_cancelled_order_is_told_with_its_products_and_ids(
    telling_app: TellingApp,
    tickets: Tickets,
    order_id: str,
    ticket_id: str,
    system: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ticket = ticket_of(system, ticket_id)
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": ticket}

    answer = await post_as(telling_app, system, body)
    await tell(telling_app)

    [note] = tickets.notes(system, ticket)
    sentence, ids, last = note.split("\n")
    correlation_id = answer.body["correlationId"]
    assert sentence == "Software 0, Software 1 and Software 2 are cancelled. Nothing is left to do."
    assert ids == f"Order {order_id}, customer {CUSTOMER}, correlation id {correlation_id}."
    assert last.startswith("[cancel-order ")
    assert " cancelled 20" in last
    assert tickets.queue() == []
    [event] = ticket_events(caplog)
    assert event.pop("time")
    assert 0 <= event.pop("ageS") < 60
    assert event == {
        "event": "told",
        "caller": system,
        "system": "webhook" if system == "standard-webhooks" else system,
        "ticketId": ticket,
        "state": "cancelled",
        "reason": None,
        "attempts": 1,
        "correlationId": correlation_id,
    }


@EACH_SYSTEM
async def test_a_refused_request_is_told_with_its_reason(
    telling_app: TellingApp, tickets: Tickets, ticket_id: str, system: str
) -> None:
    ticket = ticket_of(system, ticket_id)
    body = {"customerTenantId": CUSTOMER, "orderId": UNKNOWN_ORDER, "ticketId": ticket}

    answer = await post_as(telling_app, system, body)
    await tell(telling_app)

    assert answer.code == "order_not_found"
    [note] = tickets.notes(system, ticket)
    assert note.startswith("The request was refused: Partner Center knew no order with this id for this customer.")
    assert " refused:order_not_found 20" in note


@EACH_SYSTEM
async def test_a_request_with_mistakes_is_told_with_its_correlation_id_alone(
    telling_app: TellingApp, tickets: Tickets, ticket_id: str, system: str
) -> None:
    """There is no request that could be named: the note has the correlation id alone."""
    ticket = ticket_of(system, ticket_id)

    answer = await post_as(telling_app, system, {"customerTenantId": "nobody", "ticketId": ticket})
    await tell(telling_app)

    assert answer.code == "invalid_request"
    [note] = tickets.notes(system, ticket)
    sentence, ids, _ = note.split("\n")
    assert sentence.startswith("The request was refused: it had mistakes")
    assert ids == f"Correlation id {answer.body['correlationId']}."


@EACH_SYSTEM
async def test_a_scheduled_end_is_told_as_the_answer_says_it(
    telling_app: TellingApp, tickets: Tickets, licence: str, ticket_id: str, system: str
) -> None:
    ticket = ticket_of(system, ticket_id)
    body = {
        "customerTenantId": LICENCE_CUSTOMER,
        "subscriptionId": licence,
        "when": "term_end",
        "ticketId": ticket,
    }

    answer = await post_as(telling_app, system, body)
    await tell(telling_app)

    assert answer.outcome == "scheduled"
    [note] = tickets.notes(system, ticket)
    assert note.split("\n")[0] == answer.body["message"]
    assert "and then ends; it does not renew." in note
    assert f"Subscription {licence}, customer {LICENCE_CUSTOMER}, correlation id " in note
    assert " scheduled 20" in note


@EACH_SYSTEM
async def test_a_dry_run_is_told_as_the_answer_says_it(
    telling_app: TellingApp, tickets: Tickets, cloud: LocalCloud, order_id: str, ticket_id: str, system: str
) -> None:
    ticket = ticket_of(system, ticket_id)
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": ticket, "dryRun": True}

    answer = await post_as(telling_app, system, body)
    await tell(telling_app)

    [note] = tickets.notes(system, ticket)
    assert note.split("\n")[0] == answer.body["message"]
    assert note.startswith("This was a trial run; nothing was changed.")
    assert re.search(r" dry_run:[0-9a-f]{8} 20", note)
    assert set(cloud.methods()) == {"GET"}


@EACH_SYSTEM
async def test_a_second_dry_run_is_told_if_it_shows_something_else(
    telling_app: TellingApp, tickets: Tickets, cloud: LocalCloud, order_id: str, ticket_id: str, system: str
) -> None:
    ticket = ticket_of(system, ticket_id)
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": ticket, "dryRun": True}

    for _ in range(2):
        await post_as(telling_app, system, body)
        await tell(telling_app)
    assert len(tickets.notes(system, ticket)) == 1

    cloud.age(f"orders/{order_id}", 400)
    await post_as(telling_app, system, body)
    await tell(telling_app)
    first, second = tickets.notes(system, ticket)
    assert first.split("\n")[0] != second.split("\n")[0]


@EACH_SYSTEM
async def test_a_refusal_right_after_a_dry_run_is_told_too(
    telling_app: TellingApp, tickets: Tickets, order_id: str, ticket_id: str, system: str
) -> None:
    """Both are told in one run, the dry run first: by a look that is later than the refusal."""
    ticket = ticket_of(system, ticket_id)
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "account": "default"}
    await post_as(telling_app, system, body | {"ticketId": ticket, "dryRun": True})
    tickets.forge(json.dumps(message(system, ticket, request=body | {"dryRun": False})))

    await tell(telling_app)

    dry_run, refused = tickets.notes(system, ticket)
    assert dry_run.startswith("This was a trial run; nothing was changed.")
    assert refused.startswith(REFUSED)


@EACH_SYSTEM
async def test_an_open_end_is_told_once_the_order_is_cancelled(
    telling_app: TellingApp, tickets: Tickets, cloud: LocalCloud, order_id: str, ticket_id: str, system: str
) -> None:
    """The worker does not learn that its PATCH was carried out."""
    ticket = ticket_of(system, ticket_id)
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": ticket}
    cloud.fault(method="PATCH", path=order_id, status=200, body="unreadable")

    answer = await post_as(telling_app, system, body)
    tickets.wake()
    await tell(telling_app)

    assert answer.outcome == "pending"
    assert tickets.notes(system, ticket) == []
    [waiting] = tickets.queue()
    assert waiting.content is not None
    assert (waiting.content["looks"], waiting.content["code"]) == (1, None)

    await post_as(telling_app, system, body | {"ticketId": None})  # another request cancels it
    tickets.wake()
    await tell(telling_app)

    [note] = tickets.notes(system, ticket)
    assert note.startswith("Software 0, Software 1 and Software 2 are cancelled.")
    assert tickets.queue() == []


# A note is written once.


@EACH_SYSTEM
async def test_two_deliveries_of_a_request_make_one_note(
    telling_app: TellingApp, tickets: Tickets, order_id: str, ticket_id: str, system: str
) -> None:
    ticket = ticket_of(system, ticket_id)
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": ticket}

    outcomes = [(await post_as(telling_app, system, body)).outcome for _ in range(2)]
    await tell(telling_app)
    outcomes.append((await post_as(telling_app, system, body)).outcome)
    await tell(telling_app)

    assert outcomes == ["cancelled", "already_cancelled", "already_cancelled"]
    assert len(tickets.notes(system, ticket)) == 1
    assert tickets.queue() == []


@EACH_SYSTEM
async def test_a_run_that_was_killed_after_its_note_makes_no_second_one(
    telling_app: TellingApp,
    telling_settings: Settings,
    tickets: Tickets,
    order_id: str,
    ticket_id: str,
    system: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its message shows again, and another worker takes it, who knows nothing of the first."""
    ticket = ticket_of(system, ticket_id)
    await post_as(telling_app, system, {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": ticket})
    [left] = tickets.queue()
    await tell(telling_app)
    before = tickets.notes(system, ticket)

    tickets.forge(left.text)
    async with Runtime(telling_settings) as runtime:
        await runtime.tell_tickets()

    assert tickets.notes(system, ticket) == before
    assert len(before) == 1
    assert tickets.queue() == []
    if system in READABLE:
        assert [event["event"] for event in ticket_events(caplog)] == ["told"]


@EACH_SYSTEM
async def test_twenty_copies_at_once_make_one_note(
    telling_app: TellingApp, tickets: Tickets, ticket_id: str, system: str
) -> None:
    """More than a run takes at once."""
    ticket = ticket_of(system, ticket_id)
    copy = json.dumps(message(system, ticket))
    for _ in range(20):
        tickets.forge(copy)

    await tell(telling_app)

    [note] = tickets.notes(system, ticket)
    assert note.startswith(REFUSED)
    assert tickets.queue() == []


async def test_each_of_many_tickets_in_one_run_gets_its_note(
    telling_app: TellingApp, tickets: Tickets, ticket_id: str
) -> None:
    """Each ticket gets its own notes, in the order of what was decided."""
    names = [(system, ticket_of(system, f"{ticket_id}{number}")) for system in SYSTEMS for number in range(8)]
    for system, ticket in names:
        tickets.forge(json.dumps(message(system, ticket)))

    await tell(telling_app)

    assert [len(tickets.notes(system, ticket)) for system, ticket in names] == [1] * len(names)
    assert tickets.queue() == []


# Markers: which notes count.

HOUR_S = 3600.0
SAME, OTHER = "refused:not_cancellable", "refused:order_not_found"


@EACH_READABLE
@pytest.mark.parametrize(
    ("state", "later_s", "is_private", "is_written"),
    [
        pytest.param(SAME, -HOUR_S, True, False, id="says the same"),
        pytest.param(SAME, 60, True, False, id="says the same, decided later"),
        pytest.param(OTHER, 60, True, False, id="says something else, decided later"),
        pytest.param(OTHER, -HOUR_S, True, True, id="says something else, decided before"),
        pytest.param(SAME, -HOUR_S, False, True, id="public"),
        pytest.param(OTHER, 60, False, True, id="public, decided later"),
        pytest.param(SAME, 2 * HOUR_S, True, True, id="from the future"),
        pytest.param(OTHER, 2 * HOUR_S, True, True, id="something else from the future"),
    ],
)
async def test_a_note_that_says_nothing_new_is_not_written(
    telling_app: TellingApp,
    telling_cloud: LocalCloud,
    tickets: Tickets,
    ticket_id: str,
    system: str,
    state: str,
    later_s: float,
    is_private: bool,
    is_written: bool,
) -> None:
    ticket = ticket_of(system, ticket_id)
    content = message(system, ticket, decidedAt=round(time.time() - HOUR_S, 3))
    with agent_of(system, telling_cloud.description) as agent:
        agent.write(ticket, marker(key_of(content), state, content["decidedAt"] + later_s), is_private=is_private)

    tickets.forge(json.dumps(content))
    await tell(telling_app)

    notes = texts(telling_cloud, system, ticket)
    assert [note.startswith(REFUSED) for note in notes] == [False, True][: 1 + is_written]
    assert tickets.queue() == []


@EACH_READABLE
@pytest.mark.parametrize(
    "change",
    [
        {"caller": "nobody"},
        {"ticketId": "1"},
        {"request": None, "code": "invalid_request"},
        {"request": {"customerTenantId": GUID, "orderId": UNKNOWN_ORDER, "account": "default"}},
        {"request": {"customerTenantId": CUSTOMER, "orderId": UNKNOWN_ORDER, "account": "production"}},
        {"request": {"customerTenantId": CUSTOMER, "orderId": UNKNOWN_ORDER[:-1] + "2", "account": "default"}},
        {"request": {"customerTenantId": CUSTOMER, "subscriptionId": GUID, "account": "default"}},
    ],
    ids=["caller", "ticket", "no request", "customer", "account", "order", "subscription"],
)
async def test_a_note_about_something_else_does_not_count(
    telling_app: TellingApp, telling_cloud: LocalCloud, tickets: Tickets, ticket_id: str, system: str, change: Json
) -> None:
    ticket = ticket_of(system, ticket_id)
    content = message(system, ticket)
    with agent_of(system, telling_cloud.description) as agent:
        agent.write(ticket, marker(key_of(content | change), SAME, content["decidedAt"] - 60))

    tickets.forge(json.dumps(content))
    await tell(telling_app)

    assert len(tickets.notes(system, ticket)) == 2


@EACH_READABLE
@pytest.mark.parametrize(
    "broken",
    [
        "[cancel-order KEY refused:not_cancellable 2026-13-41T25:61:00.000Z]",
        "[cancel-order KEY refused:not_cancellable 2026-11-28T10:00:00Z]",
        "[cancel-order KEY refused:not_cancellable]",
        "cancel-order KEY refused:not_cancellable 2026-11-28T10:00:00.000Z",
        "[cancel-order KEY refused:not_cancellable; 2026-11-28T10:00:00.000Z]",
    ],
)
async def test_a_broken_marker_does_not_count(
    telling_app: TellingApp, telling_cloud: LocalCloud, tickets: Tickets, ticket_id: str, system: str, broken: str
) -> None:
    ticket = ticket_of(system, ticket_id)
    content = message(system, ticket)
    with agent_of(system, telling_cloud.description) as agent:
        agent.write(ticket, broken.replace("KEY", key_of(content)))

    tickets.forge(json.dumps(content))
    await tell(telling_app)

    assert len(tickets.notes(system, ticket)) == 2


@EACH_READABLE
async def test_the_newest_note_counts_wherever_it_stands(
    telling_app: TellingApp, telling_cloud: LocalCloud, tickets: Tickets, ticket_id: str, system: str
) -> None:
    """Decided at 10, 30 and 20 minutes: the second says what is so now."""
    ticket = ticket_of(system, ticket_id)
    content = message(system, ticket)
    start, key = content["decidedAt"] - HOUR_S, key_of(content)
    with agent_of(system, telling_cloud.description) as agent:
        for minutes, state in ((10, OTHER), (30, SAME), (20, OTHER)):
            agent.write(ticket, marker(key, state, start + 60 * minutes))

    tickets.forge(json.dumps(content))
    await tell(telling_app)

    assert len(tickets.notes(system, ticket)) == 3


@EACH_READABLE
async def test_notes_of_agents_in_between_change_nothing(
    telling_app: TellingApp,
    telling_cloud: LocalCloud,
    tickets: Tickets,
    order_id: str,
    ticket_id: str,
    system: str,
) -> None:
    """They are no reason to write again, and none to keep silent about what is new."""
    ticket = ticket_of(system, ticket_id)
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": ticket}
    with agent_of(system, telling_cloud.description) as agent:
        agent.write(ticket, "Customer wants it cancelled.")
        for dry_run in (True, True, False, False, True):
            await post_as(telling_app, system, body | {"dryRun": dry_run})
            agent.write(ticket, "Looks good.\n[cancel-order] is what we use.")
            await tell(telling_app)

    ours = [note for note in tickets.notes(system, ticket) if "correlation id" in note]
    assert [note.split(".")[0] for note in ours] == [
        "This was a trial run; nothing was changed",
        "Software 0, Software 1 and Software 2 are cancelled",
    ]


@EACH_READABLE
async def test_the_note_is_found_among_hundreds_of_comments(
    telling_app: TellingApp, telling_cloud: LocalCloud, tickets: Tickets, ticket_id: str, system: str
) -> None:
    """The note is found on its page; two notes about other things are not taken for it."""
    ticket = ticket_of(system, ticket_id)
    content = message(system, ticket)
    copy = json.dumps(content)
    with agent_of(system, telling_cloud.description) as agent:
        for number in range(40):
            agent.write(ticket, f"Before, {number}.")
        tickets.forge(copy)
        await tell(telling_app)
        for number in range(210):
            agent.write(ticket, f"After, {number}.", is_private=number % 2 == 0)
        agent.write(ticket, marker("0" * 16, SAME, content["decidedAt"]))

    tickets.forge(copy)
    await tell(telling_app)

    notes = texts(telling_cloud, system, ticket)
    assert len(notes) == 252
    assert [number for number, note in enumerate(notes) if note.startswith(REFUSED)] == [40]
    assert tickets.queue() == []


def texts(cloud: LocalCloud, system: str, ticket_id: str) -> list[str]:
    """Return all notes of a ticket, public ones too."""
    answer = cloud.http.get(f"{cloud.description['controlUrl']}/tickets/{system}/{ticket_id}")
    found: list[Json] = answer.raise_for_status().json()["notes"]
    return [note["text"] for note in found]
