"""Makes the list of a customer's orders from what was read: each with what a dry run says of its lines.

No I/O, clock or randomness. Each line has the forecast of a request for that line alone, since a person chooses from
the list what to cancel.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from shared.cancelling.answer import Findings, order_state
from shared.cancelling.subscription import as_order
from shared.contract import FindRequest, FindResult, OrderState
from shared.partner_center.orders import Order
from shared.partner_center.subscriptions import Subscription
from shared.rfc3339 import rfc3339
from shared.rules import route
from shared.rules.forecast import Circumstances, Forecast, by_subscription, of_lines

MOST_LISTED = 200  # orders in one answer


class Found(NamedTuple):
    """What was read of a customer.

    *are_orders_whole*: no other order names one of the subscriptions. *are_subscriptions_whole*: a line whose
    subscription is not among them has none.
    """

    orders: Sequence[Order]
    subscriptions: Sequence[Subscription]
    are_orders_whole: bool
    are_subscriptions_whole: bool

    @property
    def is_whole(self) -> bool:
        return self.are_orders_whole and self.are_subscriptions_whole


class Situation(NamedTuple):
    """The customer, and what a request of this caller could do at *now* (UTC)."""

    customer_tenant_id: str
    may_cancel_subscriptions: bool
    is_sandbox: bool
    now: datetime


class _Entry(NamedTuple):
    """An order as it was read, and with the subscriptions that were found for its lines."""

    as_read: Order
    order: Order


def list_orders(request: FindRequest, found: Found, situation: Situation) -> FindResult:
    """Return those of the customer's orders that *request* asks for, the newest first, at most MOST_LISTED."""
    listed: list[OrderState] = []
    # A line may have no name, or one that the partner gave it. The product's own is the subscription's.
    names = {own.subscription_id.lower(): own.name for own in found.subscriptions}
    for state in _states(found, situation):
        if _is_asked_for(request, state, names):
            if len(listed) == MOST_LISTED:
                return FindResult(orders=listed, more=True)
            listed.append(state)
    return FindResult(orders=listed, more=not found.is_whole)


def _states(found: Found, situation: Situation) -> Iterator[OrderState]:
    """Yield the orders, and the subscriptions that no order names, the newest first."""
    # What was bought between two pages moves the end of one page onto the next, where it is read again.
    own = {subscription.subscription_id.lower(): subscription for subscription in found.subscriptions}
    as_read = {order.order_id or str(place): order for place, order in enumerate(found.orders)}.values()
    by_order: defaultdict[str, list[Subscription]] = defaultdict(list)
    for subscription in own.values():
        by_order[(subscription.order_id or "").lower()].append(subscription)
    orders = [_Entry(order, route.with_found_subscriptions(order, _listed(order, by_order))) for order in as_read]
    lines = (line for entry in orders for line in entry.order.line_items)
    named = {line.subscription_id.lower() for line in lines if line.subscription_id}
    entries: list[tuple[str, _Entry | Subscription]] = [(entry.order.creation_date or "", entry) for entry in orders]
    for subscription_id, subscription in own.items():
        # That of an order that was not read must not be offered whole: the order may have bought a part of it.
        if found.are_orders_whole and subscription_id not in named:
            entries.append((rfc3339(subscription.created) if subscription.created else "", subscription))
    for _, entry in sorted(entries, key=lambda dated: dated[0], reverse=True):
        if isinstance(entry, Subscription):
            yield _subscription_state(entry, situation)
        else:
            yield _order_state(entry, own, found, situation)


def _listed(order: Order, by_order: defaultdict[str, list[Subscription]]) -> list[Subscription]:
    ids = {order_id.lower() for order_id in (order.order_id, order.alternate_id) if order_id}
    return [subscription for order_id in ids for subscription in by_order.get(order_id, [])]


def _order_state(entry: _Entry, own: dict[str, Subscription], found: Found, situation: Situation) -> OrderState:
    as_read, order = entry
    findings = Findings()
    findings.take_order(order)
    findings.found |= {
        key: own[key] for line in order.line_items if (key := (line.subscription_id or "").lower()) in own
    }
    numbers = Counter(line.line_item_number for line in order.line_items)
    for place, line_as_read in enumerate(as_read.line_items):
        if findings.done(place):
            continue
        if line_as_read.subscription_id is None and not found.are_subscriptions_whole:
            # Another of its subscriptions may be among those that were not read.
            findings.forecasts[place] = Forecast(None)
        elif numbers[line_as_read.line_item_number] > 1:
            # No request can name it, but the whole order may be cancelled.
            findings.forecasts[place] = Forecast(None)
        else:
            circumstances = Circumstances(
                order=order,
                time=situation.now,
                is_allowed=situation.may_cancel_subscriptions,
                is_order_first=route.is_order_first(order.order_id or ""),
                is_sandbox=situation.is_sandbox,
                is_list_known=found.are_subscriptions_whole,
                others=findings.subscriptions_of_others([place]),
                when="now",
            )
            [findings.forecasts[place]] = of_lines([findings.line(place)], findings.found, circumstances)
    return order_state(
        findings, situation.now, customer_tenant_id=situation.customer_tenant_id, named=_would_cancel(findings)
    )


def _subscription_state(subscription: Subscription, situation: Situation) -> OrderState:
    findings = Findings()
    findings.take_order(replace(as_order(subscription), order_id=None))
    findings.note(subscription)
    if not findings.done(0):
        refusal = route.refusal_by_subscription(
            subscription,
            when="now",
            now=situation.now,
            is_allowed=situation.may_cancel_subscriptions,
            of_order=None,
            others=(),
        )
        forecast = by_subscription(subscription, situation.now)
        findings.forecasts[0] = Forecast(cancellable=False, code=refusal.code) if refusal else forecast
    return order_state(
        findings,
        situation.now,
        customer_tenant_id=situation.customer_tenant_id,
        subscription_id=subscription.subscription_id,
        named=(),
    )


def _would_cancel(findings: Findings) -> list[int]:
    return [place for place, forecast in findings.forecasts.items() if forecast.cancellable is not False]


def _is_asked_for(request: FindRequest, state: OrderState, names: Mapping[str, str | None]) -> bool:
    subscriptions = {(line.subscription_id or "").lower() for line in state.line_items}
    if request.subscription_id and request.subscription_id.lower() not in subscriptions:
        return False
    if request.cancellable and not _may_be_cancelled(state):
        return False
    return request.text is None or any(request.text.casefold() in text.casefold() for text in _searched(state, names))


def _may_be_cancelled(state: OrderState) -> bool:
    """True unless everything is cancelled, or certainly refused. An order without lines can be cancelled whole."""
    if not state.line_items:
        return state.status != "cancelled"
    return any(not line.cancelled and line.cancellable is not False for line in state.line_items)


def _searched(state: OrderState, names: Mapping[str, str | None]) -> Iterator[str]:
    """Yield the texts in which a person's word is looked for. *names* are those of subscriptions."""
    texts = [state.order_id, state.alternate_id, state.subscription_id]
    for line in state.line_items:
        name = names.get((line.subscription_id or "").lower())
        texts += [line.friendly_name, name, line.offer_id, line.subscription_id]
    yield from filter(None, texts)
