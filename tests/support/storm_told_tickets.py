"""The tickets of a storm that are told: what each asks for, by which system, and when that is done."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from infra.local.partner_center.resources import subscription_guid
from infra.local.tickets.systems import SYSTEMS
from tests.conftest import CUSTOMER
from tests.support.built_in_orders import LICENCE_CUSTOMER
from tests.support.licences import write_subscriptions
from tests.support.local_cloud import Json, LocalCloud, order_id_of, write_orders
from tests.support.storm_tickets import AnyTicket, LicenceTicket, SoftwareTicket

FIRST_NUMBER = 5_000
TOO_OLD = subscription_guid("licence-20-days-old")  # it cannot be cancelled
# What becomes of a request that Partner Center carries out. Others are refused, whatever happens on the way.
CANCELLED, SCHEDULED, UNCHANGED = "cancelled", "scheduled", "unchanged"


@dataclass(frozen=True)
class ToldTicket:
    """A ticket of *system*, whose request has *body*.

    *target*: what is to be cancelled, None if the request is refused. *end*: what becomes of it, in the states of
    notes. *accepts*: Partner Center answers each PATCH with 202.
    """

    system: str
    ticket_id: str
    kind: str
    body: bytes = field(repr=False)
    target: AnyTicket | None
    end: str = CANCELLED
    accepts: bool = False

    @cached_property
    def targets(self) -> list[str]:
        """The ids by which PATCHes change what is asked for: all of a request by its order, or each subscription."""
        if isinstance(self.target, LicenceTicket):
            return self.target.asked
        return [self.target.order_id] if self.target else []

    def is_done(self, cloud: LocalCloud) -> bool:
        """Return whether Partner Center has done what is asked for."""
        if self.target is None or self.end == UNCHANGED:
            return False
        state = self.target.state(cloud)
        return _is_scheduled(state) if self.end == SCHEDULED else self.target.is_done(state)


def _is_scheduled(state: Json) -> bool:
    return all(not own["autoRenewEnabled"] and own.get("scheduledActions") for own in state.values())


def new_ticket(number: int, account: str) -> ToldTicket:
    """Return a ticket; the kinds and the systems follow each other, in all combinations."""
    name, system = f"told-storm-{number:04}", SYSTEMS[number % len(SYSTEMS)]
    own_id = str(FIRST_NUMBER + number)
    ticket_id = {"jira": f"OPS-{own_id}", "standard-webhooks": f"order:{own_id}"}.get(system, own_id)

    def ticket(
        kind: str, target: AnyTicket, end: str = CANCELLED, *, accepts: bool = False, **more: object
    ) -> ToldTicket:
        body = json.dumps(target.body | more | {"ticketId": ticket_id}).encode()
        return ToldTicket(system, ticket_id, kind, body, target, end, accepts)

    def refused(kind: str, body: Json) -> ToldTicket:
        return ToldTicket(system, ticket_id, kind, json.dumps(body | {"ticketId": ticket_id}).encode(), None, UNCHANGED)

    unknown = {"customerTenantId": CUSTOMER, "orderId": order_id_of(name), "account": account}
    too_old = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": TOO_OLD, "account": account}
    kinds = (
        ticket("software", SoftwareTicket(name, account)),
        ticket("lines of software", SoftwareTicket(name, account, lines=(0, 2))),
        ticket("licence", LicenceTicket(name, account)),
        ticket("subscription", LicenceTicket(name, account, by_subscription=True)),
        ticket("lines of licences", LicenceTicket(name, account, count=5, lines=(1, 3))),
        ticket("licences that gain seats", LicenceTicket(name, account, count=5, gains_seats=True)),
        ticket("accepted with 202", LicenceTicket(name, account, count=2), accepts=True),
        ticket("end of term", LicenceTicket(name, account, by_subscription=True), SCHEDULED, when="term_end"),
        ticket("dry run", SoftwareTicket(name, account), UNCHANGED, dryRun=True),
        refused("unknown order", unknown),
        refused("too old", too_old),
        refused("mistake", unknown | {"lineItems": []}),
    )
    return kinds[number % len(kinds)]


def write_catalogue(directory: Path, tickets: Iterable[ToldTicket]) -> list[str]:
    """Write what *tickets* ask for into *directory*, and return the options of the local cloud for it."""
    known = [(ticket, ticket.target) for ticket in tickets if ticket.target]
    orders = write_orders(directory / "orders", (target.order for _, target in known))
    folder = directory / "subscriptions"
    for accepts in (False, True):
        licences = [
            target.licences
            for ticket, target in known
            if isinstance(target, LicenceTicket) and ticket.accepts is accepts
        ]
        write_subscriptions(folder, licences, 202 if accepts else 200)
    return ["--orders", orders, "--subscriptions", str(folder)]
