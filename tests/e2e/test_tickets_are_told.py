"""Tickets are told how their requests ended, by the whole function in a process of its own, which is killed, too.

The timer's schedule is off, but for the test of it: a run of the real host's schedule can take a follow-up just before
the run that a test asks for, which then finds nothing and is over before the note is written.
"""

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from infra.local.senders.templates import SYSTEMS, Ticket, render
from infra.local.tickets.systems import SYSTEMS as TOLD_SYSTEMS
from tests.conftest import CUSTOMER
from tests.support.answers import Answer
from tests.support.functions_host import NEEDS_ONE_RUN_AT_A_TIME, audit_records, logged_errors
from tests.support.local_cloud import Json, LocalCloud, order_id_of, running, software_order, write_orders
from tests.support.stand_in_clients import LONG_S, send_control
from tests.support.telling import Tickets
from tests.support.told_notes import deliver, state_of, tell, tell_until
from tests.support.waiting import wait_until

ORDERS = 60
NOT_TOLD_SYSTEMS = sorted(set(SYSTEMS) - set(TOLD_SYSTEMS))
A_MINUTE_S = 60.0
SPARE_S = 30.0  # for the run itself, on a busy machine
SCHEDULE_IS_OFF = {"AzureWebJobs.tell_ticket.Disabled": "true"}
WRITES = {"path": r"/notes$|/comment$|/invoke|/tickets/[0-9]+\.json$"}  # of notes, with PUT or POST
# A kill finds the change made, with its answer on the way, or not made. A fault holds the request meanwhile.
MADE: Json = {"slow_s": LONG_S, "body_bytes": 1_000}
NOT_MADE: Json = {"delay_s": LONG_S, "hang_up": "before"}


@pytest.fixture(scope="module")
def whole_cloud_of_tickets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    directory = tmp_path_factory.mktemp("told")
    orders = (software_order(order_id_of(f"told-{number:02}"), CUSTOMER, lines=2) for number in range(ORDERS))
    options = ("--callers", "--orders", write_orders(directory / "orders", orders))
    with running(directory, *options, **SCHEDULE_IS_OFF) as cloud:
        yield cloud


@pytest.fixture
def cloud(whole_cloud_of_tickets: LocalCloud) -> LocalCloud:
    whole_cloud_of_tickets.forget()
    return whole_cloud_of_tickets


@pytest.fixture
def tickets(cloud: LocalCloud) -> Tickets:
    return Tickets(cloud)


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return iter(range(ORDERS))


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(len(TOLD_SYSTEMS)) as threads:
        yield threads


def order_of(number: int) -> str:
    return order_id_of(f"told-{number:02}")


def body_of(system: str, ticket: Ticket, *, dry_run: bool = False) -> bytes:
    """Return the body that *system* sends; that of Standard Webhooks has no template."""
    if system in SYSTEMS:
        return render(system, ticket, dry_run=dry_run)
    lines = {"lineItems": [{"lineItemNumber": int(line)} for line in ticket.lines.split(",")]} if ticket.lines else {}
    request = {"customerTenantId": ticket.customer_tenant_id, "orderId": ticket.order_id, "ticketId": ticket.key}
    return json.dumps(request | lines | {"dryRun": dry_run}).encode()


def send(cloud: LocalCloud, system: str, ticket: Ticket, *, dry_run: bool = False) -> Answer:
    return Answer.of(deliver(cloud, system, body_of(system, ticket, dry_run=dry_run)))


def ticket_id(system: str, ticket: Ticket) -> str:
    return str(json.loads(body_of(system, ticket))["ticketId"])


# What agents ask for, with the outcome or code of the answer and the state of the note.
ASKED: dict[str, tuple[Json, str, str]] = {
    "whole order": ({}, "cancelled", "cancelled"),
    "a line": ({"lines": "1"}, "partially_cancelled", "cancelled"),
    "dry run": ({"dry_run": True}, "dry_run", "dry_run"),
    "unknown order": ({"order_id": order_id_of("unknown")}, "order_not_found", "refused:order_not_found"),
    "no order": ({"order_id": ""}, "invalid_request", "refused:invalid_request"),
}


@pytest.mark.parametrize("system", TOLD_SYSTEMS)
def test_a_ticket_is_told_how_its_request_ended(
    cloud: LocalCloud, tickets: Tickets, numbers: Iterator[int], system: str
) -> None:
    sent: dict[str, tuple[Ticket, Answer]] = {}
    for name, (asked, result, _) in ASKED.items():
        number = next(numbers)
        members: Json = {"order_id": order_of(number), "number": 1_000 + number, **asked}
        dry_run = members.pop("dry_run", False)
        ticket = Ticket(CUSTOMER, **members)
        answer = send(cloud, system, ticket, dry_run=dry_run)
        assert answer.result == result, name
        sent[name] = ticket, answer

    tell(cloud)

    for name, (ticket, answer) in sent.items():
        told = tickets.notes(system, ticket_id(system, ticket))
        assert [state_of(note) for note in told] == [ASKED[name][2]], name
        assert answer.body["correlationId"] in told[0]
        assert ticket.order_id in told[0]
    assert tickets.queue() == []


@pytest.mark.parametrize("system", NOT_TOLD_SYSTEMS)
def test_a_caller_without_a_way_back_leaves_nothing_in_the_queue(
    cloud: LocalCloud, tickets: Tickets, numbers: Iterator[int], system: str
) -> None:
    assert send(cloud, system, Ticket(CUSTOMER, order_of(next(numbers)))).outcome == "cancelled"

    assert tickets.queue() == []
    assert cloud.requests("queue", "POST") == []


def kill_during_patch(
    cloud: LocalCloud, tickets: Tickets, background: ThreadPoolExecutor, ticket: Ticket, fault: Json
) -> None:
    """Kill the function after its PATCH for *ticket* has met *fault* and its intent is in the queue."""
    cloud.fault(method="PATCH", **fault)
    call = background.submit(send, cloud, "zendesk", ticket)
    wait_until(lambda: cloud.requests("partner_center", "PATCH"), "no PATCH arrived")
    wait_until(lambda: tickets.queue("follow-up"), "no intent is in the queue")

    assert send_control(cloud, "POST", "kill").status_code == 200
    assert isinstance(call.exception(LONG_S), httpx.TransportError)


def test_a_worker_killed_after_the_change_leaves_a_ticket_that_is_told(
    cloud: LocalCloud, tickets: Tickets, background: ThreadPoolExecutor, numbers: Iterator[int]
) -> None:
    number = next(numbers)
    kill_during_patch(cloud, tickets, background, Ticket(CUSTOMER, order_of(number), number=number), MADE)
    assert cloud.order(order_of(number))["status"] == "cancelled"
    assert [message.content["code"] for message in tickets.queue() if message.content] == [None]

    tell(cloud)
    assert tickets.notes("zendesk", str(number)) == [], "the call could still be running"
    tickets.wake()
    tell(cloud)

    assert [state_of(note) for note in tickets.notes("zendesk", str(number))] == ["cancelled"]
    assert tickets.queue() == []


def test_a_worker_killed_before_the_change_tells_nothing_that_is_not_true(
    cloud: LocalCloud, tickets: Tickets, background: ThreadPoolExecutor, numbers: Iterator[int]
) -> None:
    """The end is open until the sender repeats the request."""
    number = next(numbers)
    ticket = Ticket(CUSTOMER, order_of(number), number=number)
    kill_during_patch(cloud, tickets, background, ticket, NOT_MADE)

    def states() -> list[str]:
        return [state_of(note) for note in tickets.notes("zendesk", str(number))]

    tickets.wake()
    tell(cloud)
    assert states() == [], "a note after one look"
    tell_until(cloud, states, "no note says that the end is open")
    assert states() == ["open"]
    assert cloud.order(order_of(number))["status"] == "completed"

    assert send(cloud, "zendesk", ticket).outcome == "cancelled"
    tell_until(cloud, lambda: not tickets.queue(), "a message stays")
    assert states() == ["open", "cancelled"]


@NEEDS_ONE_RUN_AT_A_TIME
@pytest.mark.parametrize("fault", [MADE, NOT_MADE], ids=["note written", "note not written"])
def test_a_worker_killed_while_it_tells_tickets_tells_each_once(
    cloud: LocalCloud, tickets: Tickets, background: ThreadPoolExecutor, numbers: Iterator[int], fault: Json
) -> None:
    """Its messages show again. The next run sees the notes that are written, or the receiver does."""
    ids: dict[str, str] = {}
    for system in TOLD_SYSTEMS:
        number = next(numbers)
        ticket = Ticket(CUSTOMER, order_of(number), number=number)
        assert send(cloud, system, ticket).outcome == "cancelled"
        ids[system] = ticket_id(system, ticket)
    for method in ("PUT", "POST"):
        cloud.fault(service="ticketing", method=method, times=len(TOLD_SYSTEMS), **WRITES, **fault)

    run: Future[httpx.Response] = background.submit(send_control, cloud, "POST", "timers/tell_ticket")
    wait_until(lambda: len(writes(cloud)) == len(TOLD_SYSTEMS), "not every note is on its way")
    assert send_control(cloud, "POST", "kill").status_code == 200
    assert run.result().status_code in {200, 502}, "the run was the schedule's, or ended with the process"
    cloud.clear_faults()
    assert len(tickets.queue("follow-up")) == len(TOLD_SYSTEMS)

    tell_until(cloud, lambda: not tickets.queue(), "a message stays")

    for system, own_id in ids.items():
        assert [state_of(note) for note in tickets.notes(system, own_id)] == ["cancelled"], system


def writes(cloud: LocalCloud) -> list[Json]:
    return [
        request
        for method in ("PUT", "POST")
        for path in ("/notes", "/comment", "/invoke", ".json")
        for request in cloud.requests("ticketing", method)
        if request["path"].partition("?")[0].endswith(path)
    ]


@pytest.mark.long
def test_the_timer_runs_by_itself(tmp_path: Path) -> None:
    """It takes up to a minute."""
    order_id = order_id_of("told-by-schedule")
    orders = write_orders(tmp_path / "orders", [software_order(order_id, CUSTOMER)])
    with running(tmp_path, "--callers", "--orders", orders) as cloud:
        assert send(cloud, "zendesk", Ticket(CUSTOMER, order_id, number=1)).outcome == "cancelled"

        deadline = time.monotonic() + A_MINUTE_S + SPARE_S
        while not (told := Tickets(cloud).notes("zendesk", "1")) and time.monotonic() < deadline:
            time.sleep(0.5)

    assert [state_of(note) for note in told] == ["cancelled"]


def test_each_note_is_in_the_log_and_nothing_went_wrong(cloud: LocalCloud) -> None:
    records = audit_records(cloud.log.read_text())

    assert {record["event"] for record in records} == {"sending", "decided", "told"}
    assert logged_errors(cloud.log.read_text()) == []
