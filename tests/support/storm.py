"""A storm: many tickets, each delivered ten times, while the services behind the function fail again and again.

Callers repeat for as long as the answer says so, as a webhook does. One in five of the requests to the
services behind the function fails, by a script drawn from a fixed seed: one script for each order or subscription
and method, one for each service that credentials come from.
"""

import itertools
import json
import random
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.support.answers import Answer
from tests.support.licences import SEATS, write_subscriptions
from tests.support.local_cloud import Json, LocalCloud, running, write_orders
from tests.support.storm_tickets import ADDED_SEATS, AnyTicket, LicenceTicket, new_ticket

SEED = 20_261_121
DELIVERIES = 10  # of each ticket
IN_FLIGHT = 64
FAULTY = 0.2  # of the requests behind the function
SCRIPTED = 100  # requests of one kind for software; more are not made
SCRIPTED_FOR_LICENCES = 30  # for each licence, of which a ticket may have five
LIMIT_S = 300.0
PAUSE_S = 0.2  # at most, between repeats; Retry-After may say 59
REQUESTS_PER_MINUTE = 20  # of each account, while Partner Center throttles
THROTTLING_LIMIT_S = 60.0  # in which the first caller must get a 429
PREFERENCES: tuple[dict[str, str], ...] = ({}, {"prefer": "wait=1"}, {"prefer": "wait=2"}, {"prefer": "wait=20"})

# Each account has a gate of its own for 429. The last two are set up to fail; the storm repairs them first.
ACCOUNTS = ("default", "production", "expired", "no-secret")

REPEATED = frozenset({429, 503})
CANCELLED = frozenset({"cancelled", "partially_cancelled", "already_cancelled"})


class Fault(NamedTuple):
    """A fault as `POST /faults` takes it. *weight* is how often it comes, compared with the others."""

    weight: int
    control: Json


# With a status, the stand-in answers that and does nothing. Without one, it carries out the request first.
NETWORK_FAULTS = {
    "hang-up (not done)": Fault(3, {"hang_up": "before"}),
    "hang-up (done)": Fault(3, {"hang_up": "after"}),
    "half a body": Fault(2, {"hang_up": "halfway"}),
    "500": Fault(2, {"status": 500}),
    "502 HTML": Fault(2, {"status": 502, "headers": {"content-type": "text/html"}, "body": "<html>Bad Gateway</html>"}),
    "503 with a byte order mark": Fault(
        2, {"status": 503, "body": '\ufeff{"code": "800003", "description": "Unexpected."}'}
    ),
    "408": Fault(2, {"status": 408}),
    "late": Fault(2, {"delay_s": 0.3}),
    "too late": Fault(1, {"delay_s": 3}),
    "slow body": Fault(1, {"slow_s": 3}),
    "429 for 1 s": Fault(2, {"status": 429, "headers": {"retry-after": "1"}}),
}
PATCH_FAULTS = NETWORK_FAULTS | {
    "garbage (done)": Fault(1, {"body": "garbage"}),
    "garbage (not done)": Fault(1, {"status": 200, "body": "garbage"}),
}
FAULTS_OF = {"GET": NETWORK_FAULTS, "PATCH": PATCH_FAULTS}
CREDENTIAL_FAULTS = {
    name: NETWORK_FAULTS[name] for name in ("hang-up (not done)", "hang-up (done)", "half a body", "500", "late")
}
REFUSED_TOKEN: Json = {"status": 401}  # once for each order and method: after two in one call the answer is final


class Variant(NamedTuple):
    """A kind of Partner Center. *replays*: it knows a repeated MS-RequestId. *throttles*: 429 for a while."""

    replays: bool
    throttles: bool

    def __str__(self) -> str:
        return f"{'replay' if self.replays else 'no-replay'}-{'throttled' if self.throttles else 'unthrottled'}"


class Size(NamedTuple):
    """The number of tickets of a storm, and the seconds for which Partner Center throttles after the first 429."""

    tickets: int
    throttled_s: float


VARIANTS = [Variant(replays, throttles) for replays in (True, False) for throttles in (False, True)]


class Call(NamedTuple):
    """One call and its answer. *was_done*: what it asked for, right after an answer that calls it cancelled."""

    ticket: AnyTicket
    answer: Answer
    was_done: bool | None


@dataclass(frozen=True)
class Storm:
    """All calls, the requests that arrived at the services, and the orders and subscriptions at the end, by ticket."""

    variant: Variant
    tickets: list[AnyTicket]
    calls: list[Call]
    requests: list[Json]
    states: dict[str, Json]


def run_storm(variant: Variant, directory: Path, size: Size) -> Storm:
    """Run one storm in a cloud of its own."""
    tickets = [new_ticket(number, ACCOUNTS[number % len(ACCOUNTS)]) for number in range(size.tickets)]
    licences = [ticket.licences for ticket in tickets if isinstance(ticket, LicenceTicket)]
    folders = {
        "--orders": write_orders(directory / "orders", (ticket.order for ticket in tickets)),
        "--subscriptions": write_subscriptions(directory / "subscriptions", licences),
    }

    limit = REQUESTS_PER_MINUTE if variant.throttles else 0
    options = [*itertools.chain(*folders.items()), "--requests-per-minute", str(limit)]
    with running(directory, *options, *([] if variant.replays else ["--no-replay"])) as cloud:
        for account in ("expired", "no-secret"):
            cloud.repair(account)
        _ask_for_faults(cloud, tickets, throttles=variant.throttles)
        calls = _deliver_all(cloud, tickets, size.throttled_s if variant.throttles else 0.0)
        states = {ticket.name: ticket.state(cloud) for ticket in tickets}
        return Storm(variant, tickets, calls, cloud.requests(), states)


def _deliver_all(cloud: LocalCloud, tickets: list[AnyTicket], throttled_s: float) -> list[Call]:
    """Deliver each ticket several times, in random order.

    Partner Center throttles for *throttled_s* more after a caller got a 429: a slow machine needs long to get there.
    """
    deliveries = [(ticket, number) for ticket in tickets for number in range(DELIVERIES)]
    random.Random(SEED).shuffle(deliveries)  # noqa: S311  (nothing is secret here)
    throttled = threading.Event()
    with ThreadPoolExecutor(IN_FLIGHT) as callers:
        under_way = [callers.submit(_deliver, cloud, ticket, number, throttled) for ticket, number in deliveries]
        if throttled_s:
            throttled.wait(THROTTLING_LIMIT_S)
            wait(under_way, throttled_s)
        cloud.put("limits", {"requestsPerMinute": 0})
        return [call for delivery in under_way for call in delivery.result()]


def _deliver(cloud: LocalCloud, ticket: AnyTicket, number: int, throttled: threading.Event) -> list[Call]:
    """Call the function for *ticket* until an answer is final. Set *throttled* if one says so."""
    chance = random.Random(f"{SEED}/{ticket.name}/{number}")  # noqa: S311
    limit = time.monotonic() + LIMIT_S
    calls: list[Call] = []
    while (not calls or calls[-1].answer.status in REPEATED) and time.monotonic() < limit:
        answer = Answer.of(cloud.post(ticket.body, **chance.choice(PREFERENCES)))
        was_done = ticket.is_done(ticket.state(cloud)) if answer.result in CANCELLED else None
        calls.append(Call(ticket, answer, was_done))
        if answer.result == "throttled":
            throttled.set()
        if answer.retry_after:
            time.sleep(min(float(answer.retry_after), PAUSE_S))
    return calls


def _ask_for_faults(cloud: LocalCloud, tickets: list[AnyTicket], *, throttles: bool) -> None:
    """Ask the local cloud for all faults to come."""
    # Partner Center's own Retry-After is up to a minute, which is too long for a test.
    common: Json = {"headers": {"retry-after": "1"}} if throttles else {}
    chance = random.Random(SEED)  # noqa: S311
    for ticket in tickets:
        for method, path in ticket.paths:
            if (method, path) == ticket.seats_come_with:
                more = cloud.subscription(ticket.asked[-1]) | {"quantity": SEATS + ADDED_SEATS}
                cloud.fault(method=method, path=path, hang_up="before", put_subscription=more)
            count = SCRIPTED_FOR_LICENCES if isinstance(ticket, LicenceTicket) else SCRIPTED
            faults = script(chance, FAULTS_OF[method], count, with_refused_token=True)
            ask_for_script(cloud, faults, common, method=method, path=path)
    for service in ("identity", "key_vault", "entra"):
        ask_for_script(cloud, script(chance, CREDENTIAL_FAULTS), {}, service=service)
    if throttles:
        cloud.fault(times=1_000_000, **common)


def script(
    chance: random.Random, faults: Mapping[str, Fault], count: int = SCRIPTED, *, with_refused_token: bool = False
) -> Iterator[Json]:
    """Yield *count* faults for one request each; most of them are empty and let the request pass."""
    weights = [fault.weight for fault in faults.values()]
    refused_at = chance.randrange(DELIVERIES) if with_refused_token else None
    for number in range(count):
        if number == refused_at:
            yield REFUSED_TOKEN
        elif chance.random() < FAULTY:
            yield chance.choices([fault.control for fault in faults.values()], weights)[0]
        else:
            yield {}


def ask_for_script(cloud: LocalCloud, faults: Iterator[Json], common: Json, **requests: str) -> None:
    """Ask for *faults*, with one request for equal ones that follow each other."""
    for _, alike in itertools.groupby(faults, key=json.dumps):
        equal = list(alike)
        cloud.fault(**requests, **common | equal[0], times=len(equal))
