"""The orders at Partner Center's stand-in: finding, cancelling and ageing them. The rules are in `order_rules`."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime

from infra.local.partner_center.entries import Behaviour, Entry
from infra.local.partner_center.members import id_key, member
from infra.local.partner_center.order_rules import ALREADY_CANCELLED, Cancellation, cancel, refusal_for
from infra.local.partner_center.refusals import Refusal, Refused
from infra.local.partner_center.subscription_terms import age_dates
from infra.local.partner_center.subscriptions import Subscriptions
from infra.local.values import Json

SHOWS_LATER_S = 1.5  # the delay of orders that show their change later
IN_PROGRESS = Refusal(409, "800060", "The order is in progress.")
NOT_FOUND = Refusal(404, "20000", "The order was not found.")


@dataclass
class StoredOrder:
    """The present state of an order, and a cancellation that does not show before *shows_at*."""

    entry: Entry
    order: Json
    pending: Cancellation | None = None
    shows_at: float = 0.0

    @property
    def customer(self) -> str:
        return self.entry.customer_tenant_id.lower()

    @property
    def ids(self) -> list[str]:
        return [str(value) for name in ("id", "alternateId") if (value := member(self.order, name))]


class Orders:
    """All orders, and the subscriptions that they began. *clock* gives seconds since 1970."""

    def __init__(self, entries: Iterable[Entry], subscriptions: Subscriptions, clock: Callable[[], float]) -> None:
        self._subscriptions = subscriptions
        self._clock = clock
        stored_orders = [StoredOrder(entry, deepcopy(entry.order)) for entry in entries]
        self._stored = {id_key(stored.entry.order_id): stored for stored in stored_orders}
        self._by_alternate_id = {member(stored.order, "alternateId"): stored for stored in stored_orders}
        self.customers = {
            stored.customer for stored in stored_orders if stored.entry.behaviour != Behaviour.NO_RELATIONSHIP
        }

    def find(self, order_id: str) -> StoredOrder | None:
        # Guess: an order is found by its alternateId too, as in Microsoft's newest sample.
        stored = self._stored.get(id_key(order_id)) or self._by_alternate_id.get(order_id)
        if stored and stored.pending and self._clock() >= stored.shows_at:
            self._carry_out(stored, stored.pending)
            stored.pending = None
        return stored

    def all_of_customer(self, customer: str) -> list[StoredOrder]:
        """Return a customer's orders in every status. Guess: their order, which is the catalogue's."""
        return [
            stored
            for stored in self._stored.values()
            if stored.customer == customer and self.find(stored.entry.order_id)  # which carries out what is pending
        ]

    def of_customer(self, customer: str, order_id: str) -> StoredOrder:
        """Return an order. Raises Refused."""
        stored = self.find(order_id)
        if stored is None or stored.customer != customer:
            raise Refused(NOT_FOUND)
        return stored

    def age(self, order_id: str, days: int) -> Json | None:
        """Put the dates of an order and of the subscriptions that it began *days* further back.

        What Partner Center has done meanwhile is done. Return a copy of the order, or None if there is none.
        """
        stored = self.find(order_id)
        if stored is None:
            return None
        stored.order = age_dates(stored.order, days)
        stored.shows_at -= days * 86400
        self._subscriptions.age_those_of(stored.customer, stored.ids, days)
        self.find(order_id)  # carries out a cancellation that shows by now
        return deepcopy(stored.order)

    def cancel(self, stored: StoredOrder, cancellation: Cancellation, *, production: bool) -> None:
        """Cancel an order or lines of it, at once or later. Raises Refused."""
        now = self._clock()
        if stored.pending:
            # Guess: no document says. An order whose reads lag behind its writes is cancelled already; one that was
            # only accepted is still in progress.
            has_lagging_reads = stored.entry.behaviour == Behaviour.SHOWS_LATER
            raise Refused(ALREADY_CANCELLED if has_lagging_reads else IN_PROGRESS)
        at = datetime.fromtimestamp(now, UTC)
        if refusal := refusal_for(stored.entry, stored.order, cancellation, production=production, now=at):
            raise Refused(refusal)
        match stored.entry.behaviour:
            case Behaviour.NEVER_CHANGES:
                pass
            case Behaviour.SHOWS_LATER | Behaviour.ACCEPTED:
                stored.pending, stored.shows_at = cancellation, now + SHOWS_LATER_S
            case _:
                self._carry_out(stored, cancellation)

    def _carry_out(self, stored: StoredOrder, cancellation: Cancellation) -> None:
        cancel(stored.order, cancellation)
        lines = member(stored.order, "lineItems") or []
        self._subscriptions.delete_those_of(stored.customer, stored.ids, lines, cancellation.lines)
