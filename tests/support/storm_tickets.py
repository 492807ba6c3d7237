"""The tickets of a storm: each asks for an order or a subscription of its own to be cancelled."""

from dataclasses import dataclass
from functools import cached_property

from tests.conftest import CUSTOMER
from tests.support.licences import LicenceOrder
from tests.support.local_cloud import Json, LocalCloud, software_order

SOFTWARE_LINES = 3
ADDED_SEATS = 2

type AnyTicket = SoftwareTicket | LicenceTicket


@dataclass(frozen=True)
class SoftwareTicket:
    """Asks for one order of software, or for *lines* of it."""

    name: str
    account: str
    lines: tuple[int, ...] | None = None
    may_be_refused = False
    seats_come_with = None

    @property
    def order_id(self) -> str:
        return f"{self.name}-".ljust(33, "0")  # the length of the ids of software's orders

    @property
    def body(self) -> Json:
        body: Json = {"customerTenantId": CUSTOMER, "orderId": self.order_id, "account": self.account}
        return body | ({"lineItems": [{"lineItemNumber": number} for number in self.lines]} if self.lines else {})

    @property
    def order(self) -> Json:
        return software_order(self.order_id, CUSTOMER, SOFTWARE_LINES)

    @property
    def paths(self) -> list[tuple[str, str]]:
        """The requests to Partner Center: method and pattern of the path."""
        return [(method, f"/{self.order_id}$") for method in ("GET", "PATCH")]

    def state(self, cloud: LocalCloud) -> Json:
        """Return the order as Partner Center has it now."""
        return cloud.order(self.order_id)

    def is_done(self, state: Json) -> bool:
        """Return whether the order is cancelled in *state* exactly as this ticket asks."""
        if self.lines is None:
            return bool(state["status"] == "cancelled")
        cancelled = [line["lineItemNumber"] for line in state["lineItems"] if line["quantity"] == 0]
        return state["status"] != "cancelled" and cancelled == list(self.lines)


@dataclass(frozen=True)
class LicenceTicket:
    """Asks for licences: an order of *count*, or *lines* of it, or with *by_subscription* the only subscription.

    With *gains_seats* somebody else adds seats to the last subscription that it asks for, while its first PATCH is
    lost.
    """

    name: str
    account: str
    count: int = 1
    lines: tuple[int, ...] | None = None
    by_subscription: bool = False
    gains_seats: bool = False

    @property
    def licences(self) -> LicenceOrder:
        return LicenceOrder(self.name, self.count)

    @cached_property
    def asked(self) -> list[str]:
        """The ids of the subscriptions that it asks for."""
        ids = self.licences.subscription_ids
        return ids if self.lines is None else [ids[number] for number in self.lines]

    @property
    def may_be_refused(self) -> bool:
        """By then the subscription holds more than the order that the ticket names."""
        return self.gains_seats and not self.by_subscription

    @property
    def body(self) -> Json:
        body = self.licences.by_subscription if self.by_subscription else self.licences.by_order
        lines = {"lineItems": [{"lineItemNumber": number} for number in self.lines]} if self.lines else {}
        return body | lines | {"account": self.account}

    @property
    def order(self) -> Json:
        return self.licences.order()

    @property
    def paths(self) -> list[tuple[str, str]]:
        of_order = [] if self.by_subscription else [("GET", f"/{self.licences.order_id}$")]
        return of_order + [
            (method, f"/{own}$") for own in self.licences.subscription_ids for method in ("GET", "PATCH")
        ]

    @property
    def seats_come_with(self) -> tuple[str, str] | None:
        """The kind of requests with whose first one somebody else adds seats."""
        return ("PATCH", f"/{self.asked[-1]}$") if self.gains_seats else None

    def state(self, cloud: LocalCloud) -> Json:
        """Return all subscriptions of the order as Partner Center has them now, by id."""
        return {own: cloud.subscription(own) for own in self.licences.subscription_ids}

    def is_done(self, state: Json) -> bool:
        """Return whether those that this ticket asks for are deleted in *state*, and no others."""
        return self.deleted(state) == set(self.asked)

    def deleted(self, state: Json) -> set[str]:
        return {own for own, subscription in state.items() if subscription["status"] == "deleted"}


def new_ticket(number: int, account: str) -> AnyTicket:
    """Return a ticket; the kinds follow each other."""
    name = f"storm-{number:04}"
    kinds: tuple[AnyTicket, ...] = (
        SoftwareTicket(name, account),
        SoftwareTicket(name, account, lines=(1,)),
        SoftwareTicket(name, account, lines=(0, 2)),
        LicenceTicket(name, account),
        LicenceTicket(name, account, by_subscription=True),
        LicenceTicket(name, account, count=5),
        LicenceTicket(name, account, count=5, lines=(1, 3)),
        LicenceTicket(name, account, count=5, gains_seats=True),
        LicenceTicket(name, account, by_subscription=True, gains_seats=True),
    )
    return kinds[number % len(kinds)]
