"""The subscriptions at Partner Center's stand-in: finding, listing, changing and ageing them.

The effect of a PATCH is in `subscription_rules`, the effect of time in `subscription_terms`.

Source: learn.microsoft.com/partner-center/developer/ get-a-subscription-by-id, get-a-list-of-subscriptions-by-order,
get-all-of-a-customer-s-subscriptions, update-a-subscription-by-id (read 2026-11-28).
"""

from collections.abc import Callable, Collection, Iterable
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from infra.local.partner_center.entries import ProductKind, SubscriptionEntry, kind_of, subscription_of
from infra.local.partner_center.members import id_key, member, status_of
from infra.local.partner_center.pages import collection, page_of
from infra.local.partner_center.refusals import Refusal, Refused
from infra.local.partner_center.subscription_rules import (
    SPELLINGS,
    Circumstances,
    delete,
    patched,
    renew_etag,
    shown,
    suspend,
)
from infra.local.partner_center.subscription_terms import age_dates, let_time_pass
from infra.local.values import Json

# Microsoft's sample of a list by order has one item and this count.
FALSE_TOTAL_COUNT = 37

NOT_FOUND = Refusal(404, "20003", "The subscription was not found.")


@dataclass
class StoredSubscription:
    """The present state of a subscription, and an older one that the next *late_reads* reads show.

    *spellings* are the names under which the time of a scheduled action is known.
    """

    entry: SubscriptionEntry
    subscription: Json
    older: Json | None = None
    late_reads: int = 0
    spellings: frozenset[str] = frozenset(SPELLINGS)

    @property
    def customer(self) -> str:
        return self.entry.customer_tenant_id.lower()

    def read(self) -> Json:
        """Return what a read shows, and count it."""
        if self.older is None:
            return shown(self.subscription)
        older = self.older
        self.late_reads -= 1
        if self.late_reads <= 0:
            self.older = None
        return shown(older)


class Subscriptions:
    """All subscriptions. *clock* gives seconds since 1970."""

    def __init__(self, entries: Iterable[SubscriptionEntry], clock: Callable[[], float]) -> None:
        self._clock = clock
        stored = [StoredSubscription(entry, deepcopy(entry.subscription)) for entry in entries]
        self._stored = {id_key(subscription.entry.subscription_id): subscription for subscription in stored}

    @property
    def customers(self) -> set[str]:
        return {stored.customer for stored in self._stored.values()}

    def now(self, subscription_id: str) -> Json | None:
        """Return a copy of a subscription in its present state, or None."""
        stored = self._stored.get(id_key(subscription_id))
        return deepcopy(stored.subscription) if stored else None

    def put(self, subscription_id: str, subscription: Json) -> bool:
        """Replace a subscription, as if somebody else had changed it. Return False if there is none."""
        stored = self._stored.get(id_key(subscription_id))
        if stored:
            stored.subscription = deepcopy(subscription)
        return stored is not None

    def know_actions_by(self, subscription_id: str, spellings: Collection[str]) -> bool:
        """Ignore scheduled actions whose time stands under another name. Return False if there is no subscription."""
        stored = self._stored.get(id_key(subscription_id))
        if stored:
            stored.spellings = frozenset(spellings)
        return stored is not None

    def age(self, subscription_id: str, days: int) -> Json | None:
        """Put all dates *days* further back and do what Partner Center has done meanwhile. Return a copy, or None."""
        stored = self._stored.get(id_key(subscription_id))
        if stored is None:
            return None
        stored.subscription = age_dates(stored.subscription, days)
        stored.older = None
        let_time_pass(stored.subscription, self._date())
        return deepcopy(stored.subscription)

    def age_those_of(self, customer: str, order_ids: Collection[str], days: int) -> None:
        """Age the subscriptions that an order began."""
        for stored in self._of_order(customer, order_ids):
            self.age(stored.entry.subscription_id, days)

    def delete_those_of(
        self, customer: str, order_ids: Collection[str], lines: Collection[Json], numbers: Collection[int] | None
    ) -> None:
        """Delete the subscriptions of an order's *lines* with these *numbers*; None means all that it began, too.

        Guess: the cancellation of an order's line ends its subscription, too.
        """
        by_line = self._by_line(customer, order_ids, lines)
        cancelled = [stored for number, stored in by_line if numbers is None or number in numbers]
        for stored in cancelled if numbers is not None else [*cancelled, *self._of_order(customer, order_ids)]:
            if status_of(stored.subscription) != "deleted":
                delete(stored.subscription)
                renew_etag(stored.subscription)

    def read(self, customer: str, subscription_id: str) -> Json:
        """Return what a read of a subscription shows now. Raises Refused."""
        return self._find(customer, subscription_id).read()

    def list_page(self, customer: str, order_ids: Collection[str] | None, uri: str, token: str | None) -> Json:
        """Return a page of a customer's subscriptions in every status, or of those that an order began. Raises Refused.

        *uri* and *token* are those of `page_of`. Guess: deleted ones are listed by order, too.
        """
        found = [stored for stored in self._stored.values() if stored.customer == customer]
        if order_ids is not None:
            found = self._of_order(customer, order_ids)
        page = page_of(found, uri, token)
        return collection([stored.read() for stored in page.items], page.links, FALSE_TOTAL_COUNT)

    def patch(self, customer: str, subscription_id: str, body: bytes, *, late_reads: int = 0) -> Json | None:
        """Change a subscription. Return its new state, or None if that is not answered (202). Raises Refused.

        The next *late_reads* reads show the state before the change.
        """
        stored = self._find(customer, subscription_id)
        if stored.entry.refusal:
            raise Refused(stored.entry.refusal)
        before = stored.subscription
        parent = self.now(str(member(before, "parentSubscriptionId")))
        parent_status = status_of(parent) if parent else None
        after = patched(
            before, body, Circumstances(self._date(), stored.entry.has_window, stored.spellings, parent_status)
        )
        stored.subscription = after
        if late_reads:
            stored.older, stored.late_reads = before, late_reads
        if member(after, "status") != member(before, "status"):
            self._suspend_add_ons_of(stored)
        return shown(after) if stored.entry.patch_answers == 200 else None

    def _find(self, customer: str, subscription_id: str) -> StoredSubscription:
        stored = self._stored.get(id_key(subscription_id))
        if stored is None or stored.customer != customer:
            raise Refused(NOT_FOUND)
        return stored

    def _of_order(self, customer: str, order_ids: Collection[str]) -> list[StoredSubscription]:
        keys = {id_key(order_id) for order_id in order_ids}
        return [
            stored
            for stored in self._stored.values()
            if stored.customer == customer and id_key(str(member(stored.subscription, "orderId"))) in keys
        ]

    def _by_line(
        self, customer: str, order_ids: Collection[str], lines: Collection[Json]
    ) -> list[tuple[Any, StoredSubscription]]:
        """Return the number and the subscription of each of an order's *lines* that has one.

        Guess: it is the one that the line names, whatever its offer and order are by now. Lines that name none have,
        one after the other, those with their offer that the order began and that no line names.
        """
        named = {id_key(subscription_of(line)) for line in lines}
        unnamed = [
            stored
            for stored in self._of_order(customer, order_ids)
            if id_key(stored.entry.subscription_id) not in named
        ]
        found: list[tuple[Any, StoredSubscription]] = []
        for line in lines:
            if name := subscription_of(line):
                own = self._stored.get(id_key(name))
            else:
                offer = str(member(line, "offerId")).lower()
                own = next(
                    (stored for stored in unnamed if str(member(stored.subscription, "offerId")).lower() == offer), None
                )
                unnamed = [stored for stored in unnamed if stored is not own]
            if own and own.customer == customer:
                found.append((member(line, "lineItemNumber"), own))
        return found

    def _suspend_add_ons_of(self, parent: StoredSubscription) -> None:
        """Suspend the active add-ons of a legacy subscription that was suspended (suspend-a-subscription)."""
        if status_of(parent.subscription) != "suspended":
            return
        for stored in self._stored.values():
            is_add_on = id_key(str(member(stored.subscription, "parentSubscriptionId"))) == id_key(
                parent.entry.subscription_id
            )
            is_legacy = kind_of(stored.subscription) == ProductKind.LEGACY_LICENCE
            if is_add_on and is_legacy and status_of(stored.subscription) == "active":
                suspend(stored.subscription)
                renew_etag(stored.subscription)

    def _date(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
