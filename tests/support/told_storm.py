"""A storm of tickets that are told: they are delivered again and again while everything fails, and workers are killed.

One in five of the requests behind the function fails, of each service, by scripts from a fixed seed. Beside that
somebody else writes into the tickets of Zendesk. The timer runs all the time; at the end it runs until the queue is
empty. Nobody can wait for a day, so messages are shown before their time.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import httpx

from infra.local.senders.deliveries import SENDERS, Delivery
from tests.support.answers import Answer
from tests.support.functions_host import audit_records
from tests.support.licences import SEATS
from tests.support.local_cloud import KEEP_ALL, Json, LocalCloud, running
from tests.support.stand_in_clients import send_control, tls_context
from tests.support.storm import (
    ACCOUNTS,
    CREDENTIAL_FAULTS,
    NETWORK_FAULTS,
    PATCH_FAULTS,
    PAUSE_S,
    PREFERENCES,
    Fault,
    ask_for_script,
    script,
)
from tests.support.storm_tickets import ADDED_SEATS, LicenceTicket
from tests.support.storm_told_tickets import CANCELLED, ToldTicket, new_ticket, write_catalogue
from tests.support.telling import Message, Tickets
from tests.support.told_notes import deliver, marker_of, run_timer

SEED = 20_261_130
ONE_IN = 7  # tickets is delivered once; kinds and systems have other periods
ATTEMPTS = 4  # at most, of a delivery
FAULTS_AHEAD = 100  # requests of each kind for which the faults are drawn
LAST_ROUNDS = 60
WAKE_EVERY = 3  # rounds, while tickets are delivered
FOREVER = 1_000_000

QUEUE_DOWN: Json = {"hang_up": "before"}
QUEUE_FAULTS = {
    "hang-up (not done)": Fault(3, QUEUE_DOWN),
    "hang-up (done)": Fault(3, {"hang_up": "after"}),
    "half a body": Fault(1, {"hang_up": "halfway"}),
    "500": Fault(2, {"status": 500}),
    "busy": Fault(2, {"status": 503, "headers": {"x-ms-error-code": "ServerBusy"}}),
    "late": Fault(2, {"delay_s": 0.3}),
    "too late": Fault(1, {"delay_s": 1.5}),
}
TICKETING_FAULTS = {
    name: NETWORK_FAULTS[name]
    for name in ("hang-up (not done)", "hang-up (done)", "half a body", "500", "502 HTML", "late", "429 for 1 s")
}
CONFLICT: Json = {"status": 409, "body": {"error": "UpdateConflict"}}
# Without long pauses: messages of one ticket are handled one after the other.
READ_FAULTS = {
    name: fault for name, fault in NETWORK_FAULTS.items() if name not in {"too late", "slow body", "429 for 1 s"}
}
READS_BEHIND = {"reads behind": Fault(3, {"behind": 3})}
# The scripts: the requests that each is about, and the faults that it draws from.
SCRIPTS: dict[tuple[str, str | None], Mapping[str, Fault]] = {
    ("partner_center", "GET"): READ_FAULTS,
    ("partner_center", "PATCH"): PATCH_FAULTS | READS_BEHIND,
    ("queue", None): QUEUE_FAULTS,
    ("ticketing", "GET"): TICKETING_FAULTS,
    ("ticketing", "POST"): TICKETING_FAULTS,
    ("ticketing", "PUT"): TICKETING_FAULTS | {"409": Fault(4, CONFLICT)},
    ("identity", None): CREDENTIAL_FAULTS,
    ("key_vault", None): CREDENTIAL_FAULTS,
    ("entra", None): CREDENTIAL_FAULTS,
}


class Size(NamedTuple):
    """The size of a storm.

    Attributes:
        in_flight: deliveries at once.
        outages: of the queue, of ten requests each.
        stormy_runs: runs of the timer after the last delivery while things still fail.
    """

    tickets: int
    deliveries: int
    kills: int
    outages: int
    comments: int
    in_flight: int
    stormy_runs: int


class Call(NamedTuple):
    """One attempt of a delivery. *answer* is None if the connection broke."""

    ticket: ToldTicket
    answer: Answer | None


@dataclass
class Note:
    """A private note as it was first seen. *was_done*: what the ticket asks for was done then."""

    text: str
    was_done: bool

    def __post_init__(self) -> None:
        self.key, self.state, self.decided_at = marker_of(self.text)


@dataclass
class Storm:
    """The record of a storm.

    Attributes:
        calls: every attempt, in the order of its end.
        notes: of each ticket, by its system and id, the oldest first.
        patched_at: when the first PATCH arrived that may have changed an order or subscription, by its id.
        lost_writes: writes of notes, by system, whose answer did not come or was seen too late.
        left: messages in the queue at the end.
        poison: messages in the poison queue at the end.
        put_back: those that were put back once their ticket could be written to.
        records: of the audit log.
    """

    size: Size
    tickets: list[ToldTicket]
    closed: ToldTicket
    calls: list[Call] = field(default_factory=list)
    notes: dict[tuple[str, str], list[Note]] = field(default_factory=dict)
    patched_at: dict[str, float] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    lost_writes: int = 0
    left: list[Message] = field(default_factory=list)
    poison: list[Message] = field(default_factory=list)
    done: set[str] = field(default_factory=set)
    records: list[Json] = field(default_factory=list)
    rounds: int = 0
    seconds: float = 0.0

    def notes_of(self, ticket: ToldTicket) -> list[Note]:
        return self.notes.get((ticket.system, ticket.ticket_id), [])


def run_storm(directory: Path, size: Size) -> Storm:
    """Run a storm in a cloud of its own."""
    tickets = [new_ticket(number, ACCOUNTS[number % len(ACCOUNTS)]) for number in range(size.tickets)]
    closed = next(ticket for ticket in tickets if ticket.system == "zendesk")
    options = write_catalogue(directory, tickets)
    with running(directory, "--callers", "--no-replay", *options) as cloud:
        cloud.http.timeout = 120
        for account in ("expired", "no-secret"):
            cloud.repair(account)
        storm = Storm(size, tickets, closed)
        began = time.monotonic()
        _Weather(cloud, storm).run()
        storm.seconds = time.monotonic() - began
    storm.records = audit_records(cloud.log.read_text())  # the log is whole only now
    return storm


class _Weather:
    """Everything that happens to one cloud."""

    def __init__(self, cloud: LocalCloud, storm: Storm) -> None:
        self._cloud = cloud
        self._storm = storm
        self._size = storm.size
        self._tickets = Tickets(cloud)
        self._chance = random.Random(SEED)  # noqa: S311  (nothing is secret here)
        self._ended = threading.Event()
        self._deliveries_done = 0
        self._seen_until = 0.0

    def run(self) -> None:
        self._ask_for_seats()
        for kind in SCRIPTS:
            self._ask_for_faults(kind, FAULTS_AHEAD)
        self._tickets.set_status(self._storm.closed.system, self._storm.closed.ticket_id, "closed")
        with ThreadPoolExecutor(3) as others:
            under_way = [others.submit(each) for each in (self._run_timer_again_and_again, self._kill, self._comment)]
            try:
                self._deliver_all()
            finally:
                self._ended.set()
            for each in under_way:
                each.result()
        self._drain()
        poison = self._tickets.queue("follow-up-poison")
        self._tickets.set_status(self._storm.closed.system, self._storm.closed.ticket_id, "open")
        for message in poison:
            self._tickets.forge(message.text)
        self._drain()
        self._storm.poison = self._tickets.queue("follow-up-poison")
        self._storm.left = self._tickets.queue("follow-up")
        self._storm.done = {ticket.ticket_id for ticket in self._storm.tickets if ticket.is_done(self._cloud)}

    # Deliveries.

    def _deliver_all(self) -> None:
        tickets, count = self._storm.tickets, self._size.deliveries
        often = [ticket for number, ticket in enumerate(tickets) if number % ONE_IN != 1]
        more = [often[number % len(often)] for number in range(count - len(tickets))]
        deliveries = [(ticket, number) for number, ticket in enumerate(tickets + more)]
        self._chance.shuffle(deliveries)
        with ThreadPoolExecutor(self._size.in_flight) as senders:
            for calls in senders.map(lambda delivery: self._deliver(*delivery), deliveries):
                self._storm.calls += calls

    def _deliver(self, ticket: ToldTicket, number: int) -> list[Call]:
        """Send one delivery as its system does it, which may repeat it."""
        chance = random.Random(f"{SEED}/{number}")  # noqa: S311
        delivery, calls = Delivery(), list[Call]()
        for _ in range(ATTEMPTS):
            answer, repeats = None, True
            with suppress(httpx.TransportError):
                found = deliver(self._cloud, ticket.system, ticket.body, delivery, **chance.choice(PREFERENCES))
                answer = Answer.of(found)
                after = answer.retry_after
                repeats = SENDERS[ticket.system].react(answer.status, int(after) if after else None).repeats
            calls.append(Call(ticket, answer))
            if not repeats:
                break
            time.sleep(chance.random() * PAUSE_S)
        self._deliveries_done += 1
        return calls

    # Faults.

    def _ask_for_seats(self) -> None:
        """Somebody else adds seats while the first PATCH for some tickets is lost."""
        for ticket in self._storm.tickets:
            if isinstance(ticket.target, LicenceTicket) and (come_with := ticket.target.seats_come_with):
                more = self._cloud.subscription(ticket.target.asked[-1]) | {"quantity": SEATS + ADDED_SEATS}
                method, path = come_with
                self._cloud.fault(method=method, path=path, hang_up="before", put_subscription=more)

    def _ask_for_faults(self, kind: tuple[str, str | None], count: int) -> None:
        service, method = kind
        requests = {"service": service} | ({"method": method} if method else {})
        ask_for_script(self._cloud, script(self._chance, SCRIPTS[kind], count), {}, **requests)

    def _kill(self) -> None:
        """Kill the worker from time to time, by the number of deliveries that are done."""
        for number in range(self._size.kills):
            if self._wait_for_deliveries((number + 0.5) / self._size.kills):
                send_control(self._cloud, "POST", "kill").raise_for_status()

    def _wait_for_deliveries(self, share: float) -> bool:
        """Return True once this share of the deliveries is done, False if the storm has ended."""
        while self._deliveries_done < share * self._size.deliveries:
            if self._ended.wait(0.02):
                return False
        return True

    def _comment(self) -> None:
        """Write into tickets of Zendesk as somebody else, with the marker of a note that says *cancelled*."""
        tickets = [
            ticket for ticket in self._storm.tickets if ticket.system == "zendesk" and ticket is not self._storm.closed
        ]
        chance = random.Random(SEED)  # noqa: S311
        with _zendesk_client(self._cloud) as client:
            for number in range(self._size.comments):
                if not self._wait_for_deliveries((number + 0.5) / self._size.comments):
                    return
                ticket = chance.choice(tickets)
                notes = self._storm.notes_of(ticket)
                stolen = notes[-1].text.replace(notes[-1].state, CANCELLED) if notes else "When?"
                comment = {"ticket": {"comment": {"body": stolen, "public": True}}}
                with suppress(httpx.TransportError):  # a fault met it
                    client.put(f"/api/v2/tickets/{ticket.ticket_id}.json", json=comment)

    # The timer.

    def _run_timer_again_and_again(self) -> None:
        outages = {round((number + 1) * 3) for number in range(self._size.outages)}
        while not self._ended.wait(0.1):
            self._storm.rounds += 1
            if self._storm.rounds in outages:
                self._cloud.fault(service="queue", times=10, **QUEUE_DOWN)
            if self._storm.rounds % WAKE_EVERY == 0:
                self._tickets.wake()
            self._run_timer()

    def _drain(self) -> None:
        """Run the timer until the queue is empty, with faults for a while."""
        for number in range(LAST_ROUNDS):
            if number == self._size.stormy_runs:
                self._cloud.clear_faults()
            self._tickets.wake()
            self._run_timer(with_faults=number < self._size.stormy_runs)
            if not self._tickets.queue("follow-up"):
                return

    def _run_timer(self, *, with_faults: bool = True) -> None:
        """Run the timer once, which a kill may end, and look at what it has written."""
        run_timer(self._cloud)
        for kind, count in self._read_requests().items():
            if with_faults:
                self._ask_for_faults(kind, count)
        for ticket in self._storm.tickets:
            self._look_at(ticket)

    def _read_requests(self) -> Counter[tuple[str, str | None]]:
        """Note what the requests since the last look say. Return how many there were for each script."""
        counts = Counter[tuple[str, str | None]]()
        found: list[Json] = send_control(self._cloud, "GET", f"requests?since={self._seen_until}").json()
        for request in found:
            self._seen_until = request["time"]
            service, method = request["service"], request["method"]
            self._storm.requests[service] += 1
            kind = (service, method if (service, method) in SCRIPTS else None)
            if kind in SCRIPTS:
                counts[kind] += 1
            is_open = request["status"] is None
            if service == "partner_center" and method == "PATCH" and (is_open or request["status"] < 300):
                target = request["path"].partition("?")[0].rpartition("/")[2]
                self._storm.patched_at.setdefault(target, request["time"])
            if service == "ticketing" and method in {"POST", "PUT"} and is_open:
                self._storm.lost_writes += 1
        return counts

    def _look_at(self, ticket: ToldTicket) -> None:
        """Note new private notes of *ticket*, and whether they are true now."""
        seen = self._storm.notes.setdefault((ticket.system, ticket.ticket_id), [])
        found = send_control(self._cloud, "GET", f"tickets/{ticket.system}/{ticket.ticket_id}").json()["notes"]
        new = [note["text"] for note in found if note["private"]][len(seen) :]
        is_done = bool(new) and ticket.is_done(self._cloud)
        seen += [Note(text, is_done) for text in new]


@contextmanager
def _zendesk_client(cloud: LocalCloud) -> Iterator[httpx.Client]:
    """A client of Zendesk that has a token."""
    tell = cloud.description["callers"]["zendesk"]["tell"]
    credentials = {"client_id": tell["clientId"], "client_secret": tell["secretValue"]}
    more = {"grant_type": "client_credentials", "scope": "tickets:read tickets:write"}
    with httpx.Client(base_url=tell["url"], verify=tls_context(cloud), trust_env=False, limits=KEEP_ALL) as client:
        while "Authorization" not in client.headers:
            with suppress(httpx.HTTPError):  # a fault met it
                answer = client.post("/oauth/tokens", json=credentials | more).raise_for_status()
                client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client
